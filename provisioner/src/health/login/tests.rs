//! Against a fake pgpool in this process.

use std::net::Ipv4Addr;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared_types::conditions::Reason;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::fixtures::{Pair, Pki};
use crate::health::fixtures::access;
use crate::health::{AddressRefusal, ClientCertificate};

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
    HangBeforeTls,
    AskClearText,
    AskMd5,
    AskKerberos,
    /// SCRAM with so many iterations, and a signature that proves nothing.
    AskScram(u32),
    /// Notices without end, this long.
    Flood(usize),
    /// A byte now and then.
    Trickle,
}

fn certificate(pair: &Pair) -> PodIdentity {
    PodIdentity::Certificate {
        certificate: ExpectedCertificate {
            leaf: pair.fingerprint,
            ca: Some(pair.ca.as_bytes().into()),
        },
        secret: "pool-tls-a".to_owned(),
    }
}

fn request(code: u32, rest: &[u8]) -> Vec<u8> {
    answer(b'R', &[&code.to_be_bytes(), rest].concat())
}

/// A login by SCRAM as far as a server gets that does not know the password; returns the type of the last message received.
async fn scram(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), iterations: u32) -> io::Result<u8> {
    stream.write_all(&request(10, b"SCRAM-SHA-256\0\0")).await?;
    let (_, first) = message(stream, true).await?;
    let first = String::from_utf8(first).unwrap();
    let nonce = first.rsplit("r=").next().unwrap();
    let challenge = format!("r={nonce}x,s=c2FsdA==,i={iterations}");
    stream.write_all(&request(11, challenge.as_bytes())).await?;
    let (kind, proof) = message(stream, true).await?;
    assert!(String::from_utf8(proof).unwrap().contains(",p="));
    let signature = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    stream.write_all(&request(12, signature.as_bytes())).await?;
    stream.write_all(&request(0, b"")).await?;
    match message(stream, true).await {
        Ok((kind, _)) => Ok(kind),
        Err(_) => Ok(kind),
    }
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
#[expect(clippy::too_many_lines, reason = "one arm for each behavior")]
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
        Behavior::AskClearText => {
            stream.write_all(&request(3, b"")).await?;
            return Ok(message(&mut stream, true).await?.0);
        }
        Behavior::AskMd5 => {
            stream.write_all(&request(5, b"salt")).await?;
            return Ok(message(&mut stream, true).await?.0);
        }
        Behavior::AskKerberos => {
            stream.write_all(&request(7, b"")).await?;
            return Ok(message(&mut stream, true).await?.0);
        }
        Behavior::AskScram(iterations) => return scram(&mut stream, iterations).await,
        Behavior::Flood(length) => {
            stream.write_all(&request(0, b"")).await?;
            let notice = answer(b'N', &vec![b'x'; length]);
            loop {
                stream.write_all(&notice).await?;
            }
        }
        Behavior::Trickle => {
            stream.write_all(&request(0, b"")).await?;
            stream.write_all(b"N\0\x01\0\0").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
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
    probe_expecting(pair, behavior, pair, access).await
}

/// The same, of a pod that must have a certificate of its own.
async fn probe_expecting(
    own: Option<&Pair>,
    behavior: Behavior,
    pair: Option<&Pair>,
    access: Access,
) -> (Probe, Option<u8>) {
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
            Behavior::HangBeforeTls => return std::future::pending().await,
            Behavior::DeclineTls => {
                stream.write_all(b"N").await?;
                return Ok(message(&mut stream, false).await?.0);
            }
            _ => stream.write_all(b"S").await?,
        }
        serve(acceptor.accept(stream).await?, behavior, expected).await
    });
    let pod = Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        identity: own.map_or(PodIdentity::PlainText, certificate),
        address_refusal: None,
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

