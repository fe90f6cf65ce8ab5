//! Conditions of objects that cannot be decoded, against an API server in memory.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use kube::runtime::watcher;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::runtime::Runtime;
use crate::testing::FakeApi;

fn set(name: &str, replicas: &Value, generation: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": name, "namespace": "ns", "generation": generation },
        "spec": { "replicas": replicas, "serviceName": "s", "selector": {}, "template": {} },
    })
}

fn is_shown(set: &StatefulSet) -> bool {
    let conditions = set
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.reason.as_deref() == Some("DecodeFailed"))
}

const WORDING: fn() -> Wording<StatefulSet> = || Wording {
    condition: "Stalled",
    reason: "DecodeFailed",
    advice: "Until then, nothing is done.",
    is_shown,
};

fn conditions(api: &FakeApi, name: &str) -> Value {
    api.get("statefulsets", "ns", name)
        .map_or(Value::Null, |set| set["status"]["conditions"].clone())
}

#[tokio::test(start_paused = true)]
async fn the_condition_comes_and_goes_with_the_fault_and_nothing_is_sent_at_rest() {
    let api = FakeApi::default();
    api.put("statefulsets", &set("bad", &json!("MARKED-SECRET"), 3));
    api.put("statefulsets", &set("good", &json!(1), 1));
    let mut runtime = Runtime::for_test(api.client());
    let (cache, _changes) = runtime.watch::<StatefulSet>(watcher::Config::default(), |_| {});
    runtime.report_left_out(cache.clone(), WORDING());
    sleep(Duration::from_secs(5)).await;
    assert!(runtime.gates().closed().is_empty(), "ready all the same");
    let shown = conditions(&api, "bad");
    assert_eq!(shown[0]["reason"], "DecodeFailed", "{shown}");
    assert_eq!(shown[0]["observedGeneration"], 3);
    assert_eq!(
        shown[0]["message"],
        "The field `spec.replicas` cannot be decoded: expected i32. Correct or remove that field. Until then, nothing is done."
    );
    assert_eq!(conditions(&api, "good"), Value::Null);
    drop(api.take_log());
    sleep(Duration::from_mins(30)).await;
    let writes = |api: &FakeApi| {
        api.take_log()
            .iter()
            .filter(|call| call.starts_with("PATCH"))
            .count()
    };
    assert_eq!(writes(&api), 0);

    // Corrected while no process runs, and then seen by a new one.
    drop(runtime);
    let mut corrected = api.get("statefulsets", "ns", "bad").unwrap();
    corrected["spec"]["replicas"] = json!(2);
    api.put("statefulsets", &corrected);
    let mut runtime = Runtime::for_test(api.client());
    let (cache, _changes) = runtime.watch::<StatefulSet>(watcher::Config::default(), |_| {});
    runtime.report_left_out(cache.clone(), WORDING());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(cache.get(Some("ns"), "bad").unwrap().name_any(), "bad");
    let left = conditions(&api, "bad");
    assert!(left.as_array().is_none_or(Vec::is_empty), "{left}");
    assert_eq!(writes(&api), 1);
}
