use k8s_openapi::api::core::v1::{Secret, Service};

use super::*;
use crate::testing::tls_pgpool;

fn service(version: &str) -> Service {
    serde_json::from_value(serde_json::json!({
        "metadata": { "name": "pool", "namespace": "demo", "uid": "u", "resourceVersion": version },
    }))
    .unwrap()
}

fn key() -> ObjectRef<Pgpool> {
    ObjectRef::new("pool").within("demo")
}

/// The version that counts while the cache shows another.
fn current(written: &Written, shown: Option<&str>) -> Option<String> {
    let cached = shown.map(|version| Arc::new(service(version)));
    written.current(&key(), "pool", cached)?.resource_version()
}

#[tokio::test(start_paused = true)]
async fn a_change_counts_until_the_cache_moves_on() {
    let written = Written::default();
    assert_eq!(current(&written, Some("1")).as_deref(), Some("1"));
    written.object(&key(), service("2"), Some(&service("1")));
    assert_eq!(current(&written, Some("1")).as_deref(), Some("2"));
    // Once more before the cache has moved.
    written.object(&key(), service("3"), Some(&service("2")));
    assert_eq!(current(&written, Some("1")).as_deref(), Some("3"));
    assert_eq!(current(&written, Some("3")).as_deref(), Some("3"));
    assert_eq!(
        current(&written, Some("1")).as_deref(),
        Some("1"),
        "it does not come back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_object_counts_until_it_should_have_come() {
    let written = Written::default();
    written.object(&key(), service("1"), None);
    assert_eq!(current(&written, None).as_deref(), Some("1"));
    assert_eq!(written.names::<Service>(&key()), ["pool"]);
    assert_eq!(written.names::<Secret>(&key()), [""; 0]);
    tokio::time::sleep(ARRIVAL * 2).await;
    assert_eq!(current(&written, None), None, "deleted by somebody");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_object_is_gone_until_another_comes() {
    let written = Written::default();
    written.deleted(&key(), &service("1"));
    assert_eq!(current(&written, Some("1")), None);
    assert_eq!(current(&written, Some("5")).as_deref(), Some("5"));
    written.object(&key(), service("6"), Some(&service("5")));
    written.forget(&key());
    assert_eq!(current(&written, Some("5")).as_deref(), Some("5"));
}

/// A `Pgpool` as the cache shows it: our phase, and how many certificates the other operator tells of.
fn shown(phase: &str, certificates: usize) -> Arc<Pgpool> {
    let mut pgpool = tls_pgpool();
    let certificate = serde_json::json!({ "alias": "server", "ready": true });
    pgpool.status = serde_json::from_value(serde_json::json!({
        "phase": phase,
        "certificates": vec![certificate; certificates],
        "conditions": [{
            "type": "CertificatesReady", "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2027-01-01T00:00:00Z",
        }],
    }))
    .unwrap();
    Arc::new(pgpool)
}

#[tokio::test(start_paused = true)]
async fn a_status_counts_until_the_cache_shows_another_of_ours() {
    let written = Written::default();
    let ready = || ours(&shown("Ready", 0).status.clone().unwrap());
    written.status(&shown("Provisioning", 0), ready());
    assert_eq!(written.with_status(shown("Provisioning", 0)), shown("Ready", 0));
    // The other operator has written meanwhile, and the cache heard of that first.
    assert_eq!(written.with_status(shown("Provisioning", 1)), shown("Ready", 1));
    assert_eq!(written.with_status(shown("Ready", 1)), shown("Ready", 1));
    let back = written.with_status(shown("Provisioning", 1));
    assert_eq!(back, shown("Provisioning", 1), "it does not come back");

    written.status(&shown("Provisioning", 1), ready());
    tokio::time::sleep(ARRIVAL * 2).await;
    assert_eq!(
        written.with_status(shown("Provisioning", 1)),
        shown("Provisioning", 1)
    );
}
