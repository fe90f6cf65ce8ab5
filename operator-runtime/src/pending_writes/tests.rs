//! What counts while a cache lags behind.

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use serde_json::json;

use super::*;

type Memory = PendingWrites<ConfigMap, u8>;

fn service(version: &str) -> Service {
    serde_json::from_value(json!({
        "metadata": { "name": "pool", "namespace": "demo", "uid": "u", "resourceVersion": version },
    }))
    .unwrap()
}

fn key() -> ObjectRef<ConfigMap> {
    ObjectRef::new("pool").within("demo")
}

/// The version that counts while the cache shows another.
fn current(written: &Memory, shown: Option<&str>) -> Option<String> {
    let cached = shown.map(|version| Arc::new(service(version)));
    written.current(&key(), "pool", cached)?.resource_version()
}

#[tokio::test(start_paused = true)]
async fn a_change_counts_until_the_cache_shows_it() {
    let written = Memory::default();
    assert_eq!(current(&written, Some("8")).as_deref(), Some("8"));
    written.object(&key(), service("10"), Some(&service("8")));
    assert_eq!(current(&written, Some("8")).as_deref(), Some("10"));
    // Somebody else has written meanwhile, and the cache heard of that first.
    assert_eq!(current(&written, Some("9")).as_deref(), Some("10"));
    // Once more before the cache has moved.
    written.object(&key(), service("12"), Some(&service("10")));
    assert_eq!(current(&written, Some("9")).as_deref(), Some("12"));
    assert_eq!(current(&written, Some("13")).as_deref(), Some("13"));
    let back = current(&written, Some("8"));
    assert_eq!(back.as_deref(), Some("8"), "it does not come back");
}

#[tokio::test(start_paused = true)]
async fn versions_that_are_no_numbers_are_told_apart_all_the_same() {
    let written = Memory::default();
    written.object(&key(), service("b"), Some(&service("a")));
    assert_eq!(current(&written, Some("a")).as_deref(), Some("b"));
    assert_eq!(current(&written, Some("c")).as_deref(), Some("c"));
}

#[tokio::test(start_paused = true)]
async fn a_new_object_counts_until_it_should_have_come() {
    let written = Memory::default();
    written.object(&key(), service("1"), None);
    assert_eq!(current(&written, None).as_deref(), Some("1"));
    assert_eq!(written.names::<Service>(&key()), ["pool"]);
    assert_eq!(written.names::<Secret>(&key()), [""; 0]);
    tokio::time::sleep(ARRIVAL * 2).await;
    assert_eq!(current(&written, None), None, "deleted by someone else");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_object_is_gone_until_another_comes() {
    let written = Memory::default();
    written.deleted(&key(), &service("1"));
    assert_eq!(current(&written, Some("1")), None);
    assert_eq!(
        current(&written, Some("2")),
        None,
        "changed before it was deleted"
    );
    let mut held = service("3");
    held.metadata.deletion_timestamp = serde_json::from_value(json!("2027-01-01T00:00:00Z")).unwrap();
    let shown = written.current(&key(), "pool", Some(Arc::new(held)));
    assert!(shown.is_some(), "a finalizer holds it");
    written.deleted(&key(), &service("1"));
    let mut other = service("5");
    other.metadata.uid = Some("v".to_owned());
    assert!(written.current(&key(), "pool", Some(Arc::new(other))).is_some());
    written.object(&key(), service("6"), Some(&service("5")));
    written.forget(&key());
    assert_eq!(current(&written, Some("5")).as_deref(), Some("5"));
}

#[tokio::test(start_paused = true)]
async fn a_part_counts_until_the_cache_shows_another() {
    let written = Memory::default();
    assert_eq!(written.current_part(&key(), 1), 1);
    written.part(&key(), 1, 2);
    written.part(&key(), 2, 3);
    assert_eq!(written.current_part(&key(), 1), 3);
    assert_eq!(written.current_part(&key(), 3), 3);
    assert_eq!(written.current_part(&key(), 1), 1, "it does not come back");
    written.part(&key(), 1, 2);
    tokio::time::sleep(ARRIVAL * 2).await;
    assert_eq!(written.current_part(&key(), 1), 1);
}
