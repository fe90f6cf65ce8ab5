//! Against a TLS server in this process.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::fixtures::{Pair, Pki};
use crate::health::fixtures::access;

mod agreement;

/// Without the checks that a server makes, so that it serves anything.
fn parsed(pair: &Pair) -> CertifiedKey {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    CertifiedKey::new(chain, key.unwrap())
}

/// What a pod that was given this pair must serve.
fn expected(pair: &Pair) -> ExpectedCertificate {
    ExpectedCertificate {
        leaf: pair.fingerprint,
        ca: Some(pair.ca.as_bytes().into()),
    }
}

/// Connects to a server with this pair, which asks for a client certificate of `clients` if there are any.
async fn handshake(access: &Access, pair: &Pair, clients: Option<&Pki>) -> (io::Result<()>, Transcript) {
    handshake_expecting(Some(expected(pair)), access, pair, clients).await
}

/// The same, to a server that must have this certificate.
async fn handshake_expecting(
    expected: Option<ExpectedCertificate>,
    access: &Access,
    pair: &Pair,
    clients: Option<&Pki>,
) -> (io::Result<()>, Transcript) {
    handshake_over(rustls::DEFAULT_VERSIONS, expected, access, pair, clients).await
}

async fn handshake_over(
    versions: &[&'static rustls::SupportedProtocolVersion],
    expected: Option<ExpectedCertificate>,
    access: &Access,
    pair: &Pair,
    clients: Option<&Pki>,
) -> (io::Result<()>, Transcript) {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap();
    let config = match clients {
        Some(pki) => {
            let mut roots = rustls::RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(pki.ca().as_bytes()).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
            config.with_client_cert_verifier(verifier)
        }
        None => config.with_no_client_auth(),
    };
    let acceptor = TlsAcceptor::from(Arc::new(
        config.with_cert_resolver(Arc::new(SingleCertAndKey::from(parsed(pair)))),
    ));
    let (near, far) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"!").await?;
        stream.shutdown().await
    });
    let (connector, transcript) = Connector::new(access, expected, access.ssl_mode, &provider).unwrap();
    let answer = async {
        let mut stream = connector.connect(near).await?;
        // With TLS 1.3 a rejected client learns it only here.
        stream.read_u8().await.map(|_| ())
    };
    let answer = answer.await;
    let served = server.await.unwrap();
    assert!(
        transcript.refusal().is_none() || served.is_err(),
        "a handshake was completed with a server that is not the pod"
    );
    (answer, transcript)
}

#[tokio::test]
async fn verifies_as_strictly_as_the_mode_demands_and_always_records_the_leaf() {
    use SslMode::{Allow, Prefer, Require, VerifyCa, VerifyFull};
    let (pki, other) = (Pki::new(), Pki::new());
    let named = pki.server(&["pool.demo.svc".to_owned()]);
    let misnamed = pki.server(&["elsewhere.example".to_owned()]);
    let foreign = Pair {
        ca: pki.ca(),
        ..other.server(&["pool.demo.svc".to_owned()])
    };
    for (mode, expected) in [
        (Allow, [true, true, true]),
        (Prefer, [true, true, true]),
        (Require, [true, true, true]),
        (VerifyCa, [true, true, false]),
        (VerifyFull, [true, false, false]),
    ] {
        for (pair, accepted) in [&named, &misnamed, &foreign].into_iter().zip(expected) {
            let access = Access {
                ssl_mode: mode,
                ..access()
            };
            let (answer, transcript) = handshake(&access, pair, None).await;
            assert_eq!(answer.is_ok(), accepted, "{mode} {answer:?}");
            assert!(transcript.tls_started());
            let served = transcript.served().unwrap();
            assert_eq!(served.fingerprint, pair.fingerprint, "{mode}");
            assert_eq!(served.not_after, Some("2040-01-01T00:00:00Z".parse().unwrap()));
        }
    }
}

