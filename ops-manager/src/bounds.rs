//! How long one reconcile works on the largest object that is admitted, and on the worst bundles: `cargo e2e bench bounds`.

use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use operator_runtime::Lookup;
use operator_runtime::testing::work::{Steps, cpu_time, print_steps};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P521_SHA512, SanType, SignatureAlgorithm,
};
use serde_json::json;
use shared_types::ops_request::OpsType;
use shared_types::{Alias, Pgpool, limits};

use crate::caches::mapping;
use crate::certificates::build::build;
use crate::certificates::observe::Observed;
use crate::certificates::validate::validate;
use crate::fixtures::ops::{finished_at, request};
use crate::fixtures::{Authority, DOMAIN, decided, issued, key, now, pgpool, pgpool_with};

type Ca = CertifiedIssuer<'static, KeyPair>;

/// The entries of a Secret.
#[derive(Clone)]
struct Entries {
    certificate: String,
    key: String,
    ca: String,
}

impl Entries {
    fn issued(ca: &Ca, cas: String, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(["pool.demo.svc".to_owned()]).unwrap();
        change(&mut params);
        let key = key();
        Self {
            certificate: params.signed_by(&key, ca).unwrap().pem(),
            key: key.serialize_pem(),
            ca: cas,
        }
    }
}

fn ca(algorithm: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    CertifiedIssuer::self_signed(params, KeyPair::generate_for(algorithm).unwrap()).unwrap()
}

fn plain_ca() -> Ca {
    ca(&rcgen::PKCS_ECDSA_P256_SHA256, |_| ())
}

/// A CA whose own certificate is from another one.
fn below(issuer: &Ca, number: usize) -> Ca {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("level {number}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    CertifiedIssuer::signed_by(params, key, issuer).unwrap()
}

/// The longest chain that is verified, with the slowest signatures.
fn long_chain() -> Entries {
    let root = ca(&PKCS_ECDSA_P521_SHA512, |_| ());
    let mut levels = vec![below(&root, 0)];
    for number in 1..tls_bundle::limits::CHAIN - 2 {
        let next = below(&levels[0], number);
        levels.insert(0, next);
    }
    let mut entries = Entries::issued(&levels[0], root.pem(), |_| ());
    entries.certificate.extend(levels.iter().map(Ca::pem));
    entries
}

/// Two CAs that certify each other, each many times.
fn circle() -> Entries {
    let (one, two) = (
        ca(&PKCS_ECDSA_P521_SHA512, |_| ()),
        ca(&PKCS_ECDSA_P521_SHA512, |params| {
            params.distinguished_name.push(DnType::CommonName, "other");
        }),
    );
    let named = |name: &str, key: &Ca, by: &Ca| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.signed_by(key.key(), by).unwrap().pem()
    };
    let mut entries = Entries::issued(&one, String::new(), |_| ());
    for number in 0..limits::CERTIFICATES / 2 {
        let crossed = [named("root", &one, &two), named("other", &two, &one)].concat();
        entries.ca.push_str(&crossed);
        // With the leaf that is one certificate less than the limit.
        if number > 0 {
            entries.certificate.push_str(&crossed);
        }
    }
    entries
}

fn names(count: usize) -> Vec<SanType> {
    let name = |number: usize| format!("n{number}.example");
    (0..count)
        .map(|number| SanType::DnsName(name(number).try_into().unwrap()))
        .collect()
}

/// A bundle that fills the limits of one kind, and its name.
#[expect(clippy::too_many_lines, reason = "one table")]
fn worst() -> Vec<(&'static str, Entries)> {
    let simple = plain_ca();
    let subtrees = |count: usize| {
        ca(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
            let subtree = |number: usize| GeneralSubtree::DnsName(format!("s{number}.example"));
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![],
                excluded_subtrees: (0..count).map(subtree).collect(),
            });
        })
    };
    let twins: Vec<_> = (0..32).map(|_| ca(&PKCS_ECDSA_P521_SHA512, |_| ())).collect();
    let many: String = std::iter::repeat_with(|| simple.pem())
        .take(limits::CERTIFICATES)
        .collect();
    let wide = ca(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
        for number in 0..4000 {
            params
                .distinguished_name
                .push(DnType::CustomDnType(vec![2, 5, 4, 100_000 + number]), "x");
        }
    });
    let extensions = |params: &mut CertificateParams| {
        let extension =
            |number: u64| CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, number], vec![5, 0]);
        params.custom_extensions = (0..8000).map(extension).collect();
    };
    let arcs: Vec<u64> = [2, 5]
        .into_iter()
        .chain(std::iter::repeat_n(u64::MAX >> 1, 15_000))
        .collect();
    let identifier = |params: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&arcs, vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    };
    let constrained = subtrees(256);
    vec![
        (
            "names",
            Entries::issued(&simple, simple.pem(), |params| {
                params.subject_alt_names = names(9000);
            }),
        ),
        (
            "name constraints",
            Entries::issued(&constrained, constrained.pem(), |params| {
                params.subject_alt_names = names(256);
            }),
        ),
        (
            "more name constraints than are compared",
            Entries::issued(&constrained, constrained.pem(), |params| {
                params.subject_alt_names = names(9000);
            }),
        ),
        (
            "CAs of one name, P-521",
            Entries::issued(&twins[31], twins.iter().map(Ca::pem).collect(), |params| {
                params.subject_alt_names = names(4000);
            }),
        ),
        ("a long chain, P-521", long_chain()),
        ("CAs that certify each other", circle()),
        ("most CAs", Entries::issued(&simple, many, |_| ())),
        ("a long subject", Entries::issued(&wide, wide.pem(), |_| ())),
        ("extensions", Entries::issued(&simple, simple.pem(), extensions)),
        (
            "a long identifier",
            Entries::issued(&simple, simple.pem(), identifier),
        ),
        (
            "larger than any limit",
            Entries {
                certificate: "x".repeat(1_000_000),
                key: "x".repeat(20_000),
                ca: "\n".repeat(300_000),
            },
        ),
    ]
}

