//! Against a fake pgpool in this process.

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
use crate::health::ClientCertificate;
use crate::health::fixtures::access;

/// How the fake pgpool behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behavior {
    Serve,
    ServeReads,
    DeclineTls,
    Reject,
    RejectQuery,
    RejectedByBackend,
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

/// Serves one session after TLS; returns the type of the last message received.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    behavior: Behavior,
    expected: &str,
) -> io::Result<u8> {
    const REFUSAL: &[u8] =
        b"SFATAL\0CXX000\0Mfailed to authenticate\0Dpassword does not match for user \"u\"\0\0";
    let (_, startup) = message(&mut stream, false).await?;
    assert!(
        startup.windows(13).any(|it| it == b"user\0postgres"),
        "{startup:?}"
    );
    match behavior {
        Behavior::Hang => return std::future::pending().await,
        Behavior::HangUp => return Ok(0),
        // As pgpool 4.3.5 does: the beginning of an older message, then one of its own.
        Behavior::RejectedByBackend => {
            let refusal = b"SERROR\0CXX000\0Mbackend authentication failed\0Dbackend response with kind 'E' when expecting 'R'\0\0";
            stream.write_all(b"E\0").await?;
            stream.write_all(&answer(b'E', refusal)).await?;
            return Ok(0);
        }
        Behavior::DistrustBackend => {
            let refusal = b"SERROR\0CXX000\0Mbackend authentication failed\0Dbackend response with kind '\x17' when expecting 'R'\0\0";
            stream.write_all(&answer(b'E', refusal)).await?;
            return Ok(0);
        }
        Behavior::Reject => {
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
    let result = match behavior {
        Behavior::RejectQuery => answer(b'E', REFUSAL),
        Behavior::ServeReads => row("on"),
        _ => row("off"),
    };
    stream.write_all(&[result, ready].concat()).await?;
    Ok(message(&mut stream, true).await?.0)
}

/// Starts a pgpool and probes it once; returns the result and the last message that pgpool received. Whatever the result,
/// one probe is one connection.
async fn probe(behavior: Behavior, pair: Option<&Pair>, access: Access) -> (Probe, Option<u8>) {
    let door = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    door.set_nonblocking(true).unwrap();
    let port = door.local_addr().unwrap().port();
    let listener = TcpListener::from_std(door.try_clone().unwrap()).unwrap();
    let expected = if access.writes { WRITE_CHECK } else { QUERY };
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
            return serve(stream, behavior, expected).await;
        };
        assert_eq!(message(&mut stream, false).await?.1, 80_877_103_u32.to_be_bytes());
        match behavior {
            Behavior::HangUpBeforeTls => return Ok(0),
            Behavior::DeclineTls => stream.write_all(b"N").await?,
            _ => stream.write_all(b"S").await?,
        }
        serve(acceptor.accept(stream).await?, behavior, expected).await
    });
    let pod = Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        tls: pair.is_some(),
    };
    let probe = NetworkProber::new(provider)
        .on_port(port)
        .probe(pod, Arc::new(access))
        .await;
    assert!(
        door.accept().is_err(),
        "{behavior:?}: a second connection for one probe"
    );
    let received = tokio::time::timeout(Duration::from_secs(1), server).await;
    (probe, received.ok().and_then(|it| it.unwrap().ok()))
}

#[tokio::test]
async fn a_login_and_a_query_over_tls_show_the_leaf_and_terminate_the_session() {
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    for mode in [SslMode::Prefer, SslMode::VerifyFull] {
        let access = Access {
            ssl_mode: mode,
            trust: pki.ca().into_bytes(),
            ..access()
        };
        let (probe, received) = probe(Behavior::Serve, Some(&pair), access).await;
        assert!(probe.login.is_ok(), "{probe:?}");
        assert_eq!(probe.served.unwrap().fingerprint, pair.fingerprint);
        assert_eq!(received, Some(b'X'));
    }
}

#[tokio::test]
async fn without_tls_no_certificate_is_served_and_the_login_succeeds() {
    let (probe, received) = probe(Behavior::Serve, None, access()).await;
    assert!(probe.login.is_ok() && probe.served.is_none(), "{probe:?}");
    assert_eq!(received, Some(b'X'));
}

#[tokio::test]
async fn how_postgresql_rejects_pgpool_is_reported_without_tls_too() {
    let rows = [
        (Behavior::RejectedByBackend, "backend-rejects"),
        (Behavior::DistrustBackend, "backend-untrusted"),
    ];
    for (behavior, kind) in rows {
        let (probe, _) = probe(behavior, None, access()).await;
        let failure = probe.login.unwrap_err();
        assert_eq!(failure.kind(), kind);
        assert!(failure.to_string().contains("AppBinding demo/pg"), "{failure}");
    }
}

#[tokio::test]
async fn whether_writes_would_succeed_is_queried_and_not_tried() {
    let rows = [
        (Behavior::Serve, true, None),
        (Behavior::ServeReads, true, Some("read-only")),
        (Behavior::Serve, false, None),
        (Behavior::ServeReads, false, None),
    ];
    for (behavior, writes, expected) in rows {
        let access = Access { writes, ..access() };
        let (probe, received) = probe(behavior, None, access).await;
        let failure = probe.login.err();
        assert_eq!(
            failure.as_ref().map(LoginFailure::kind),
            expected,
            "{behavior:?} {writes}"
        );
        assert_eq!(received, Some(b'X'), "{behavior:?} {writes}");
        if let Some(failure) = failure {
            let text = failure.to_string();
            for part in ["AppBinding demo/pg", "spec.healthChecker.disableWriteCheck"] {
                assert!(text.contains(part), "{text}");
            }
        }
    }
}

