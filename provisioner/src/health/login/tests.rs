//! Against a pgpool that is played by a few lines of this process.

use std::net::Ipv4Addr;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::fixtures::{Pair, Pki};
use crate::health::ClientPair;
use crate::health::tests_support::access;

/// How the played pgpool behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Play {
    Serve,
    ServeReads,
    DeclineTls,
    TurnDown,
    TurnDownQuery,
    RefusedByBackend,
    DistrustBackend,
    HangUp,
    HangUpBeforeTls,
    Hang,
}

/// Reads one message of the protocol; the first of a connection has no type.
async fn message(stream: &mut (impl AsyncRead + Unpin), typed: bool) -> io::Result<(u8, Vec<u8>)> {
    let kind = if typed { stream.read_u8().await? } else { 0 };
    let length = usize::try_from(stream.read_u32().await?).unwrap() - 4;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

fn answer(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend(body);
    message
}

/// A result of one column and one row.
fn row(value: &str) -> Vec<u8> {
    let column = [&1_u16.to_be_bytes()[..], b"it\0", &[0; 18]].concat();
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    let row = [&1_u16.to_be_bytes()[..], &length, value.as_bytes()].concat();
    [answer(b'T', &column), answer(b'D', &row), answer(b'C', b"SHOW\0")].concat()
}

/// Plays after TLS, and gives what was last heard.
async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, play: Play, expected: &str) -> io::Result<u8> {
    const REFUSAL: &[u8] =
        b"SFATAL\0CXX000\0Mfailed to authenticate\0Dpassword does not match for user \"u\"\0\0";
    let (_, startup) = message(&mut stream, false).await?;
    assert!(
        startup.windows(13).any(|it| it == b"user\0postgres"),
        "{startup:?}"
    );
    match play {
        Play::Hang => return std::future::pending().await,
        Play::HangUp => return Ok(0),
        // As pgpool 4.3.5 does: the beginning of an older message, then one of its own.
        Play::RefusedByBackend => {
            let refusal = b"SERROR\0CXX000\0Mbackend authentication failed\0Dbackend response with kind 'E' when expecting 'R'\0\0";
            stream.write_all(b"E\0").await?;
            stream.write_all(&answer(b'E', refusal)).await?;
            return Ok(0);
        }
        Play::DistrustBackend => {
            let refusal = b"SERROR\0CXX000\0Mbackend authentication failed\0Dbackend response with kind '\x17' when expecting 'R'\0\0";
            stream.write_all(&answer(b'E', refusal)).await?;
            return Ok(0);
        }
        Play::TurnDown => {
            stream.write_all(&answer(b'E', REFUSAL)).await?;
            return Ok(0);
        }
        _ => {}
    }
    let ready = answer(b'Z', b"I");
    let welcome = [
        answer(b'R', &0_u32.to_be_bytes()),
        answer(b'K', &[0; 8]),
        ready.clone(),
    ]
    .concat();
    stream.write_all(&welcome).await?;
    let (kind, query) = message(&mut stream, true).await?;
    assert_eq!(
        (kind, query.as_slice()),
        (b'Q', format!("{expected}\0").as_bytes())
    );
    let result = match play {
        Play::TurnDownQuery => answer(b'E', REFUSAL),
        Play::ServeReads => row("on"),
        _ => row("off"),
    };
    stream.write_all(&[result, ready].concat()).await?;
    Ok(message(&mut stream, true).await?.0)
}

/// Starts a pgpool, asks it once, and gives the result and the last message that it heard. Whatever comes of it, one
/// question is one connection.
async fn asked(played: Play, pair: Option<&Pair>, access: Access) -> (Probe, Option<u8>) {
    let door = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    door.set_nonblocking(true).unwrap();
    let port = door.local_addr().unwrap().port();
    let listener = TcpListener::from_std(door.try_clone().unwrap()).unwrap();
    let expected = if access.writes { TAKES_WRITES } else { ANSWERS };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let acceptor = pair.map(|pair| {
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        TlsAcceptor::from(Arc::new(config.unwrap()))
    });
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let Some(acceptor) = acceptor else {
            return play(stream, played, expected).await;
        };
        assert_eq!(message(&mut stream, false).await?.1, 80_877_103_u32.to_be_bytes());
        match played {
            Play::HangUpBeforeTls => return Ok(0),
            Play::DeclineTls => stream.write_all(b"N").await?,
            _ => stream.write_all(b"S").await?,
        }
        play(acceptor.accept(stream).await?, played, expected).await
    });
    let pod = Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        tls: pair.is_some(),
    };
    let probe = Network::new(provider)
        .on_port(port)
        .probe(pod, Arc::new(access))
        .await;
    assert!(
        door.accept().is_err(),
        "{played:?}: a second connection for one question"
    );
    let heard = tokio::time::timeout(Duration::from_secs(1), server).await;
    (probe, heard.ok().and_then(|heard| heard.unwrap().ok()))
}