fn with(mut observed: Observed, entries: &Entries) -> Observed {
    for child in observed.children.values_mut() {
        let Lookup::Present(secret) = &child.secret else {
            continue;
        };
        let mut secret = Secret::clone(secret);
        let entry = |key: &str, text: &str| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
        let entries = [
            entry("tls.crt", &entries.certificate),
            entry("tls.key", &entries.key),
            entry("ca.crt", &entries.ca),
        ];
        secret.data.get_or_insert_default().extend(entries);
        child.secret = Lookup::Present(Arc::new(secret));
    }
    observed
}

/// All three certificates with it.
fn steps(pgpool: &Pgpool, observed: &Observed) -> Steps {
    let text = serde_json::to_string(pgpool).unwrap();
    let secrets: Vec<_> = Alias::ALL
        .iter()
        .filter_map(|alias| match &observed.children[alias].secret {
            Lookup::Present(secret) => Some(serde_json::to_string(secret.as_ref()).unwrap()),
            _ => None,
        })
        .collect();
    let decode = || {
        let secrets = secrets
            .iter()
            .map(|secret| serde_json::from_str::<Secret>(secret).unwrap());
        (secrets.count(), serde_json::from_str::<Pgpool>(&text).unwrap())
    };
    let decision = decided(pgpool, observed);
    vec![
        ("decode", cpu_time(decode)),
        ("validate", cpu_time(|| validate(pgpool, observed, DOMAIN))),
        ("verify and decide", cpu_time(|| decided(pgpool, observed))),
        ("build", cpu_time(|| build(&decision))),
    ]
}

/// Every list of names at its limit.
fn most_names() -> Pgpool {
    let listed = |alias: &Alias| {
        json!({
            "alias": alias,
            "dnsNames": (0..100).map(|number| format!("n{number}.{}example", "x.".repeat(110))).collect::<Vec<_>>(),
            "ipAddresses": (0..100).map(|number| format!("10.0.0.{number}")).collect::<Vec<_>>(),
            "uris": (0..100).map(|number| format!("urn:{number}:{}", "x".repeat(300))).collect::<Vec<_>>(),
            "emailAddresses": (0..100).map(|number| format!("a{number}@{}.example", "x".repeat(60))).collect::<Vec<_>>(),
        })
    };
    let certificates: Vec<_> = Alias::ALL.iter().map(listed).collect();
    pgpool_with(&json!({"certificates": certificates}).to_string())
}

#[test]
#[ignore = "a measurement: cargo e2e bench bounds"]
fn bounds() {
    let small = pgpool();
    let (seen, large) = (issued(&small), most_names());
    let little = steps(&small, &seen);
    print_steps(
        "ops-manager",
        "most names in the spec",
        &little,
        &steps(&large, &issued(&large)),
    );
    let bundles = worst();
    for (name, entries) in &bundles {
        let observed = with(seen.clone(), entries);
        print_steps(
            "ops-manager",
            &format!("three bundles: {name}"),
            &little,
            &steps(&small, &observed),
        );
    }
    let (_, entries) = &bundles[0];
    let all = with(issued(&large), entries);
    print_steps(
        "ops-manager",
        "names in the spec and in three bundles",
        &little,
        &steps(&large, &all),
    );
    drop(Authority::new("root"));

    let finished = |number: usize| {
        let name = format!("request-{number}");
        Arc::new(finished_at(
            request(&name, OpsType::Restart, "{}"),
            &now().to_string(),
        ))
    };
    let requests = |count: usize| {
        let all: Vec<_> = (0..count).map(finished).collect();
        let time = cpu_time(|| mapping::by_request(&all[0], &all));
        vec![("trigger", time)]
    };
    print_steps(
        "ops-manager",
        "10,000 requests for one Pgpool",
        &requests(1),
        &requests(10_000),
    );
}
