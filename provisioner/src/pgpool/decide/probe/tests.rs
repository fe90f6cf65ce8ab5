use std::sync::Arc;

use k8s_openapi::ByteString;

use super::*;
use crate::fixtures::{Pair, Pki, secret};
use crate::health::ExpectedCertificate;

#[test]
fn each_pod_is_held_against_the_certificate_that_it_mounts() {
    let pki = Pki::new();
    let (old, new) = (pki.server(&["old".to_owned()]), pki.server(&["new".to_owned()]));
    let pod = |ordinal: u8, revision: Option<&str>| PodFacts {
        ip: Some([10, 0, 0, ordinal].into()),
        running: true,
        mounted_certificates: revision.map(|name| name.to_owned().into()),
        ..PodFacts::default()
    };
    let mut world = Observed {
        pods: vec![
            pod(1, None),
            pod(2, Some("old")),
            pod(3, Some("new")),
            pod(4, Some("gone")),
        ],
        ..Observed::default()
    };
    for (name, pair) in [("old", &old), ("new", &new)] {
        let mut copy = secret(name, pair);
        let ca = ByteString(pair.ca.clone().into());
        copy.data
            .get_or_insert_default()
            .insert("server-ca.pem".to_owned(), ca);
        let copy = Arc::new(copy);
        world.live.tls_copies.insert(name.to_owned().into(), copy);
    }
    let certificate = |secret: &str, pair: &Pair| PodIdentity::Certificate {
        certificate: ExpectedCertificate {
            leaf: pair.fingerprint,
            ca: Some(pair.ca.as_bytes().into()),
        },
        secret: secret.to_owned(),
    };
    let gone = PodIdentity::Unknown {
        secret: "gone".to_owned(),
    };
    let identities: Vec<_> = targets(&world).into_iter().map(|pod| pod.identity).collect();
    let expected = [
        PodIdentity::PlainText,
        certificate("old", &old),
        certificate("new", &new),
        gone,
    ];
    assert_eq!(identities, expected);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn addresses_that_are_not_the_pods_alone_are_not_dialed() {
    let pki = Pki::new();
    let pair = pki.server(&["pool".to_owned()]);
    let node = |ip: &str| AddressRefusal::Node(ip.parse().unwrap());
    let impossible = |ip: &str| AddressRefusal::Impossible(ip.parse().unwrap());
    let rows = [
        ("10.1.2.3", false, None, None),
        ("fd00::1", false, None, None),
        ("10.0.0.1", true, Some(node("10.0.0.1")), None),
        (
            "127.0.0.1",
            false,
            Some(impossible("127.0.0.1")),
            Some(impossible("127.0.0.1")),
        ),
        ("::1", false, Some(impossible("::1")), Some(impossible("::1"))),
        (
            "::ffff:127.0.0.1",
            false,
            Some(impossible("::ffff:127.0.0.1")),
            Some(impossible("::ffff:127.0.0.1")),
        ),
        (
            "169.254.169.254",
            false,
            Some(impossible("169.254.169.254")),
            Some(impossible("169.254.169.254")),
        ),
        (
            "fe80::1",
            false,
            Some(impossible("fe80::1")),
            Some(impossible("fe80::1")),
        ),
        (
            "0.0.0.0",
            false,
            Some(impossible("0.0.0.0")),
            Some(impossible("0.0.0.0")),
        ),
        (
            "224.0.0.1",
            false,
            Some(impossible("224.0.0.1")),
            Some(impossible("224.0.0.1")),
        ),
    ];
    for (ip, is_node_ip, without_tls, with_tls) in rows {
        for (revision, expected) in [(None, without_tls), (Some("copy"), with_tls)] {
            let mut world = Observed {
                pods: vec![PodFacts {
                    ip: Some(ip.parse().unwrap()),
                    is_node_ip,
                    running: true,
                    mounted_certificates: revision.map(|name| name.to_owned().into()),
                    ..PodFacts::default()
                }],
                ..Observed::default()
            };
            let copy = Arc::new(secret("copy", &pair));
            world.live.tls_copies.insert("copy".to_owned().into(), copy);
            let refusal = targets(&world)[0].address_refusal;
            assert_eq!(refusal, expected, "{ip} with {revision:?}");
        }
    }
}
