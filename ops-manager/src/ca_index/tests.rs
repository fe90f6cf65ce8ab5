use futures::{FutureExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};

use super::*;

fn key() -> KeyId {
    let certificate = CertificateParams::default()
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    tls_bundle::ca_keys(certificate.pem().as_bytes())[0]
}

fn pool(namespace: &str, name: &str) -> ObjectRef<Pgpool> {
    ObjectRef::new(name).within(namespace)
}

fn set(keys: &[KeyId]) -> BTreeSet<KeyId> {
    keys.iter().copied().collect()
}

fn use_of(index: &CaIndex, namespace: &str, key: KeyId) -> CaUse {
    index.use_of(namespace, &set(&[key]), Vec::new)
}

#[test]
fn a_ca_counts_where_it_has_signed_and_not_where_it_is_trusted() {
    let (index, shared, own) = (CaIndex::default(), key(), key());
    index.trust(&pool("prod", "a"), &set(&[shared, own]));
    index.trust(&pool("tenant", "copied"), &set(&[shared, own]));
    index.record(&pool("prod", "a"), &set(&[shared, own]));
    index.record(&pool("prod", "b"), &set(&[shared]));
    index.record(&pool("tenant", "copied"), &set(&[]));
    for key in [shared, own] {
        assert_eq!(use_of(&index, "prod", key), CaUse::Own, "of the same namespace");
    }
    index.record(&pool("tenant", "c"), &set(&[shared]));
    assert_eq!(use_of(&index, "prod", shared), CaUse::Elsewhere);
    assert_eq!(use_of(&index, "prod", own), CaUse::Own);
    assert_eq!(use_of(&index, "tenant", shared), CaUse::Elsewhere);
    index.remove(&pool("tenant", "c"));
    assert_eq!(use_of(&index, "prod", shared), CaUse::Own);
    // One of two leaves, and the other still counts.
    index.remove(&pool("prod", "a"));
    assert_eq!(use_of(&index, "tenant", shared), CaUse::Elsewhere);
    index.remove(&pool("prod", "b"));
    index.remove(&pool("tenant", "copied"));
    let state = index.lock();
    assert!(state.pools.is_empty() && state.signed.is_empty() && state.trusting.is_empty());
}

#[tokio::test]
async fn who_trusts_a_ca_is_woken_when_that_matters() {
    let (index, ca) = (CaIndex::default(), key());
    let (victim, other) = (pool("prod", "a"), pool("tenant", "c"));
    let mut changes = index.changes();
    let mut woken = || {
        let mut all = Vec::new();
        while let Some(Some(pgpool)) = changes.next().now_or_never() {
            all.push(pgpool);
        }
        all
    };
    index.trust(&victim, &set(&[ca]));
    index.record(&victim, &set(&[ca]));
    assert_eq!(woken(), [], "not by itself");
    index.record(&other, &set(&[ca]));
    index.record(&other, &set(&[ca]));
    assert_eq!(woken(), std::slice::from_ref(&victim), "once");
    for number in 0..3 {
        index.record(&pool(&format!("tenant-{number}"), "c"), &set(&[ca]));
    }
    assert_eq!(woken(), [], "nothing new");
    for number in 0..3 {
        index.remove(&pool(&format!("tenant-{number}"), "c"));
    }
    assert_eq!(woken(), []);
    index.record(&other, &set(&[]));
    assert_eq!(woken(), std::slice::from_ref(&victim));
    index.trust(&victim, &set(&[]));
    index.record(&other, &set(&[ca]));
    assert_eq!(woken(), [], "it does not trust it any more");
}

#[tokio::test(start_paused = true)]
async fn after_a_start_nothing_is_taken_for_unused_too_early() {
    let (index, ca) = (CaIndex::default(), key());
    let all = || vec![pool("prod", "a"), pool("tenant", "c")];
    let ask = || index.use_of("prod", &set(&[ca]), all);
    index.trust(&pool("tenant", "c"), &set(&[ca]));
    index.record(&pool("prod", "a"), &set(&[ca]));
    assert_eq!(ask(), CaUse::Unknown);
    index.record(&pool("tenant", "c"), &set(&[]));
    assert_eq!(ask(), CaUse::Own);
    // A later one is not waited for.
    assert_eq!(
        index.use_of("prod", &set(&[ca]), || vec![pool("x", "new")]),
        CaUse::Own
    );

    let index = CaIndex::default();
    let ask = || index.use_of("prod", &set(&[ca]), all);
    assert_eq!(ask(), CaUse::Unknown);
    tokio::time::advance(LONGEST_START + Duration::from_secs(1)).await;
    assert_eq!(ask(), CaUse::Own);
}
