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

#[test]
fn a_status_counts_until_the_pgpool_moves_on() {
    let at = |version: &str| {
        let mut pgpool = tls_pgpool();
        pgpool.metadata.resource_version = Some(version.to_owned());
        pgpool.status = serde_json::from_value(serde_json::json!({
            "phase": "Provisioning",
            "certificates": [{ "alias": "server", "ready": true }],
            "conditions": [
                { "type": "Ready", "status": "False", "reason": "R", "message": "",
                  "lastTransitionTime": "2027-01-01T00:00:00Z" },
                { "type": "CertificatesReady", "status": "True", "reason": "R", "message": "",
                  "lastTransitionTime": "2027-01-01T00:00:00Z" },
            ],
        }))
        .unwrap();
        Arc::new(pgpool)
    };
    let written = Written::default();
    let status = PgpoolStatus {
        phase: Some(shared_types::Phase::Ready),
        ..PgpoolStatus::default()
    };
    written.status(&at("1"), status);
    let seen = written.with_status(at("1")).status.clone().unwrap();
    assert_eq!(seen.phase, Some(shared_types::Phase::Ready));
    assert_eq!(seen.certificates.len(), 1, "the other operator's part stays");
    let types: Vec<_> = seen.conditions.iter().map(|it| it.type_.as_str()).collect();
    assert_eq!(types, ["CertificatesReady"]);
    assert_eq!(written.with_status(at("2")), at("2"));
    assert_eq!(written.with_status(at("1")), at("1"), "it does not come back");
}
