use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;

use super::{Events, is_transition, shortened};
use crate::testing::{Call, Script};

#[test]
fn notes_fit_and_stay_text() {
    assert_eq!(shortened("short"), "short");
    for text in [
        "x".repeat(1024),
        "x".repeat(1025),
        "ü".repeat(2000),
        format!("x{}", "€".repeat(500)),
    ] {
        let note = shortened(&text);
        assert!(note.len() <= 1024, "{}", note.len());
        assert!(text.len() <= 1024 || note.ends_with('…'));
    }
}

#[test]
fn transitions() {
    let condition = |status: &str, reason: &str, message: &str| -> Condition {
        serde_json::from_value(json!({
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    };
    let before = condition("False", "Waiting", "for a");
    assert!(is_transition(None, &before));
    assert!(!is_transition(
        Some(&before),
        &condition("False", "Waiting", "for b")
    ));
    assert!(is_transition(
        Some(&before),
        &condition("True", "Waiting", "for a")
    ));
    assert!(is_transition(
        Some(&before),
        &condition("False", "Broken", "for a")
    ));
}

#[tokio::test]
async fn an_event_is_published_in_the_namespace_of_its_object_and_a_refusal_is_swallowed() {
    let path = "/apis/events.k8s.io/v1/namespaces/ns/events";
    let (client, script) = Script::new()
        .expect(Call::post(path).check(|body| {
            assert_eq!(
                (&body["type"], &body["reason"]),
                (&json!("Warning"), &json!("Broken"))
            );
            assert_eq!(body["regarding"]["name"], "cm");
            assert_eq!(body["reportingController"], "pgpool-test");
        }))
        .expect(Call::post(path).refuse(403, "Forbidden", "no"))
        .start();
    let object: ConfigMap =
        serde_json::from_value(json!({ "metadata": { "name": "cm", "namespace": "ns", "uid": "u" } }))
            .unwrap();
    let events = Events::new(client, "pgpool-test");
    events.warning(&object, "Reconcile", "Broken", "it is").await;
    events.normal(&object, "Reconcile", "Repaired", "it is not").await;
    script.finish().await;
}
