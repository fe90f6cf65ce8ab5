//! Caches, against an API server in memory and with paused time.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Availability, Cache, Changes};
use crate::runtime::Runtime;
use crate::scope::Scope;
use crate::testing::FakeApi;

fn config_map(namespace: &str, name: &str, data: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name, "namespace": namespace,
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes" },
            "managedFields": [{ "manager": "m" }],
        },
        "data": { "data": data, "large": "x" },
    })
}

fn drop_large(object: &mut ConfigMap) {
    if let Some(data) = &mut object.data {
        data.remove("large");
    }
}

fn started(api: &FakeApi) -> (Runtime, Cache<ConfigMap>, Changes<ConfigMap>) {
    let mut runtime = Runtime::for_test(api.client());
    let (cache, changes) = runtime.watch(watcher::Config::default(), drop_large);
    (runtime, cache, changes)
}

fn data(object: &ConfigMap) -> &str {
    object
        .data
        .as_ref()
        .and_then(|data| data.get("data"))
        .map_or("", String::as_str)
}

async fn ready(runtime: &Runtime) {
    let gates = runtime.gates();
    let opened = tokio::time::timeout(Duration::from_mins(1), gates.opened()).await;
    assert!(opened.is_ok(), "{:?}", gates.closed());
}

/// Takes what is queued.
fn queued(changes: &mut Changes<ConfigMap>) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(Some(object)) = changes.next().now_or_never() {
        names.push(format!("{}={}", object.name_any(), data(&object)));
    }
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn lists_follows_and_trims() {
    let api = FakeApi::default();
    api.put("configmaps", &config_map("ns", "one", "1"));
    let (runtime, cache, mut changes) = started(&api);
    assert_eq!(runtime.gates().closed(), ["ConfigMap cache"]);
    assert_eq!(cache.availability(), Availability::Starting);
    ready(&runtime).await;
    assert_eq!(cache.availability(), Availability::Served);

    let one = cache.get(Some("ns"), "one").unwrap();
    assert_eq!(one.metadata.managed_fields, None);
    assert_eq!(one.annotations().keys().collect::<Vec<_>>(), ["kept"]);
    assert_eq!(one.data.as_ref().unwrap().len(), 1, "trimmed");
    assert!(cache.get(Some("other"), "one").is_none());
    assert_eq!(queued(&mut changes), ["one=1"]);

    api.put("configmaps", &config_map("ns", "two", "2"));
    api.put("configmaps", &config_map("ns", "one", "1b"));
    api.put("configmaps", &config_map("ns", "one", "1c"));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(
        queued(&mut changes),
        ["one=1c", "two=2"],
        "the latest state of each"
    );

    api.remove("configmaps", "ns", "one");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queued(&mut changes), ["one=1c"], "deleted objects show as well");
    assert_eq!(cache.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unpolled_stream_keeps_nothing_and_starts_with_every_object() {
    let api = FakeApi::default();
    let (runtime, cache, mut changes) = started(&api);
    ready(&runtime).await;
    for number in 0..5 {
        api.put("configmaps", &config_map("ns", "gone", &number.to_string()));
        api.remove("configmaps", "ns", "gone");
    }
    api.put("configmaps", &config_map("ns", "here", "1"));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queued(&mut changes), ["here=1"]);
    let mut late = cache.changes();
    api.put("configmaps", &config_map("ns", "here", "2"));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queued(&mut late), ["here=2"], "streams are independent");
    assert_eq!(queued(&mut changes), ["here=2"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_of_the_same_name_does_not_hide_the_end_of_the_one_before() {
    let api = FakeApi::default();
    api.put("configmaps", &config_map("ns", "one", "old"));
    let (runtime, _, mut changes) = started(&api);
    ready(&runtime).await;
    assert_eq!(queued(&mut changes), ["one=old"]);
    api.remove("configmaps", "ns", "one");
    api.put("configmaps", &config_map("ns", "one", "new"));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queued(&mut changes), ["one=new", "one=old"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_no_watch_told_is_seen_by_the_next_list() {
    let api = FakeApi::default();
    api.put("configmaps", &config_map("ns", "one", "1"));
    api.put("configmaps", &config_map("ns", "two", "2"));
    let (runtime, cache, mut changes) = started(&api);
    ready(&runtime).await;
    queued(&mut changes);
    api.lose("configmaps", &config_map("ns", "one", "1"));
    sleep(Duration::from_secs(15)).await;
    assert!(cache.get(Some("ns"), "one").is_none());
    assert_eq!(queued(&mut changes), ["one=1", "two=2"]);
    api.end_watches();
    api.put("configmaps", &config_map("ns", "three", "3"));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(
        queued(&mut changes),
        ["three=3"],
        "a watch that ends loses nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_opens_the_gate_and_is_noticed_when_it_comes() {
    let api = FakeApi::default();
    api.put("configmaps", &config_map("ns", "one", "1"));
    api.refuse("configmaps", Some(404));
    let (runtime, cache, mut changes) = started(&api);
    ready(&runtime).await;
    assert_eq!(cache.availability(), Availability::Absent);
    sleep(Duration::from_hours(1)).await;
    assert!(queued(&mut changes).is_empty());

    api.refuse("configmaps", None);
    let installed = Instant::now();
    let mut availability = cache.watch_availability();
    availability
        .wait_for(|known| known.whole() == Availability::Served)
        .await
        .unwrap();
    assert!(
        installed.elapsed() <= Duration::from_secs(10),
        "{:?}",
        installed.elapsed()
    );
    assert_eq!(queued(&mut changes), ["one=1"]);

    api.refuse("configmaps", Some(404));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(cache.availability(), Availability::Absent);
    assert!(cache.list().is_empty(), "what is not served is not there");
    assert_eq!(queued(&mut changes), ["one=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_kind_keeps_a_process_unready_and_says_why_unless_it_is_optional() {
    let api = FakeApi::default();
    api.refuse("configmaps", Some(403));
    let mut runtime = Runtime::for_test(api.client());
    let (required, _changes) = runtime.watch::<ConfigMap>(watcher::Config::default(), |_| {});
    sleep(Duration::from_secs(1)).await;
    assert_eq!(required.availability(), Availability::Forbidden);
    let closed = runtime.gates().closed();
    assert!(
        closed[0].contains("ConfigMap cache") && closed[0].contains("Forbidden"),
        "{closed:?}"
    );
    api.refuse("configmaps", None);
    ready(&runtime).await;

    api.refuse("configmaps", Some(403));
    let mut runtime = Runtime::for_test(api.client());
    let (optional, _changes) = runtime.watch_optional::<ConfigMap>(watcher::Config::default(), |_| {});
    ready(&runtime).await;
    assert_eq!(optional.availability(), Availability::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_right_leaves_the_known_objects() {
    let api = FakeApi::default();
    api.put("configmaps", &config_map("ns", "one", "1"));
    let (runtime, cache, _changes) = started(&api);
    ready(&runtime).await;
    api.refuse("configmaps", Some(403));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(cache.availability(), Availability::Forbidden);
    assert!(cache.get(Some("ns"), "one").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_is_waited_for() {
    let api = FakeApi::default();
    api.down(true);
    let (runtime, cache, _changes) = started(&api);
    sleep(Duration::from_mins(5)).await;
    assert_eq!(cache.availability(), Availability::Starting);
    assert!(
        runtime.gates().closed()[0].contains("connection refused"),
        "{:?}",
        runtime.gates().closed()
    );
    let asked = api.take_log().len();
    assert!((30..60).contains(&asked), "every 5 to 10 s: {asked}");
    api.down(false);
    let back = Instant::now();
    ready(&runtime).await;
    assert!(back.elapsed() <= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn listed_namespaces_are_watched_one_by_one_and_cluster_kinds_whole() {
    let api = FakeApi::default();
    for namespace in ["a", "b", "c"] {
        api.put("configmaps", &config_map(namespace, "one", namespace));
    }
    api.put(
        "namespaces",
        &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "x" } }),
    );
    let scope = Scope::from_namespaces(vec!["b".to_owned(), "a".to_owned(), "b".to_owned()]);
    let mut runtime = Runtime::for_test(api.client()).scoped(scope);
    let (cache, _changes) = runtime.watch(watcher::Config::default(), drop_large);
    let (namespaces, _others) = runtime.watch::<Namespace>(watcher::Config::default(), |_| {});
    ready(&runtime).await;
    let mut seen: Vec<String> = cache
        .list()
        .iter()
        .map(|object| data(object).to_owned())
        .collect();
    seen.sort();
    assert_eq!(seen, ["a", "b"]);
    assert!(namespaces.get(None, "x").is_some());
    assert_eq!(
        cache.availability_in("c"),
        Availability::Forbidden,
        "out of scope"
    );
    assert_eq!(
        namespaces.availability_in("c"),
        Availability::Served,
        "seen whole"
    );
    let lists = api.take_log();
    assert!(
        lists
            .iter()
            .any(|call| call.ends_with("/api/v1/namespaces/a/configmaps")),
        "{lists:?}"
    );
    assert!(
        !lists.iter().any(|call| call.ends_with("/api/v1/configmaps")),
        "{lists:?}"
    );

    api.lose("configmaps", &config_map("a", "one", "a"));
    sleep(Duration::from_secs(15)).await;
    assert!(cache.get(Some("a"), "one").is_none());
    assert!(
        cache.get(Some("b"), "one").is_some(),
        "a list of one namespace says nothing of another"
    );

    api.lose("namespaces", &json!({ "metadata": { "name": "x" } }));
    sleep(Duration::from_secs(15)).await;
    assert!(namespaces.get(None, "x").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_may_not_be_seen_stops_no_other() {
    let api = FakeApi::default();
    api.put("configmaps", &config_map("a", "one", "a"));
    api.put("configmaps", &config_map("b", "one", "b"));
    api.refuse("a/configmaps", Some(403));
    let scope = Scope::from_namespaces(vec!["a".to_owned(), "b".to_owned()]);
    let mut runtime = Runtime::for_test(api.client()).scoped(scope);
    let (cache, _changes) = runtime.watch(watcher::Config::default(), drop_large);
    ready(&runtime).await;
    assert_eq!(cache.availability_in("a"), Availability::Forbidden);
    assert_eq!(cache.availability_in("b"), Availability::Served);
    assert!(cache.get(Some("b"), "one").is_some());

    let mut seen = cache.watch_availability();
    seen.mark_unchanged();
    api.refuse("b/configmaps", Some(403));
    sleep(Duration::from_secs(15)).await;
    api.refuse("b/configmaps", None);
    sleep(Duration::from_secs(15)).await;
    assert!(seen.has_changed().unwrap());
    seen.mark_unchanged();
    api.refuse("b/configmaps", Some(404));
    sleep(Duration::from_secs(15)).await;
    assert!(seen.has_changed().unwrap(), "the worst of all is as before");
    api.refuse("a/configmaps", None);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(cache.availability_in("a"), Availability::Served);
    assert!(cache.get(Some("a"), "one").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_died_without_a_word_is_noticed_and_a_quiet_one_costs_little() {
    let api = FakeApi::default();
    let (runtime, cache, _changes) = started(&api);
    ready(&runtime).await;
    sleep(Duration::from_secs(1)).await;
    drop(api.take_log());
    sleep(Duration::from_hours(1)).await;
    let asked = api.take_log().len();
    assert!((40..=60).contains(&asked), "about once a minute: {asked}");

    api.silence_watches();
    api.put("configmaps", &config_map("ns", "one", "1"));
    sleep(Duration::from_secs(90)).await;
    assert!(cache.get(Some("ns"), "one").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_demand_is_not_watched_and_does_not_delay_readiness() {
    let api = FakeApi::default();
    api.put("configmaps", &config_map("ns", "one", "1"));
    let mut runtime = Runtime::for_test(api.client());
    let (cache, mut changes, demand) =
        runtime.watch_on_demand::<ConfigMap, Namespace>(watcher::Config::default(), drop_large);
    ready(&runtime).await;
    sleep(Duration::from_mins(10)).await;
    assert_eq!(api.take_log(), Vec::<String>::new());
    assert_eq!(cache.availability(), Availability::Starting);

    let (one, other) = (ObjectRef::new("one"), ObjectRef::new("other"));
    let mut availability = cache.watch_availability();
    demand.set(&one, true);
    demand.set(&other, true);
    availability
        .wait_for(|known| known.whole() == Availability::Served)
        .await
        .unwrap();
    assert_eq!(queued(&mut changes), ["one=1"]);

    demand.set(&one, false);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        cache.availability(),
        Availability::Served,
        "the other still needs it"
    );
    demand.set(&other, false);
    availability
        .wait_for(|known| known.whole() == Availability::Starting)
        .await
        .unwrap();
    assert_eq!(cache.list().len(), 0);
    drop(api.take_log());
    sleep(Duration::from_mins(10)).await;
    assert_eq!((api.take_log(), api.watches()), (Vec::<String>::new(), 0));

    demand.set(&one, true);
    availability
        .wait_for(|known| known.whole() == Availability::Served)
        .await
        .unwrap();
    assert_eq!(cache.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_object_that_cannot_be_decoded_harms_no_other() {
    let bad = |name: &str| {
        let mut object = config_map("ns", name, "1");
        object["data"]["data"] = json!({ "MARKED-SECRET": "MARKED-SECRET" });
        object
    };
    let api = FakeApi::default();
    api.put("configmaps", &config_map("ns", "one", "1"));
    api.put("configmaps", &bad("bad"));
    api.put("configmaps", &config_map("ns", "two", "2"));
    let (runtime, cache, mut changes) = started(&api);
    ready(&runtime).await;
    let left_out = |runtime: &Runtime| {
        let text = runtime.registry().encode().unwrap();
        let name = "pgpool_operator_objects_left_out{kind=\"ConfigMap\"} ";
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    assert_eq!(queued(&mut changes), ["one=1", "two=2"]);
    assert_eq!(cache.undecodable(Some("ns"), "bad").unwrap().path(), "data.data");
    assert_eq!(left_out(&runtime), "1");

    // What was known stays, through a list too, and the watch goes on.
    api.put("configmaps", &bad("one"));
    api.put("configmaps", &config_map("ns", "two", "3"));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(
        queued(&mut changes),
        ["one=1", "two=3"],
        "its dependents are reconciled"
    );
    api.lose("configmaps", &config_map("ns", "two", "3"));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(queued(&mut changes), ["one=1", "two=3"], "only `two` is gone");
    assert_eq!(data(&cache.get(Some("ns"), "one").unwrap()), "1");
    assert_eq!(left_out(&runtime), "2");

    api.put("configmaps", &config_map("ns", "one", "4"));
    api.remove("configmaps", "ns", "bad");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queued(&mut changes), ["one=4"]);
    assert_eq!(left_out(&runtime), "0");

    // Another object of the same name, one that is being deleted, and one that is gone: the deletion of the last known one is reported.
    let mut other = bad("one");
    other["metadata"]["uid"] = json!("another");
    api.put("configmaps", &other);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queued(&mut changes), ["one=4"]);
    assert!(cache.get(Some("ns"), "one").is_none());
    api.put("configmaps", &config_map("ns", "three", "1"));
    sleep(Duration::from_millis(1)).await;
    queued(&mut changes);
    let mut leaving = bad("three");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-24T10:00:00Z");
    api.put("configmaps", &leaving);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queued(&mut changes), ["three=1"]);
    assert!(cache.get(Some("ns"), "three").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_too_large_is_left_out_and_its_last_state_stays() {
    let api = FakeApi::default();
    let text = |bytes: usize| "x".repeat(bytes);
    api.put("configmaps", &config_map("ns", "one", "small"));
    let (runtime, cache, mut changes) = started(&api);
    ready(&runtime).await;
    assert_eq!(queued(&mut changes), ["one=small"]);
    let mut left_out = cache.left_out_objects();

    let large = text(shared_types::limits::CACHED_OBJECT_BYTES);
    api.put("configmaps", &config_map("ns", "one", &large));
    api.put("configmaps", &config_map("ns", "two", &large));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cache.get(Some("ns"), "one").as_deref().map(data), Some("small"));
    assert_eq!(cache.get(Some("ns"), "two"), None);
    let why = cache
        .undecodable(Some("ns"), "two")
        .unwrap()
        .explain("ConfigMap two");
    assert!(why.contains("are read. Make it smaller"), "{why}");
    let mut names = Vec::new();
    while let Some(Some(left_out)) = left_out.next().now_or_never() {
        names.push(left_out.identity.name.clone().unwrap());
    }
    names.sort();
    assert_eq!(names, ["one", "two"], "whoever depends on it is woken");

    api.put("configmaps", &config_map("ns", "two", "small"));
    api.remove("configmaps", "ns", "one");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cache.undecodable(Some("ns"), "two"), None);
    assert_eq!(cache.get(Some("ns"), "two").as_deref().map(data), Some("small"));
    assert_eq!(cache.get(Some("ns"), "one"), None);
    assert!(
        left_out.next().now_or_never().is_some(),
        "also when it no longer is"
    );
}

#[tokio::test(start_paused = true)]
async fn the_objects_of_one_namespace_take_no_room_from_others() {
    let api = FakeApi::default();
    let half = shared_types::limits::CACHED_OBJECT_BYTES / 2;
    let fit = shared_types::limits::CACHED_NAMESPACE_BYTES / half;
    let text = "x".repeat(half);
    for number in 0..fit + 20 {
        api.put(
            "configmaps",
            &config_map("a-flood", &format!("object-{number}"), &text),
        );
    }
    api.put("configmaps", &config_map("bystander", "one", "small"));
    let (runtime, cache, _changes) = started(&api);
    ready(&runtime).await;
    let kept = cache.list().into_iter();
    let kept: usize = kept.map(|object| data(&object).len()).sum();
    assert!(kept <= shared_types::limits::CACHED_NAMESPACE_BYTES, "{kept}");
    assert!(cache.get(Some("bystander"), "one").is_some());

    for number in 0..fit + 20 {
        api.put(
            "configmaps",
            &config_map("a-flood", &format!("object-{number}"), "small"),
        );
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cache.list().len(), fit + 21, "there is room again");
}