#[tokio::test]
async fn a_login_and_a_query_over_tls_show_the_leaf_and_end_with_a_goodbye() {
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    for mode in [SslMode::Prefer, SslMode::VerifyFull] {
        let access = Access {
            ssl_mode: mode,
            trust: pki.ca().into_bytes(),
            ..access()
        };
        let (probe, heard) = asked(Play::Serve, Some(&pair), access).await;
        assert!(probe.login.is_ok(), "{probe:?}");
        assert_eq!(probe.served.unwrap().fingerprint, pair.fingerprint);
        assert_eq!(heard, Some(b'X'));
    }
}

#[tokio::test]
async fn without_tls_nothing_is_served_and_nothing_is_missed() {
    let (probe, heard) = asked(Play::Serve, None, access()).await;
    assert!(probe.login.is_ok() && probe.served.is_none(), "{probe:?}");
    assert_eq!(heard, Some(b'X'));
}

#[tokio::test]
async fn what_postgresql_does_to_pgpool_is_told_without_tls_too() {
    let rows = [
        (Play::RefusedByBackend, "backend-refuses"),
        (Play::DistrustBackend, "backend-untrusted"),
    ];
    for (play, kind) in rows {
        let (probe, _) = asked(play, None, access()).await;
        let failure = probe.login.unwrap_err();
        assert_eq!(failure.kind(), kind);
        assert!(failure.to_string().contains("AppBinding demo/pg"), "{failure}");
    }
}

#[tokio::test]
async fn whether_writes_would_go_through_is_asked_and_not_tried() {
    let rows = [
        (Play::Serve, true, None),
        (Play::ServeReads, true, Some("read-only")),
        (Play::Serve, false, None),
        (Play::ServeReads, false, None),
    ];
    for (play, writes, expected) in rows {
        let access = Access { writes, ..access() };
        let (probe, heard) = asked(play, None, access).await;
        let failure = probe.login.err();
        assert_eq!(
            failure.as_ref().map(LoginFailure::kind),
            expected,
            "{play:?} {writes}"
        );
        assert_eq!(heard, Some(b'X'), "{play:?} {writes}");
        if let Some(failure) = failure {
            let text = failure.to_string();
            for part in ["AppBinding demo/pg", "spec.healthChecker.disableWriteCheck"] {
                assert!(text.contains(part), "{text}");
            }
        }
    }
}

/// How pgpool behaves, what is asked of it, the kind of failure that follows, and a part of what is said.
type Row = (Play, SslMode, &'static str, &'static str);

const FAILURES: [Row; 11] = [
    (
        Play::RefusedByBackend,
        SslMode::VerifyFull,
        "backend-refuses",
        "turns pgpool down before it asks for a password",
    ),
    (
        Play::RefusedByBackend,
        SslMode::VerifyFull,
        "backend-refuses",
        "connection requires a valid client certificate",
    ),
    (
        Play::DistrustBackend,
        SslMode::VerifyFull,
        "backend-untrusted",
        "`spec.clientConfig.caBundle`",
    ),
    (
        Play::DeclineTls,
        SslMode::Allow,
        "plain-text",
        "pgpool answers without TLS",
    ),
    (
        Play::DeclineTls,
        SslMode::Require,
        "plain-text",
        "pgpool answers without TLS",
    ),
    (
        Play::TurnDown,
        SslMode::VerifyFull,
        "turned-down",
        "correct Secret demo/pg-auth",
    ),
    (
        Play::TurnDown,
        SslMode::VerifyFull,
        "turned-down",
        "password does not match",
    ),
    (
        Play::TurnDownQuery,
        SslMode::VerifyFull,
        "turned-down",
        "failed to authenticate",
    ),
    (Play::HangUp, SslMode::VerifyFull, "broken", "is PostgreSQL up?"),
    (
        Play::HangUpBeforeTls,
        SslMode::VerifyFull,
        "broken",
        "is PostgreSQL up?",
    ),
    (Play::Hang, SslMode::VerifyFull, "timeout", "within 1 s"),
];