const FAILURES: [Row; 12] = [
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
    (
        Behavior::Hang,
        SslMode::VerifyFull,
        "timeout",
        "pg.demo.svc:5432 (AppBinding demo/pg) does not answer",
    ),
    (
        Behavior::HangBeforeTls,
        SslMode::VerifyFull,
        "no-free-child",
        "within 1 s: clients have all 5 (`num_init_children`)",
    ),
];

#[tokio::test]
async fn each_failure_is_explained() {
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    for (behavior, ssl_mode, kind, part) in FAILURES {
        let timeout = Duration::from_secs(1);
        let access = Access {
            ssl_mode,
            timeout,
            ..access()
        };
        let (probe, received) = probe(behavior, Some(&pair), access).await;
        if behavior == Behavior::DeclineTls {
            assert_eq!(received, None, "nothing is sent without TLS");
        }
        let failure = probe.login.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.kind(), kind, "{behavior:?} {ssl_mode}: {text}");
        assert!(text.contains(part), "{behavior:?} {ssl_mode}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
        let before = matches!(
            behavior,
            Behavior::DeclineTls | Behavior::HangUpBeforeTls | Behavior::HangBeforeTls
        );
        assert_eq!(
            probe.served.is_none(),
            before,
            "{behavior:?}: the leaf is recorded whenever there is one"
        );
    }
}

