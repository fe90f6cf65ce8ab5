use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt;
use kube::core::{ObjectList, WatchEvent};
use serde_json::{Value, json};

use super::*;

const MARK: &str = "MARKED-SECRET";

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "x": inner }))
}

fn text(value: &Value) -> String {
    // `json!` cannot print deeper values than it can read; this one can.
    value.to_string()
}

#[test]
fn what_no_decision_needs_does_not_keep_an_object_out() {
    let entry = |time: &str, fields: Value| json!({"manager": "m", "time": time, "fieldsV1": fields});
    let secret = |entries: Value| {
        text(&json!({
            "metadata": {"name": "s", "managedFields": entries},
            "data": {"key": "dmFsdWU="},
        }))
    };
    for (entries, times) in [
        (json!([entry("9999-12-31T23:59:59Z", json!({}))]), vec![false]),
        (
            json!([
                entry("10000-01-01T00:00:00Z", json!({})),
                entry("2026-01-01T00:00:00Z", json!({"f:data": {}}))
            ]),
            vec![false, true],
        ),
        (json!([entry("2026-01-01T00:00:00Z", nested(200))]), vec![true]),
        (json!([{"time": 5}]), vec![]),
        (json!("no list"), vec![]),
    ] {
        let secret: Secret = decode(&secret(entries)).unwrap();
        let found: Vec<bool> = secret
            .managed_fields()
            .iter()
            .map(|entry| entry.time.is_some())
            .collect();
        assert_eq!(found, times);
        assert_eq!(secret.data.unwrap()["key"].0, b"value");
    }
    let late = json!({"creationTimestamp": "9999-12-31T23:59:59Z", "labels": {"a": "b"}, "managedFields": [{"time": 1}]});
    let set: StatefulSet = decode(&text(&json!({
        "metadata": {"name": "s"},
        "spec": {
            "serviceName": "s", "selector": {},
            "template": {"metadata": late, "spec": {"containers": [], "volumes": [
                {"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": late, "spec": {}}}},
            ]}},
            "volumeClaimTemplates": [{"metadata": late}],
        },
    })))
    .unwrap();
    let template = set.spec.unwrap().template.metadata.unwrap();
    assert_eq!(template.labels.unwrap()["a"], "b");
    let service = json!({
        "metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.1"},
        "status": {"conditions": [{"type": "T", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "9999-12-31T23:59:59Z"}]},
    });
    let service: Service = decode(&text(&service)).unwrap();
    assert_eq!(service.spec.unwrap().cluster_ip.unwrap(), "10.0.0.1");
}

#[test]
fn what_cannot_be_decoded_is_named_without_its_content() {
    let pod = |status: Value| {
        decode::<Pod>(&text(&json!({"metadata": {"name": "p"}, "status": status}))).unwrap_err()
    };
    let rows = [
        (
            json!({"startTime": MARK}),
            "the field `status.startTime` cannot be decoded",
        ),
        (
            json!({"startTime": format!("x, expected {MARK}")}),
            "the field `status.startTime` cannot be decoded",
        ),
        (
            json!({"observedGeneration": MARK}),
            "the field `status.observedGeneration` cannot be decoded: expected i64",
        ),
        (
            json!({"phase": [MARK]}),
            "the field `status.phase` cannot be decoded: expected a string",
        ),
    ];
    for (status, expected) in rows {
        assert_eq!(pod(status).to_string(), expected);
    }
    let secret = text(&json!({"data": {"key\n`": "%%"}}));
    let error = decode::<Secret>(&secret).unwrap_err();
    assert_eq!(error.path(), "data.key?");
    let long = text(&json!({"data": {"k".repeat(1000): 7}}));
    let error = decode::<Secret>(&long).unwrap_err();
    assert!(error.to_string().len() < 350, "{error}");
    // Of a field that no type has, the depth does not matter.
    assert!(decode::<Pod>(&text(&json!({"spec": nested(200)}))).is_ok());
    let fields = json!({"time": "2026-01-01T00:00:00Z", "fieldsV1": nested(200)});
    let unread = text(&json!({"metadata": {"managedFields": [fields]}, "x": nested(200)}));
    assert!(decode::<Pod>(&unread).is_ok(), "what no type reads may be deep");
    let deep = text(&json!({"spec": {"nodeSelector": nested(200)}}));
    assert_eq!(decode::<Pod>(&deep).unwrap_err().path(), "spec.nodeSelector.x");
}

#[test]
fn one_item_of_a_list_or_a_watch_harms_no_other() {
    let good = json!({"metadata": {"name": "good"}, "data": {"key": "dmFsdWU="}});
    let bad = json!({
        "metadata": {"name": "bad", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 3, "deletionTimestamp": "9999-12-31T23:59:59Z"},
        "data": {"key": MARK},
    });
    let list = json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {"resourceVersion": "9"}, "items": [good, bad, good]});
    let list: ObjectList<Received<Secret>> = serde_json::from_str(&text(&list)).unwrap();
    assert!(!format!("{list:?}").contains("bad"), "no content in Debug");
    let results: Vec<_> = list.items.into_iter().map(Received::into_result).collect();
    assert!(results[0].is_ok() && results[2].is_ok());
    let left_out = results[1].as_ref().unwrap_err();
    assert_eq!(
        (
            left_out.identity.name.as_deref(),
            left_out.identity.resource_version.as_deref(),
            left_out.identity.generation
        ),
        (Some("bad"), Some("7"), Some(3))
    );
    assert!(left_out.deleting);
    assert!(!format!("{left_out:?}").contains(MARK), "{left_out:?}");
    // The order of the API server, which matters to the decoder.
    let event = format!(r#"{{"type":"MODIFIED","object":{bad}}}"#);
    let event: WatchEvent<Received<Secret>> = serde_json::from_str(&event).unwrap();
    let WatchEvent::Modified(object) = event else {
        panic!("{event:?}")
    };
    assert_eq!(object.name_any(), "bad");
    assert_eq!(object.into_result().unwrap_err().why.path(), "data.key");
}