#[tokio::test]
async fn each_failure_is_told_for_people() {
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    for (play, ssl_mode, kind, part) in FAILURES {
        let timeout = Duration::from_secs(1);
        let access = Access {
            ssl_mode,
            trust: pki.ca().into_bytes(),
            timeout,
            ..access()
        };
        let (probe, _) = asked(play, Some(&pair), access).await;
        let failure = probe.login.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.kind(), kind, "{play:?} {ssl_mode}: {text}");
        assert!(text.contains(part), "{play:?} {ssl_mode}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
        let before = matches!(play, Play::DeclineTls | Play::HangUpBeforeTls);
        assert_eq!(
            probe.served.is_none(),
            before,
            "{play:?}: the leaf is seen whenever there is one"
        );
    }
}

#[tokio::test]
async fn a_stranger_is_not_talked_to() {
    let (pki, stranger) = (Pki::new(), Pki::new().server(&["pool.demo.svc".to_owned()]));
    let access = Access {
        ssl_mode: SslMode::VerifyCa,
        trust: pki.ca().into_bytes(),
        ..access()
    };
    let (probe, _) = asked(Play::Serve, Some(&stranger), access).await;
    let failure = probe.login.unwrap_err();
    assert_eq!(failure.kind(), "handshake", "{failure}");
    assert_eq!(probe.served.unwrap().fingerprint, stranger.fingerprint);
}

#[tokio::test]
async fn nobody_at_the_port() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let pod = Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        tls: false,
    };
    let network = Network::new(Arc::new(aws_lc_rs::default_provider())).on_port(port);
    let failure = network.probe(pod, Arc::new(access())).await.login.unwrap_err();
    assert_eq!(failure.kind(), "unreachable");
}

/// Takes two connections, and lets in only who shows a certificate. Gives how many it took.
async fn asks_for_certificate(listener: TcpListener, pki: &Pki, pair: &Pair) -> usize {
    const REFUSAL: &[u8] =
        b"SERROR\0CXX000\0MCERT authentication failed\0Dno valid certificate presented\0\0";
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pki.ca().as_bytes()).unwrap())
        .unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
        .map(Result::unwrap)
        .collect();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    for taken in 1.. {
        let (mut stream, _) = listener.accept().await.unwrap();
        message(&mut stream, false).await.unwrap();
        stream.write_all(b"S").await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        if stream.get_ref().1.peer_certificates().is_some() {
            play(stream, Play::Serve, TAKES_WRITES).await.unwrap();
            return taken;
        }
        message(&mut stream, false).await.unwrap();
        stream.write_all(&answer(b'E', REFUSAL)).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    0
}

#[tokio::test]
async fn a_pod_that_still_asks_for_a_certificate_is_shown_the_former_one() {
    let pki = Pki::new();
    let (server, client) = (pki.server(&["pool.demo.svc".to_owned()]), pki.client("postgres"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let network =
        Network::new(Arc::new(aws_lc_rs::default_provider())).on_port(listener.local_addr().unwrap().port());
    let pod = Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        tls: true,
    };
    let access = Access {
        ssl_mode: SslMode::Require,
        former: Some(ClientPair {
            chain: client.certificate.into_bytes(),
            key: client.key.into_bytes(),
        }),
        ..access()
    };
    let (probe, taken) = futures::join!(
        network.probe(pod, Arc::new(access)),
        asks_for_certificate(listener, &pki, &server)
    );
    assert!(probe.login.is_ok(), "{probe:?}");
    assert_eq!(probe.served.unwrap().fingerprint, server.fingerprint);
    assert_eq!(taken, 2);
}