#[tokio::test]
async fn one_of_the_names_is_enough_and_none_demands_none() {
    let pki = Pki::new();
    let pair = pki.server(&["b.example".to_owned()]);
    for (names, accepted) in [
        (vec!["a.example", "b.example"], true),
        (vec!["b.example", "a.example"], true),
        (vec!["a.example", "c.example"], false),
        (vec!["10.0.0.7"], false),
        (vec![], true),
    ] {
        let access = Access {
            ssl_mode: SslMode::VerifyFull,
            server_names: names.iter().copied().map(str::to_owned).collect(),
            ..access()
        };
        let (answer, _) = handshake(&access, &pair, None).await;
        assert_eq!(answer.is_ok(), accepted, "{names:?} {answer:?}");
    }
    let nameless = Access {
        ssl_mode: SslMode::VerifyFull,
        server_names: Vec::new(),
        ..access()
    };
    let untrusted = Pair {
        ca: Pki::new().ca(),
        ..pair
    };
    assert!(handshake(&nameless, &untrusted, None).await.0.is_err());
}

#[tokio::test]
async fn another_certificate_is_refused_in_every_mode_before_a_client_certificate_is_shown() {
    use SslMode::{Allow, Prefer, Require, VerifyCa, VerifyFull};
    let pki = Pki::new();
    let (own, other) = (
        pki.server(&["pool.demo.svc".to_owned()]),
        pki.server(&["pool.demo.svc".to_owned()]),
    );
    let client = pki.client("postgres");
    for mode in [Allow, Prefer, Require, VerifyCa, VerifyFull] {
        let access = Access {
            ssl_mode: mode,
            client: Some(ClientCertificate {
                chain: client.certificate.clone().into_bytes(),
                key: client.key.clone().into_bytes(),
            }),
            ..access()
        };
        for expected in [Some(expected(&own)), None] {
            let (answer, transcript) = handshake_expecting(expected, &access, &other, Some(&pki)).await;
            assert!(answer.is_err(), "{mode}");
            assert_eq!(transcript.refusal(), Some(Refusal::Certificate), "{mode}");
            assert_eq!(
                transcript.served().unwrap().fingerprint,
                other.fingerprint,
                "{mode}"
            );
        }
    }
}

#[tokio::test]
async fn trusts_every_ca_of_the_bundle() {
    let (old, new) = (Pki::new(), Pki::new());
    let access = Access {
        ssl_mode: SslMode::VerifyFull,
        ..access()
    };
    for pki in [&old, &new] {
        let pair = Pair {
            ca: format!("{}\n{}", old.ca(), new.ca()),
            ..pki.server(&["pool.demo.svc".to_owned()])
        };
        let (answer, _) = handshake(&access, &pair, None).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn presents_the_client_certificate_when_there_is_one() {
    let pki = Pki::new();
    let pair = pki.server(&["pool.demo.svc".to_owned()]);
    let client = pki.client("postgres");
    let shown = ClientCertificate {
        chain: client.certificate.into_bytes(),
        key: client.key.into_bytes(),
    };
    for (client, accepted) in [(Some(shown), true), (None, false)] {
        let access = Access {
            ssl_mode: SslMode::VerifyFull,
            client,
            ..access()
        };
        let (answer, transcript) = handshake(&access, &pair, Some(&pki)).await;
        assert_eq!(answer.is_ok(), accepted, "{answer:?}");
        assert!(transcript.served().is_some());
    }
}

#[test]
fn names_what_cannot_be_used() {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pki = Pki::new();
    let strict = || Access {
        ssl_mode: SslMode::VerifyFull,
        ..access()
    };
    let result = |access: Access| match Connector::new(&access, None, access.ssl_mode, &provider) {
        Ok(_) => "usable".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(result(strict()), "usable");
    let pair = ClientCertificate {
        chain: pki.client("postgres").certificate.into_bytes(),
        key: b"nothing".to_vec(),
    };
    let keyless = result(Access {
        client: Some(pair),
        ..strict()
    });
    assert!(keyless.contains("client certificate"), "{keyless}");
}
