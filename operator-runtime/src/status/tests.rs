//! Status against a scripted API server.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use super::write_status;
use crate::testing::{Call, Script};

const PATH: &str = "/api/v1/namespaces/ns/configmaps/cm/status";

fn object() -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": "cm", "namespace": "ns", "uid": "u" } })).unwrap()
}

async fn write(call: Option<Call>, desired: Value, current: Value) -> Result<bool, String> {
    let mut script = Script::new();
    if let Some(call) = call {
        script = script.expect(call);
    }
    let (client, running) = script.start();
    let written = write_status(&client, "tester", &object(), &desired, &current).await;
    running.finish().await;
    written.map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_equal_status_is_not_sent() {
    let same = json!({ "phase": "Ready" });
    assert_eq!(write(None, same.clone(), same).await, Ok(false));
    let unsaid = write(
        None,
        json!({ "phase": "Ready", "later": null }),
        json!({ "phase": "Ready" }),
    )
    .await;
    assert_eq!(unsaid, Ok(false), "what is null is not said");
}

#[tokio::test]
async fn a_status_is_applied_whole_to_exactly_this_object() {
    let call = Call::patch(PATH)
        .query("fieldManager=tester")
        .query("force=true")
        .check(|body| {
            assert_eq!(
                *body,
                json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": { "name": "cm", "uid": "u" },
                    "status": { "phase": "Ready" },
                })
            );
        });
    assert_eq!(
        write(Some(call), json!({ "phase": "Ready", "x": null }), json!({})).await,
        Ok(true)
    );
}

#[tokio::test]
async fn an_object_that_is_gone_needs_no_status() {
    for (code, reason, message) in [
        (404, "NotFound", "configmaps \"cm\" not found"),
        (
            409,
            "Conflict",
            "uid mismatch: the provided object specified uid u, and no existing object was found",
        ),
        (
            422,
            "Invalid",
            "ConfigMap \"cm\" is invalid: metadata.uid: Invalid value: field is immutable",
        ),
    ] {
        let call = Call::patch(PATH).refuse(code, reason, message);
        assert_eq!(
            write(Some(call), json!({ "a": 1 }), json!({})).await,
            Ok(false),
            "{message}"
        );
    }
}

#[tokio::test]
async fn any_other_refusal_is_an_error() {
    for (code, reason, message) in [
        (409, "Conflict", "the object has been modified"),
        (422, "Invalid", "status.phase: unsupported value"),
        (500, "InternalError", "no"),
    ] {
        let call = Call::patch(PATH).refuse(code, reason, message);
        assert!(
            write(Some(call), json!({ "a": 1 }), json!({})).await.is_err(),
            "{message}"
        );
    }
}
