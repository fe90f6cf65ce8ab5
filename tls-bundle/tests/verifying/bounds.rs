//! Bundles that are larger than any real one are refused with the limit, and cost little before that.

use std::time::{Duration, Instant};

use rcgen::{CustomExtension, DnType, GeneralSubtree, NameConstraints, SanType};
use tls_bundle::{ChainFault, Failure, Verification, limits};

use crate::support::{Ca, Secret, ca_params, dns, good, leaf_params, p256, root};

/// Far above what the slowest of these takes without optimization, and far below what it took without limits.
const SOON: Duration = Duration::from_secs(5);

fn soon(secret: &Secret) -> Verification {
    let start = Instant::now();
    let verification = secret.verify();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    verification
}

fn first(secret: &Secret) -> String {
    soon(secret).first().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn entries_that_are_too_large_are_refused_with_both_sizes() {
    let padded = |text: &str, size: usize| format!("{}{text}", "\n".repeat(size - text.len()));
    let secret = good();
    for excess in [0, 1] {
        let most = limits::CERTIFICATES_BYTES + excess;
        let mut chain = secret.clone();
        chain.certificate = padded(&secret.certificate, most);
        let mut ca = secret.clone();
        ca.ca = padded(&secret.ca, most);
        let mut key = secret.clone();
        key.key = padded(&secret.key, limits::KEY_BYTES + excess);
        for (large, sizes) in [
            (chain, "262145 bytes, and at most 262144"),
            (ca, "262145"),
            (key, "16385"),
        ] {
            let problem = first(&large);
            assert_eq!(problem.is_empty(), excess == 0, "{problem}");
            assert!(excess == 0 || problem.contains(sizes), "{problem}");
        }
    }
}

#[test]
fn more_certificates_than_the_limit_are_refused() {
    let mut secret = good();
    secret.ca = secret.ca.repeat(limits::CERTIFICATES);
    assert_eq!(first(&secret), "");
    secret.ca.push_str(&good().ca);
    assert!(first(&secret).contains("more than 256 certificates"));
}

fn constrained(subtrees: usize) -> Ca {
    let mut params = ca_params("constrained");
    let names = (0..subtrees).map(|number| GeneralSubtree::DnsName(format!("n{number}.example")));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![],
        excluded_subtrees: names.collect(),
    });
    Ca::self_signed(params, p256()).unwrap()
}

#[test]
fn names_and_name_constraints_are_compared_up_to_a_limit() {
    let mut params = leaf_params();
    params
        .subject_alt_names
        .extend((0..1019).map(|number| dns(&format!("p{number}.test"))));
    // 1024 names with the four of every leaf and its subject.
    for (subtrees, fits) in [(64, true), (65, false)] {
        let ca = constrained(subtrees);
        let secret = Secret::issued(&ca, &params, &p256());
        let failures = soon(&secret).failures;
        let too_many = |failure: &Failure| {
            matches!(
                failure,
                Failure::ChainBroken {
                    fault: ChainFault::TooManyConstraints { .. }
                }
            )
        };
        assert_eq!(failures.is_empty(), fits, "{subtrees}: {failures:?}");
        assert!(fits || failures.iter().all(too_many), "{failures:?}");
    }
}

#[test]
fn a_certificate_with_thousands_of_names_is_searched_once() {
    let mut params = leaf_params();
    params
        .subject_alt_names
        .extend((0..5000).map(|number| SanType::DnsName(format!("n{number}.test").try_into().unwrap())));
    let secret = Secret::issued(&root("root"), &params, &p256());
    let mut required = crate::support::required();
    required.dns_names = (0..5000).map(|number| format!("N{number}.test")).collect();
    required.dns_names.push("absent.test".to_owned());
    let start = Instant::now();
    let verification = secret.verify_for(&required);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let Some(Failure::NameMissing { missing }) = verification.first() else {
        panic!("{:?}", verification.failures);
    };
    assert_eq!(missing, &["absent.test"]);
}

#[test]
fn long_names_and_identifiers_are_described_by_their_length() {
    let mut params = ca_params("long");
    let arcs: Vec<u64> = [2, 5]
        .into_iter()
        .chain((0..5000).map(|arc| arc + (1 << 40)))
        .collect();
    params
        .distinguished_name
        .push(DnType::CustomDnType(arcs.clone()), "x");
    let lost = Ca::self_signed(params, p256()).unwrap();
    let mut secret = Secret::issued(&lost, &leaf_params(), &p256());
    secret.ca = good().ca;
    assert!(first(&secret).contains("a name of 30"), "{}", first(&secret));

    let mut params = leaf_params();
    let mut extension = CustomExtension::from_oid_content(&arcs, vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
    let secret = Secret::issued(&root("root"), &params, &p256());
    assert!(
        first(&secret).contains("an identifier of 30"),
        "{}",
        first(&secret)
    );
}
