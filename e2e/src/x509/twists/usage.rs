//! What certificates may be used for.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tls_bundle::Role;

use super::authorities::{any_ca, own_issuer_name};
use crate::x509::certificate::{BasicConstraints, Extension, Link, common_name};
use crate::x509::der::{element, integer, null, octets, oid, sequence};
use crate::x509::plan::{CLIENT_AUTH, Plan, SERVER_AUTH};

pub(super) const ANY: &str = "2.5.29.37.0";
const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
const MICROSOFT_SGC: &str = "1.3.6.1.4.1.311.10.3.3";
const NETSCAPE_SGC: &str = "2.16.840.1.113730.4.1";

pub(super) fn extended(plan: &mut Plan, random: &mut StdRng) {
    let forms: [Option<Vec<&str>>; 9] = [
        None,
        Some(vec![]),
        Some(vec![ANY]),
        Some(vec![SERVER_AUTH]),
        Some(vec![CLIENT_AUTH]),
        Some(vec![EMAIL_PROTECTION]),
        Some(vec![ANY, SERVER_AUTH]),
        Some(vec![MICROSOFT_SGC]),
        Some(vec![NETSCAPE_SGC, EMAIL_PROTECTION]),
    ];
    let position = random.random_range(0..plan.links.len());
    plan.links[position].extended_key_usage = forms.choose(random).cloned().flatten();
}

pub(super) fn key(plan: &mut Plan, random: &mut StdRng) {
    let forms: [Option<&[u8]>; 10] = [
        None,
        Some(&[0]),
        Some(&[7, 0x80]),
        Some(&[5, 0x20]),
        Some(&[5, 0xA0]),
        Some(&[3, 0x08]),
        Some(&[2, 0x04]),
        Some(&[1, 0x02]),
        Some(&[1, 0x86]),
        Some(&[7, 0x00, 0x80]),
    ];
    let position = random.random_range(0..plan.links.len());
    let form = forms.choose(random).copied().flatten();
    plan.links[position].key_usage = form.map(<[u8]>::to_vec);
}

pub(super) fn basic_constraints(plan: &mut Plan, random: &mut StdRng) {
    let position = random.random_range(0..plan.links.len());
    let lengths = [
        None,
        Some(0),
        Some(1),
        Some(2),
        Some(u64::from(u32::MAX)),
        Some(1 << 40),
    ];
    plan.links[position].basic_constraints = random.random_bool(0.8).then(|| BasicConstraints {
        critical: random.random_bool(0.5),
        ca: random.random_bool(0.6),
        path_length: lengths.choose(random).copied().flatten(),
    });
}

/// The predecessor of extended key usages.
pub(super) fn netscape(plan: &mut Plan, random: &mut StdRng) {
    let position = random.random_range(0..plan.links.len());
    let forms: [&[u8]; 6] = [&[7, 0x80], &[6, 0x40], &[6, 0xC0], &[2, 0x04], &[0, 0x01], &[0]];
    let form = forms.choose(random).copied().unwrap_or(&[0]);
    let link = &mut plan.links[position];
    link.extensions.push(Extension {
        oid: "2.16.840.1.113730.1.1",
        critical: random.random_bool(0.3),
        value: element(0x03, form),
    });
    if random.random_bool(0.3) {
        link.basic_constraints = None;
        link.key_usage = None;
    }
}

/// Makes the plan one of a client that logs in as `postgres`, and returns its leaf.
fn client_leaf(plan: &mut Plan) -> &mut Link {
    plan.role = Role::Client;
    plan.dns_names.clear();
    let leaf = plan.leaf();
    leaf.subject = common_name("postgres");
    leaf.alternative_names.clear();
    leaf
}

/// The certificate of a client.
pub(super) fn role(plan: &mut Plan, random: &mut StdRng) {
    let leaf = client_leaf(plan);
    let forms = [
        vec![CLIENT_AUTH],
        vec![SERVER_AUTH],
        vec![ANY],
        vec![ANY, CLIENT_AUTH],
    ];
    leaf.extended_key_usage = forms.choose(random).cloned();
}

/// A client's certificate as the operators request it, issued by a CA that makes something else of it, or has its name.
pub(super) fn client(plan: &mut Plan, random: &mut StdRng) {
    client_leaf(plan);
    match random.random_range(0..3) {
        0 => own_issuer_name(plan, random),
        1 => extended(plan, random),
        _ => {
            let position = any_ca(plan, random);
            plan.links[position].subject = common_name("postgres");
        }
    }
}

/// A critical extension, which verifiers must know.
pub(super) fn critical(plan: &mut Plan, random: &mut StdRng) {
    let policies = || sequence(&[sequence(&[oid("2.5.29.32.0")])]);
    let access = || {
        let uri = element(0x86, b"http://example.com");
        sequence(&[sequence(&[oid("1.3.6.1.5.5.7.48.1"), uri])])
    };
    let names = || sequence(&[element(0x82, b"example.com")]);
    let known: [(&str, Vec<u8>); 15] = [
        ("2.5.29.14", octets(&[1; 20])),
        ("2.5.29.18", names()),
        ("2.5.29.32", policies()),
        (
            "2.5.29.33",
            sequence(&[sequence(&[oid("2.5.4.3.1"), oid("2.5.4.3.2")])]),
        ),
        ("2.5.29.36", sequence(&[element(0x80, &[0])])),
        ("2.5.29.54", integer(0)),
        ("1.3.6.1.5.5.7.1.1", access()),
        ("1.3.6.1.5.5.7.1.11", access()),
        ("1.3.6.1.5.5.7.48.1.5", null()),
        ("1.3.6.1.5.5.7.1.24", sequence(&[integer(5)])),
        ("2.16.840.1.113730.1.13", element(0x16, b"comment")),
        ("1.3.6.1.4.1.11129.2.4.3", null()),
        ("2.5.29.9", sequence(&[])),
        ("2.5.29.31", sequence(&[])),
        ("1.2.3.4.5", null()),
    ];
    let position = random.random_range(0..plan.links.len());
    if let Some((kind, value)) = known.choose(random) {
        plan.links[position].extensions.push(Extension {
            oid: kind,
            critical: random.random_bool(0.7),
            value: value.clone(),
        });
    }
}