/// How pgpool behaves, the mode of the probe, the kind of failure that follows, and a part of its message.
type Row = (Behavior, SslMode, &'static str, &'static str);

const FAILURES: [Row; 11] = [
    (
        Behavior::RejectedByBackend,
        SslMode::VerifyFull,
        "backend-rejects",
        "rejects pgpool before it asks for a password",
    ),
    (
        Behavior::RejectedByBackend,
        SslMode::VerifyFull,
        "backend-rejects",
        "connection requires a valid client certificate",
    ),
    (
        Behavior::DistrustBackend,
        SslMode::VerifyFull,
        "backend-untrusted",
        "`spec.clientConfig.caBundle`",
    ),
    (
        Behavior::DeclineTls,
        SslMode::Allow,
        "plain-text",
        "pgpool answers without TLS",
    ),
    (
        Behavior::DeclineTls,
        SslMode::Require,
        "plain-text",
        "pgpool answers without TLS",
    ),
    (
        Behavior::Reject,
        SslMode::VerifyFull,
        "rejected",
        "correct Secret demo/pg-auth",
    ),
    (
        Behavior::Reject,
        SslMode::VerifyFull,
        "rejected",
        "password does not match",
    ),
    (
        Behavior::RejectQuery,
        SslMode::VerifyFull,
        "rejected",
        "failed to authenticate",
    ),
    (
        Behavior::HangUp,
        SslMode::VerifyFull,
        "broken",
        "is PostgreSQL running?",
    ),
    (
        Behavior::HangUpBeforeTls,
        SslMode::VerifyFull,
        "broken",
        "is PostgreSQL running?",
    ),
    (Behavior::Hang, SslMode::VerifyFull, "timeout", "within 1 s"),
];

#[tokio::test]
async fn each_failure_is_explained() {
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    for (behavior, ssl_mode, kind, part) in FAILURES {
        let timeout = Duration::from_secs(1);
        let access = Access {
            ssl_mode,
            trust: pki.ca().into_bytes(),
            timeout,
            ..access()
        };
        let (probe, _) = probe(behavior, Some(&pair), access).await;
        let failure = probe.login.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.kind(), kind, "{behavior:?} {ssl_mode}: {text}");
        assert!(text.contains(part), "{behavior:?} {ssl_mode}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
        let before = matches!(behavior, Behavior::DeclineTls | Behavior::HangUpBeforeTls);
        assert_eq!(
            probe.served.is_none(),
            before,
            "{behavior:?}: the leaf is recorded whenever there is one"
        );
    }
}

#[tokio::test]
async fn a_server_of_an_untrusted_ca_gets_no_login() {
    let (pki, untrusted) = (Pki::new(), Pki::new().server(&["pool.demo.svc".to_owned()]));
    let access = Access {
        ssl_mode: SslMode::VerifyCa,
        trust: pki.ca().into_bytes(),
        ..access()
    };
    let (probe, _) = probe(Behavior::Serve, Some(&untrusted), access).await;
    let failure = probe.login.unwrap_err();
    assert_eq!(failure.kind(), "handshake", "{failure}");
    assert_eq!(probe.served.unwrap().fingerprint, untrusted.fingerprint);
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let pod = Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        tls: false,
    };
    let prober = NetworkProber::new(Arc::new(aws_lc_rs::default_provider())).on_port(port);
    let failure = prober.probe(pod, Arc::new(access())).await.login.unwrap_err();
    assert_eq!(failure.kind(), "unreachable");
}

/// Accepts connections until a client presents a certificate; returns how many it accepted.
async fn demand_certificate(listener: TcpListener, pki: &Pki, pair: &Pair) -> usize {
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
    for accepted in 1.. {
        let (mut stream, _) = listener.accept().await.unwrap();
        message(&mut stream, false).await.unwrap();
        stream.write_all(b"S").await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        if stream.get_ref().1.peer_certificates().is_some() {
            serve(stream, Behavior::Serve, WRITE_CHECK).await.unwrap();
            return accepted;
        }
        message(&mut stream, false).await.unwrap();
        stream.write_all(&answer(b'E', REFUSAL)).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    0
}

#[tokio::test]
async fn a_pod_that_still_demands_a_certificate_is_shown_the_previous_one() {
    let pki = Pki::new();
    let (server, client) = (pki.server(&["pool.demo.svc".to_owned()]), pki.client("postgres"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let prober = NetworkProber::new(Arc::new(aws_lc_rs::default_provider()))
        .on_port(listener.local_addr().unwrap().port());
    let pod = Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        tls: true,
    };
    let access = Access {
        ssl_mode: SslMode::Require,
        previous_client_certificate: Some(ClientCertificate {
            chain: client.certificate.into_bytes(),
            key: client.key.into_bytes(),
        }),
        ..access()
    };
    let (probe, accepted) = futures::join!(
        prober.probe(pod, Arc::new(access)),
        demand_certificate(listener, &pki, &server)
    );
    assert!(probe.login.is_ok(), "{probe:?}");
    assert_eq!(probe.served.unwrap().fingerprint, server.fingerprint);
    assert_eq!(accepted, 2);
}
