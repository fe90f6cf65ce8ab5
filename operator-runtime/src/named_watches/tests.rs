//! Named watches, against an API server in memory and with paused time.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Config;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Lookup, Named};
use crate::runtime::Runtime;
use crate::testing::FakeApi;
use crate::wake_set::Wakes;

type Set = Named<Secret, ConfigMap>;

fn secret(name: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "ns" },
        "stringData": { "password": password },
    })
}

fn who(name: &str) -> ObjectRef<ConfigMap> {
    ObjectRef::new(name).within("ns")
}

fn names(names: &[&str]) -> Vec<(String, String)> {
    names
        .iter()
        .map(|name| ("ns".to_owned(), (*name).to_owned()))
        .collect()
}

fn queued(changes: &mut Wakes<ObjectRef<ConfigMap>>) -> Vec<String> {
    let mut queued = Vec::new();
    while let Some(Some(who)) = changes.next().now_or_never() {
        queued.push(who.name);
    }
    queued.sort();
    queued
}

async fn settle() {
    sleep(Duration::from_millis(10)).await;
}

/// The watches end with the runtime.
fn started(api: &FakeApi) -> (Runtime, Set) {
    let mut runtime = Runtime::for_test(api.client());
    let set = Set::new(&mut runtime, |_| {});
    (runtime, set)
}

/// An object that one refers to, and that is known.
async fn following(api: &FakeApi) -> (Runtime, Set, Wakes<ObjectRef<ConfigMap>>) {
    api.put("secrets", &secret("one", "1"));
    let (runtime, set) = started(api);
    let mut changes = set.changes();
    set.follow(&who("a"), &names(&["one"]));
    settle().await;
    queued(&mut changes);
    (runtime, set, changes)
}

#[tokio::test(start_paused = true)]
async fn an_object_is_watched_once_while_it_has_referrers() {
    let api = FakeApi::default();
    api.put("secrets", &secret("shared", "1"));
    api.put("secrets", &secret("foreign", "1"));
    let (_runtime, set) = started(&api);
    let mut changes = set.changes();
    assert!(matches!(set.lookup("ns", "shared"), Lookup::Pending));

    set.follow(&who("a"), &names(&["shared"]));
    set.follow(&who("b"), &names(&["shared", "missing"]));
    assert!(matches!(set.lookup("ns", "shared"), Lookup::Pending));
    settle().await;
    assert!(matches!(set.lookup("ns", "shared"), Lookup::Present(_)));
    assert!(matches!(set.lookup("ns", "missing"), Lookup::Absent));
    assert_eq!(queued(&mut changes), ["a", "b"], "each once, though b has two");
    assert_eq!(api.watches(), 2);
    assert!(
        matches!(set.lookup("ns", "foreign"), Lookup::Pending),
        "not referred to"
    );

    api.put("secrets", &secret("missing", "1"));
    settle().await;
    assert!(matches!(set.lookup("ns", "missing"), Lookup::Present(_)));
    assert_eq!(queued(&mut changes), ["b"]);

    set.follow(&who("b"), &[]);
    settle().await;
    assert_eq!(api.watches(), 1, "the other has no referrer any more");
    api.put("secrets", &secret("shared", "2"));
    api.put("secrets", &secret("missing", "2"));
    settle().await;
    assert_eq!(queued(&mut changes), ["a"]);

    set.follow(&who("a"), &[]);
    settle().await;
    assert_eq!(api.watches(), 0);
    assert!(
        matches!(set.lookup("ns", "shared"), Lookup::Pending),
        "it may have changed since"
    );
}

