//! Name constraints of every kind, and names that they meet or not.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::authorities::any_ca;
use crate::x509::certificate::{
    Attribute, COMMON_NAME, EMAIL, Extension, IA5, ORGANIZATION, PRINTABLE, attribute, common_name, name_der,
};
use crate::x509::der::{element, oid, sequence, tagged};
use crate::x509::plan::Plan;

const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// Adds them to a CA: bases that are permitted, bases that are excluded.
fn constrain(plan: &mut Plan, random: &mut StdRng, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) {
    let subtrees = |bases: &[Vec<u8>]| {
        bases
            .iter()
            .map(|base| sequence(std::slice::from_ref(base)))
            .collect::<Vec<_>>()
    };
    let mut parts = Vec::new();
    if !permitted.is_empty() {
        parts.push(tagged(0, &subtrees(permitted).concat()));
    }
    if !excluded.is_empty() {
        parts.push(tagged(1, &subtrees(excluded).concat()));
    }
    let position = any_ca(plan, random);
    plan.links[position].extensions.push(Extension {
        oid: NAME_CONSTRAINTS,
        critical: random.random_bool(0.7),
        value: sequence(&parts),
    });
}

/// Either permitted or excluded.
fn either(plan: &mut Plan, random: &mut StdRng, base: Vec<u8>) {
    if random.random_bool(0.6) {
        constrain(plan, random, &[base], &[]);
    } else {
        constrain(plan, random, &[], &[base]);
    }
}

fn one_of<'a>(random: &mut StdRng, forms: &[&'a str]) -> &'a str {
    forms.choose(random).copied().unwrap_or_default()
}

pub(super) fn dns_names(plan: &mut Plan, random: &mut StdRng) {
    let forms = [
        "demo.svc",
        ".demo.svc",
        "svc",
        "DEMO.SVC",
        "pool.demo.svc",
        "example.com",
        "",
        "emo.svc",
        ".",
        "demo.svc.",
        "*.demo.svc",
    ];
    let base = one_of(random, &forms);
    let base = element(0x82, base.as_bytes());
    if random.random_bool(0.3) {
        plan.leaf()
            .alternative_names
            .retain(|name| name.first() != Some(&0x82));
        plan.dns_names.clear();
        plan.ip_addresses = vec![[127, 0, 0, 1].into()];
        let host = one_of(
            random,
            &[
                "pool.demo.svc",
                "host.example.com",
                "a name",
                "pool",
                "x.demo.svc.",
            ],
        );
        plan.leaf().subject = common_name(host);
    }
    either(plan, random, base);
}

pub(super) fn other_names(plan: &mut Plan, random: &mut StdRng) {
    let (base, name) = match random.random_range(0..6) {
        0 => (network(random), element(0x87, &[10, 1, 2, 3])),
        1 => mail(random),
        2 => uri(random),
        3 => (element(0x88, &[0x2A, 0x03]), element(0x88, &[0x2A, 0x03])),
        4 => {
            let other = [
                oid("1.3.6.1.4.1.311.20.2.3"),
                tagged(0, &element(0x0C, b"a@demo.svc")),
            ]
            .concat();
            (tagged(0, &other), tagged(0, &other))
        }
        _ => (element(0x82, b"demo.svc"), element(0x81, b"a@example.com")),
    };
    if random.random_bool(0.7) {
        plan.leaf().alternative_names.push(name);
    }
    if random.random_bool(0.2) {
        plan.leaf().subject.push(Attribute {
            oid: EMAIL,
            tag: IA5,
            value: one_of(random, &["a@demo.svc", "a@example.com", "none", ""]).into(),
        });
    }
    either(plan, random, base);
}

fn network(random: &mut StdRng) -> Vec<u8> {
    let networks: [&[u8]; 7] = [
        &[127, 0, 0, 0, 255, 0, 0, 0],
        &[10, 0, 0, 0, 255, 0, 0, 0],
        &[0; 8],
        &[0; 32],
        &[127, 0, 0, 1, 255],
        &[127, 0, 0, 0, 255, 0, 255, 0],
        &[],
    ];
    element(0x87, networks.choose(random).copied().unwrap_or_default())
}

/// A constraint and a name.
fn mail(random: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
    let bases = [
        "demo.svc",
        ".demo.svc",
        "a@demo.svc",
        "A@DEMO.SVC",
        "@demo.svc",
        "",
        "example.com",
        "a@@b",
    ];
    let names = [
        "a@demo.svc",
        "b@x.demo.svc",
        "demo.svc",
        "a@Demo.Svc",
        "a@",
        "@",
        "\"a@b\"@demo.svc",
    ];
    let base = element(0x81, one_of(random, &bases).as_bytes());
    (base, element(0x81, one_of(random, &names).as_bytes()))
}

/// A constraint and a name.
fn uri(random: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
    let bases = ["demo.svc", ".demo.svc", "example.com", "", "spiffe://demo.svc"];
    let names = [
        "spiffe://demo.svc/x",
        "https://u@demo.svc:1/",
        "https://demo.svc",
        "urn:x",
        "https://[::1]/",
        "https://10.0.0.1/",
        "//demo.svc",
    ];
    let base = element(0x86, one_of(random, &bases).as_bytes());
    (base, element(0x86, one_of(random, &names).as_bytes()))
}

pub(super) fn directory(plan: &mut Plan, random: &mut StdRng) {
    let organization = |value: &str, tag| {
        let mut part = attribute(ORGANIZATION, value);
        part.tag = tag;
        part
    };
    let bases = [
        vec![organization("ACME", PRINTABLE)],
        vec![organization("acme", crate::x509::certificate::UTF8)],
        vec![organization(" ACME  ", PRINTABLE)],
        vec![organization("Example Inc", PRINTABLE)],
        vec![],
        vec![
            organization("ACME", PRINTABLE),
            attribute(COMMON_NAME, "pool.demo.svc"),
        ],
        vec![attribute(COMMON_NAME, "pool.demo.svc")],
    ];
    let base = bases.choose(random).cloned().unwrap_or_default();
    match random.random_range(0..4) {
        0 => plan.leaf().subject.insert(0, attribute(ORGANIZATION, "ACME")),
        1 => plan.leaf().subject.push(attribute(ORGANIZATION, "ACME")),
        2 => {
            let name = name_der(&vec![organization("ACME", PRINTABLE)]);
            plan.leaf().alternative_names.push(tagged(4, &name));
        }
        _ => {}
    }
    if random.random_bool(0.2) {
        plan.leaf().subject.clear();
    }
    either(plan, random, tagged(4, &name_der(&base)));
}

/// Constraints that are no valid ones, or in the wrong place.
pub(super) fn odd(plan: &mut Plan, random: &mut StdRng) {
    let dns = element(0x82, b"demo.svc");
    let base = |more: &[u8]| sequence(&[dns.clone(), more.to_vec()]);
    let values = [
        sequence(&[]),
        sequence(&[tagged(0, &[])]),
        sequence(&[tagged(0, &base(&element(0x80, &[0])))]),
        sequence(&[tagged(0, &base(&element(0x80, &[1])))]),
        sequence(&[tagged(1, &base(&element(0x81, &[3])))]),
        sequence(&[tagged(2, &base(&[]))]),
        sequence(&[tagged(0, &sequence(&[element(0x89, b"x")]))]),
        element(0x04, b"demo"),
    ];
    let position = random.random_range(0..plan.links.len());
    plan.links[position].extensions.push(Extension {
        oid: NAME_CONSTRAINTS,
        critical: random.random_bool(0.5),
        value: values.choose(random).cloned().unwrap_or_default(),
    });
}
