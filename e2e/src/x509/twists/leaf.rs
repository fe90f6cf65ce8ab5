//! The names of the leaf.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::x509::certificate::{EMAIL, attribute, common_name, dns, name_der};
use crate::x509::der::{element, oid, tagged};
use crate::x509::plan::{HOST, Plan};

pub(super) fn names(plan: &mut Plan, random: &mut StdRng) {
    let forms: [&[&str]; 13] = [
        &["POOL.demo.SVC"],
        &["*.demo.svc"],
        &["*.svc"],
        &["*"],
        &["*.*.svc"],
        &["po*.demo.svc"],
        &["pool.demo.svc."],
        &["other.demo.svc", HOST],
        &["other.demo.svc"],
        &["*pool.demo.svc", "*.demo.svc."],
        &[""],
        &[".demo.svc"],
        &["pool_x.demo.svc", "xn--pl-eka.demo.svc"],
    ];
    let chosen = forms.choose(random).copied().unwrap_or_default();
    plan.leaf().alternative_names = chosen.iter().map(|name| dns(name)).collect();
    let hosts = [HOST, "Pool.Demo.svc", "x.demo.svc"];
    plan.dns_names = vec![(*hosts.choose(random).unwrap_or(&HOST)).to_owned()];
}

/// Names of other kinds, and some that are damaged.
pub(super) fn odd_names(plan: &mut Plan, random: &mut StdRng) {
    let other_name = [oid("1.3.6.1.4.1.311.20.2.3"), tagged(0, &element(0x0C, b"user"))].concat();
    let forms = [
        element(0x82, b"a\0b"),
        element(0x82, &[0xFF, 0xFE]),
        element(0x82, "pööl".as_bytes()),
        element(0x80, b"x"),
        element(0x83, b"x"),
        element(0xA3, b""),
        element(0x84, b"x"),
        element(0x89, b"x"),
        element(0x8A, b"x"),
        element(0x81, b"a@example.com"),
        element(0x81, "ä@example.com".as_bytes()),
        element(0x86, b"spiffe://demo/x"),
        element(0x86, &[0x80]),
        element(0x87, &[127, 0, 0, 1, 0]),
        element(0x87, &[]),
        element(0x88, &[0x2A, 0x03]),
        element(0x88, &[]),
        element(0x88, &[0x80, 0x01]),
        tagged(0, &other_name),
        tagged(0, &oid("1.2.3")),
        tagged(4, &name_der(&common_name("a directory"))),
        tagged(4, &[]),
        element(0xA2, b"x"),
        element(0x02, b"x"),
        element(0x42, b"x"),
    ];
    let name = forms.choose(random).cloned().unwrap_or_default();
    let names = &mut plan.leaf().alternative_names;
    if random.random_bool(0.5) {
        names.insert(0, name);
    } else {
        names.push(name);
    }
}

/// No alternative name of the right kind: the common name may count.
pub(super) fn common_name_only(plan: &mut Plan, random: &mut StdRng) {
    let leaf = plan.leaf();
    match random.random_range(0..3) {
        0 => leaf.alternative_names.clear(),
        1 => leaf.alternative_names = vec![element(0x87, &[10, 0, 0, 1])],
        _ => leaf.alternative_names = vec![element(0x86, b"spiffe://demo/x")],
    }
    match random.random_range(0..4) {
        0 => leaf.subject = common_name("*.demo.svc"),
        1 => leaf.subject.push(attribute("2.5.4.3", "second")),
        2 => leaf.subject.push(attribute(EMAIL, "a@example.com")),
        _ => {}
    }
    if random.random_bool(0.3) {
        plan.dns_names.clear();
        plan.ip_addresses = vec![[10, 0, 0, 1].into()];
    }
}

pub(super) fn addresses(plan: &mut Plan, random: &mut StdRng) {
    plan.dns_names.clear();
    let hosts: [std::net::IpAddr; 3] = [
        [127, 0, 0, 1].into(),
        [10, 0, 0, 1].into(),
        [0, 0, 0, 0, 0, 0, 0, 1_u16].into(),
    ];
    plan.ip_addresses = vec![*hosts.choose(random).unwrap_or(&hosts[0])];
    let mapped = [&[0; 10][..], &[0xFF, 0xFF, 127, 0, 0, 1]].concat();
    let loopback = [&[0; 15][..], &[1]].concat();
    let forms = [
        element(0x87, &[127, 0, 0, 1]),
        element(0x87, &loopback),
        element(0x87, &mapped),
        dns("127.0.0.1"),
        dns("10.0.0.1"),
        dns("*.0.0.1"),
    ];
    plan.leaf().alternative_names = forms.sample(random, 2).cloned().collect();
    if random.random_bool(0.3) {
        plan.leaf().subject = common_name("10.0.0.1");
    }
}