#[tokio::test(start_paused = true)]
async fn following_the_same_again_changes_nothing() {
    let api = FakeApi::default();
    let (_runtime, set, mut changes) = following(&api).await;
    drop(api.take_log());
    for _ in 0..10 {
        set.follow(&who("a"), &names(&["one"]));
        settle().await;
    }
    assert!(matches!(set.lookup("ns", "one"), Lookup::Present(_)));
    assert!(queued(&mut changes).is_empty());
    assert!(api.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn deletion_return_and_refusal_wake_the_referrer_once_each() {
    let api = FakeApi::default();
    let (_runtime, set, mut changes) = following(&api).await;

    api.remove("secrets", "ns", "one");
    settle().await;
    assert!(matches!(set.lookup("ns", "one"), Lookup::Absent));
    assert_eq!(queued(&mut changes), ["a"]);

    api.refuse("secrets", Some(403));
    sleep(Duration::from_mins(5)).await;
    assert!(matches!(set.lookup("ns", "one"), Lookup::Forbidden));
    assert_eq!(queued(&mut changes), ["a"]);
    sleep(Duration::from_mins(5)).await;
    assert!(queued(&mut changes).is_empty());

    api.put("secrets", &secret("one", "2"));
    api.refuse("secrets", None);
    sleep(Duration::from_secs(12)).await;
    assert!(matches!(set.lookup("ns", "one"), Lookup::Present(_)));
    assert_eq!(queued(&mut changes), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_changes_nothing_that_is_known() {
    let api = FakeApi::default();
    let (_runtime, set, mut changes) = following(&api).await;
    api.down(true);
    sleep(Duration::from_mins(5)).await;
    assert!(matches!(set.lookup("ns", "one"), Lookup::Present(_)));
    api.down(false);
    sleep(Duration::from_secs(12)).await;
    assert!(queued(&mut changes).is_empty());
    api.put("secrets", &secret("one", "2"));
    settle().await;
    assert_eq!(queued(&mut changes), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_impossible_name_is_absent_and_causes_no_request() {
    let api = FakeApi::default();
    let (_runtime, set) = started(&api);
    let long = "x".repeat(254);
    let impossible = [
        "a=b",
        "a,metadata.namespace=other",
        "a/b",
        "",
        "A",
        "-a",
        "a..b",
        "a.",
        &long,
    ];
    set.follow(&who("a"), &names(&impossible));
    set.follow(&who("b"), &[("n/s?x".to_owned(), "one".to_owned())]);
    settle().await;
    for name in impossible {
        assert!(matches!(set.lookup("ns", name), Lookup::Absent), "{name}");
    }
    assert!(matches!(set.lookup("n/s?x", "one"), Lookup::Absent));
    assert!(api.take_log().is_empty());
    set.follow(&who("a"), &names(&["a.b-c.0"]));
    settle().await;
    assert_eq!(api.watches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_silently_died_is_noticed() {
    let api = FakeApi::default();
    let (_runtime, set) = started(&api);
    set.follow(&who("a"), &names(&["one"]));
    settle().await;
    api.silence_watches();
    api.put("secrets", &secret("one", "1"));
    sleep(Duration::from_secs(90)).await;
    assert!(matches!(set.lookup("ns", "one"), Lookup::Present(_)));
}

#[tokio::test(start_paused = true)]
async fn debug_output_shows_no_secret() {
    let api = FakeApi::default();
    let mut secret = secret("one", "1");
    secret["data"] = json!({ "password": "aHVudGVyMg==" });
    api.put("secrets", &secret);
    let (mut runtime, set) = started(&api);
    let (cache, mut changes) = runtime.watch::<Secret>(Config::default(), |_| {});
    set.follow(&who("a"), &names(&["one"]));
    settle().await;
    let cached = cache.get(Some("ns"), "one").unwrap();
    let plain = format!("{cached:?}");
    let bytes = "104, 117, 110, 116, 101, 114";
    assert!(plain.contains(bytes), "as Secrets themselves do: {plain}");
    let found = set.lookup("ns", "one");
    for shown in [
        format!("{set:?}"),
        format!("{found:?}"),
        format!("{cache:?}"),
        format!("{changes:?}"),
    ] {
        assert!(!shown.contains("104"), "{shown}");
    }
    assert!(changes.next().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_late_subscription_starts_with_the_known_referrers() {
    let api = FakeApi::default();
    let (_runtime, set) = started(&api);
    set.follow(&who("a"), &names(&["one"]));
    settle().await;
    assert_eq!(queued(&mut set.changes()), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_not_kept() {
    let api = FakeApi::default();
    let large = "x".repeat(shared_types::limits::CACHED_OBJECT_BYTES);
    api.put("secrets", &secret("shared", &large));
    let (_runtime, set) = started(&api);
    set.follow(&who("a"), &names(&["shared"]));
    settle().await;
    let Lookup::Undecodable(why) = set.lookup("ns", "shared") else {
        panic!("{:?}", set.lookup("ns", "shared"))
    };
    assert!(why.to_string().contains("at most"), "{why}");
    api.put("secrets", &secret("shared", "small"));
    settle().await;
    assert!(matches!(set.lookup("ns", "shared"), Lookup::Present(_)));
}
