//! Name constraints of every kind, as OpenSSL compares them.

use rcgen::{CertificateParams, SanType};

use crate::openssl::{SUBJECT_ALT_NAME, accepted, issued_by, only_chain, refused, self_signed};
use crate::support::{Ca, Secret, below, ca_params, extension, leaf_params, p256, tlv};

const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
const COMMON_NAME: u8 = 3;
const ORGANIZATION: u8 = 10;

/// A CA with these name constraints in DER, permitted and excluded.
fn constrained(permitted: &[u8], excluded: &[u8]) -> Ca {
    let list = |tag, subtrees: &[u8]| {
        if subtrees.is_empty() {
            vec![]
        } else {
            tlv(tag, subtrees)
        }
    };
    let value = tlv(0x30, &[list(0xa0, permitted), list(0xa1, excluded)].concat());
    self_signed(|params| params.custom_extensions = vec![extension(NAME_CONSTRAINTS, true, value)])
}

/// A subtree of one name.
fn subtree(tag: u8, base: &[u8]) -> Vec<u8> {
    tlv(0x30, &tlv(tag, base))
}

/// A name of one attribute of X.520 as `UTF8String`.
fn name(attribute: u8, value: &str) -> Vec<u8> {
    let oid = tlv(6, &[0x55, 4, attribute]);
    let attribute = tlv(0x30, &[oid, tlv(0x0c, value.as_bytes())].concat());
    tlv(0x30, &tlv(0x31, &attribute))
}

/// A CA that permits, or excludes, this subtree.
#[derive(Clone, Copy)]
enum Says {
    Permit,
    Exclude,
}

use Says::{Exclude, Permit};

/// Whether a leaf below the CA is accepted.
#[track_caller]
fn leaf_is(fits: bool, says: Says, subtree: &[u8], change: impl FnOnce(&mut CertificateParams)) {
    let ca = match says {
        Permit => constrained(subtree, &[]),
        Exclude => constrained(&[], subtree),
    };
    let found = issued_by(&ca, change).verify_for(&only_chain());
    assert_eq!(found.fits(), fits, "{:?}", found.failures);
}

#[test]
fn the_subject_is_a_name_too() {
    let directory = |attribute, value| subtree(0xa4, &name(attribute, value));
    leaf_is(false, Permit, &directory(ORGANIZATION, "ACME"), |_| ());
    leaf_is(true, Permit, &directory(COMMON_NAME, " POOL.demo.svc"), |_| ());
    leaf_is(false, Exclude, &directory(COMMON_NAME, "pool.demo.svc"), |_| ());
    leaf_is(true, Exclude, &directory(COMMON_NAME, "pool"), |_| ());
    // The empty name is above all.
    leaf_is(false, Exclude, &subtree(0xa4, &tlv(0x30, &[])), |_| ());
}

#[test]
fn mail_addresses_are_compared_by_address_host_or_domain() {
    let mail = |params: &mut CertificateParams| {
        let mail = SanType::Rfc822Name("a@Example.COM".try_into().unwrap());
        params.subject_alt_names.push(mail);
    };
    for (base, within) in [
        ("example.com", true),
        ("a@example.com", true),
        ("@example.com", true),
        ("A@example.com", false),
        (".com", true),
        ("com", false),
        ("", false),
    ] {
        let subtree = subtree(0x81, base.as_bytes());
        leaf_is(within, Permit, &subtree, mail);
        leaf_is(!within, Exclude, &subtree, mail);
        leaf_is(true, Permit, &subtree, |_| ());
    }
}

#[test]
fn uris_are_compared_by_host() {
    let with = |text: &'static str| {
        move |params: &mut CertificateParams| {
            params
                .subject_alt_names
                .push(SanType::URI(text.try_into().unwrap()));
        }
    };
    for (base, within) in [
        ("Cluster.local", true),
        (".LOCAL", true),
        (".cluster.local", false),
        ("local", false),
    ] {
        let subtree = subtree(0x86, base.as_bytes());
        for uri in [
            "spiffe://cluster.local/ns/demo",
            "https://cluster.local:80/",
            "x://cluster.local",
        ] {
            leaf_is(within, Permit, &subtree, with(uri));
            leaf_is(!within, Exclude, &subtree, with(uri));
        }
        // Without a host nothing can be compared.
        for uri in ["urn:x", "file:///x"] {
            leaf_is(false, Permit, &subtree, with(uri));
            leaf_is(false, Exclude, &subtree, with(uri));
        }
    }
}

#[test]
fn a_common_name_is_a_host_name_where_there_is_no_dns_name() {
    let no_dns = |params: &mut CertificateParams| {
        params
            .subject_alt_names
            .retain(|name| matches!(name, SanType::IpAddress(_)));
    };
    leaf_is(false, Permit, &subtree(0x82, b"example"), no_dns);
    leaf_is(true, Permit, &subtree(0x82, b".demo.svc"), no_dns);
    leaf_is(false, Permit, &subtree(0x82, b".svc"), |_| ());
    leaf_is(false, Exclude, &subtree(0x82, b"svc"), no_dns);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    leaf_is(false, Permit, &subtree(0x87, &[127, 0, 0, 1, 255]), |_| ());
    leaf_is(true, Permit, &subtree(0x88, &[0x2a, 3]), |_| ());
    for depth in [tlv(0x80, &[1]), tlv(0x81, &[9])] {
        let subtree = tlv(0x30, &[tlv(0x82, b"x"), depth].concat());
        leaf_is(false, Exclude, &subtree, |_| ());
    }
    let zero = tlv(0x30, &[tlv(0x82, b"x"), tlv(0x80, &[0])].concat());
    leaf_is(true, Exclude, &zero, |_| ());
}

#[test]
fn name_constraints_are_about_intermediates_too_and_about_malformed_names() {
    let root = constrained(&subtree(0xa4, &name(3, "pool.demo.svc")), &[]);
    let lower = below(&root, ca_params("lower"));
    let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
    secret.certificate.push_str(&lower.pem());
    secret.ca = root.pem();
    refused(
        "subject of an intermediate",
        &secret,
        "does not permit the name \"CN=lower\"",
    );

    let names = |names: &[u8]| tlv(0x30, names);
    let with = |root: &Ca, value: Vec<u8>| {
        issued_by(root, |params| {
            params.subject_alt_names.clear();
            params.custom_extensions = vec![extension(SUBJECT_ALT_NAME, false, value)];
        })
    };
    let net = constrained(&subtree(0x87, &[127, 0, 0, 1, 255, 0, 0, 0]), &[]);
    let five = with(&net, names(&tlv(0x87, &[127, 0, 0, 1, 1])));
    refused("address of five octets", &five, "clients cannot check");
    let other = [tlv(6, &[0x2a, 3]), tlv(0xa0, &tlv(5, &[]))].concat();
    let of_own_kind = constrained(&subtree(0xa0, &other), &[]);
    let secret = with(&of_own_kind, names(&tlv(0xa0, &other)));
    refused("a kind of its own", &secret, "clients cannot check");
    accepted("without such a name", &issued_by(&of_own_kind, |_| ()));
}