#[tokio::test]
async fn a_pod_with_another_certificate_gets_no_login_in_any_mode() {
    use SslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
    let pki = Pki::new();
    let names = ["pool.demo.svc".to_owned()];
    let (own, other) = (pki.server(&names), pki.server(&names));
    // With `Disable`, the pod is from before TLS was disabled.
    for ssl_mode in [Disable, Allow, Prefer, Require, VerifyCa, VerifyFull] {
        let access = Access { ssl_mode, ..access() };
        let (probe, received) = probe_expecting(Some(&own), Behavior::Serve, Some(&other), access).await;
        assert_eq!(received, None, "{ssl_mode}: the server got a message");
        assert_eq!(probe.served.unwrap().fingerprint, other.fingerprint);
        let failure = probe.login.unwrap_err();
        assert_eq!(failure.kind(), "wrong-certificate");
        assert_eq!(failure.reason(), Some(Reason::PodsNotServing));
        let text = failure.to_string();
        let (shown, expected) = (other.fingerprint.to_string(), own.fingerprint.to_string());
        for part in [shown.as_str(), &expected, "pool-tls-a", "delete the pod"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[tokio::test]
async fn requests_that_would_give_the_password_away_are_not_answered() {
    use Behavior::{AskClearText, AskKerberos, AskMd5, AskScram};
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    let refused = Some(Reason::PasswordRequestRefused);
    // What the pod asks for; whether it has TLS, and the pool md5; the reason, and the last message that the pod got.
    let rows = [
        (AskClearText, false, true, refused, None),
        (AskClearText, true, true, refused, None),
        (AskMd5, false, false, refused, None),
        (AskMd5, false, true, None, Some(b'p')),
        (AskMd5, true, false, None, Some(b'p')),
        (AskKerberos, true, true, refused, None),
        (AskScram(1), false, true, refused, None),
        (AskScram(u32::MAX), true, true, refused, None),
        (
            AskScram(4096),
            false,
            true,
            Some(Reason::PodNotAuthentic),
            Some(b'p'),
        ),
        (
            AskScram(4096),
            true,
            true,
            Some(Reason::PodNotAuthentic),
            Some(b'p'),
        ),
    ];
    for (behavior, tls, md5, reason, expected) in rows {
        let pair = tls.then_some(&pair);
        let access = Access {
            ssl_mode: if tls { SslMode::Require } else { SslMode::Disable },
            md5,
            ..access()
        };
        let (probe, received) = probe(behavior, pair, access).await;
        let failure = probe.login.unwrap_err();
        assert_eq!(failure.reason(), reason, "{behavior:?} {tls} {md5}: {failure}");
        assert_eq!(received, expected, "{behavior:?} {tls} {md5}");
        assert!(!failure.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn bytes_and_time_of_a_probe_are_bounded() {
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    let rows = [
        (Behavior::Flood(0), "too-long"),
        (Behavior::Flood(1_000_000), "too-long"),
        (Behavior::Trickle, "timeout"),
    ];
    for (behavior, kind) in rows {
        for pair in [None, Some(&pair)] {
            let access = Access {
                ssl_mode: pair.map_or(SslMode::Disable, |_| SslMode::Require),
                timeout: Duration::from_secs(1),
                ..access()
            };
            let started = std::time::Instant::now();
            let (probe, _) = probe(behavior, pair, access).await;
            assert_eq!(probe.login.unwrap_err().kind(), kind, "{behavior:?}");
            assert!(started.elapsed() < Duration::from_secs(5), "{behavior:?}");
        }
    }
}

#[tokio::test]
async fn what_a_pod_says_is_cut_and_kept_on_one_line() {
    let text = quoted(&format!("line\nline\x1b[31m{}", "ä".repeat(10_000)));
    assert!(text.starts_with("line line [31mää") && text.ends_with('…') && text.chars().count() <= 501);
    let rows = [
        ("28P01", "28P01"),
        ("XX000", "XX000"),
        ("", "XXXXX"),
        ("28P01\n", "XXXXX"),
    ];
    for (code, expected) in rows {
        assert_eq!(sqlstate(code), expected);
    }
}

#[tokio::test]
async fn no_connection_is_opened_to_a_pod_that_cannot_be_recognized() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let prober = NetworkProber::new(Arc::new(aws_lc_rs::default_provider()))
        .on_port(listener.local_addr().unwrap().port());
    let pod = || Pod {
        uid: "a".to_owned(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ready: true,
        identity: PodIdentity::PlainText,
        address_refusal: None,
    };
    let unknown = Pod {
        identity: PodIdentity::Unknown {
            secret: "pool-tls-a".to_owned(),
        },
        ..pod()
    };
    let on_node = Pod {
        address_refusal: Some(AddressRefusal::Node(Ipv4Addr::LOCALHOST.into())),
        ..pod()
    };
    for (pod, reason) in [
        (unknown, Reason::PodsNotServing),
        (on_node, Reason::PodAddressRefused),
    ] {
        let failure = prober.probe(pod, Arc::new(access())).await.login.unwrap_err();
        assert_eq!(failure.reason(), Some(reason), "{failure}");
    }
    let none = FutureExt::now_or_never(listener.accept());
    assert!(none.is_none(), "a connection was opened");
}

#[tokio::test]
async fn a_certificate_that_clients_refuse_gets_no_login() {
    let served = Pki::new().server(&["pool.demo.svc".to_owned()]);
    let unknown = Pair {
        ca: Pki::new().ca(),
        ..served.clone()
    };
    for (mode, pair, accepted) in [
        (SslMode::VerifyCa, &served, true),
        (SslMode::VerifyCa, &unknown, false),
        (SslMode::Require, &unknown, true),
    ] {
        let access = Access {
            ssl_mode: mode,
            ..access()
        };
        let (probe, _) = probe(Behavior::Serve, Some(pair), access).await;
        assert_eq!(probe.served.unwrap().fingerprint, served.fingerprint);
        assert_eq!(probe.login.is_ok(), accepted, "{mode}: {:?}", probe.login);
        if let Err(failure) = probe.login {
            assert_eq!(failure.kind(), "unverified", "{failure}");
            assert_eq!(failure.reason(), Some(Reason::PodsNotServing));
            let text = failure.to_string();
            assert!(text.contains("pool-tls-a") && text.contains("ca.crt"), "{text}");
        }
    }
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
        identity: PodIdentity::PlainText,
        address_refusal: None,
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
        identity: certificate(&server),
        address_refusal: None,
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
