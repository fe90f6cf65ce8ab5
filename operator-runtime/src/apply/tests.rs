//! Apply and delete against a scripted API server: whole requests, in their order.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::Client;
use serde_json::{Value, json};

use super::{Applier, ApplyError, Change, NO_VERSION, prepared};
use crate::claim::Claim;
use crate::controller::Classified;
use crate::testing::{Call, Script};

/// The annotation with the hash.
const HASH: &str = "example.com/applied-hash";

const PATH: &str = "/api/v1/namespaces/ns/configmaps/cm";

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn owner(uid: &str) -> Value {
    json!([{
        "apiVersion": "kubedb.com/v1alpha2", "kind": "Pgpool", "name": "pool", "uid": uid, "controller": true,
    }])
}

fn labels() -> Value {
    json!({ "app.kubernetes.io/managed-by": "kubedb.com", "app.kubernetes.io/instance": "pool" })
}

fn claim() -> Claim {
    Claim::new(from(owner("u1")[0].clone()), from(labels()))
}

fn desired(data: &str) -> ConfigMap {
    from(json!({
        "metadata": { "name": "cm", "namespace": "ns", "labels": labels(), "ownerReferences": owner("u1") },
        "data": { "key": data },
    }))
}

/// What the API server keeps after `desired` was applied.
fn live(desired: &ConfigMap) -> ConfigMap {
    let mut live = prepared(desired, HASH).unwrap();
    live["metadata"]["uid"] = json!("live-uid");
    live["metadata"]["resourceVersion"] = json!("7");
    from(live)
}

fn applier(client: Client) -> Applier {
    Applier::new(client, "tester", HASH)
}

#[tokio::test]
async fn a_new_object_takes_one_request_that_can_only_create() {
    let (client, script) = Script::new()
        .expect(
            Call::patch(PATH)
                .query("fieldManager=tester")
                .query("force=true")
                .check(|body| {
                    assert_eq!(body["metadata"]["resourceVersion"], "1");
                    assert_eq!(body["kind"], "ConfigMap");
                    assert_eq!(body["apiVersion"], "v1");
                    assert_eq!(body["metadata"]["annotations"][HASH].as_str().unwrap().len(), 32);
                }),
        )
        .start();
    let applied = applier(client)
        .apply(&claim(), &desired("a"), None)
        .await
        .unwrap();
    assert_eq!(applied.change, Change::Created);
    script.finish().await;
}

#[tokio::test]
async fn an_object_that_is_up_to_date_takes_no_request() {
    let (client, script) = Script::new().start();
    let wanted = desired("a");
    let mut present = live(&wanted);
    present
        .data
        .as_mut()
        .unwrap()
        .insert("foreign".to_owned(), "x".to_owned());
    let applied = applier(client)
        .apply(&claim(), &wanted, Some(&present))
        .await
        .unwrap();
    assert_eq!(applied.change, Change::None);
    assert_eq!(applied.object, present);
    script.finish().await;
}

#[tokio::test]
async fn drift_is_corrected_in_exactly_the_object_that_was_checked() {
    let (client, script) = Script::new()
        .expect(Call::patch(PATH).check(|body| {
            assert_eq!(body["metadata"]["uid"], "live-uid");
            assert_eq!(body["metadata"].get("resourceVersion"), None);
            assert_eq!(body["data"]["key"], "a");
        }))
        .start();
    let wanted = desired("a");
    let mut present = live(&wanted);
    present
        .data
        .as_mut()
        .unwrap()
        .insert("key".to_owned(), "edited".to_owned());
    let applied = applier(client)
        .apply(&claim(), &wanted, Some(&present))
        .await
        .unwrap();
    assert_eq!(applied.change, Change::Configured);
    script.finish().await;
}

#[tokio::test]
async fn a_field_that_is_no_longer_desired_is_noticed_by_the_hash() {
    let (client, script) = Script::new().expect(Call::patch(PATH)).start();
    let mut before = desired("a");
    before
        .data
        .as_mut()
        .unwrap()
        .insert("former".to_owned(), "x".to_owned());
    let applied = applier(client)
        .apply(&claim(), &desired("a"), Some(&live(&before)))
        .await
        .unwrap();
    assert_eq!(applied.change, Change::Configured);
    script.finish().await;
}

#[tokio::test]
async fn the_owner_of_an_object_outside_the_cache_is_checked_first() {
    let foreign = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "cm", "namespace": "ns", "uid": "x", "labels": { "app": "theirs" } },
    });
    let (client, script) = Script::new()
        .expect(Call::patch(PATH).refuse(409, "Conflict", "the object has been modified"))
        .expect(Call::get(PATH).reply(foreign))
        .start();
    let error = applier(client)
        .apply(&claim(), &desired("a"), None)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "ConfigMap ns/cm exists and belongs to someone else; rename or delete it"
    );
    assert_eq!(error.class(), "name_conflict");
    script.finish().await;
}

#[tokio::test]
async fn an_orphan_with_our_labels_is_adopted() {
    let mut orphan = live(&desired("a"));
    orphan.metadata.owner_references = None;
    let answer = serde_json::to_value(&orphan).unwrap();
    let (client, script) = Script::new()
        .expect(Call::patch(PATH).refuse(409, "Conflict", "the object has been modified"))
        .expect(Call::get(PATH).reply(answer))
        .expect(Call::patch(PATH).check(|body| {
            assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "u1");
            assert_eq!(body["metadata"]["uid"], "live-uid");
        }))
        .start();
    let applied = applier(client)
        .apply(&claim(), &desired("a"), None)
        .await
        .unwrap();
    assert_eq!(applied.change, Change::Configured);
    script.finish().await;
}

#[tokio::test]
async fn what_was_decided_from_one_version_overwrites_no_other() {
    let changed = "the object has been modified";
    let at = |version: &str| {
        let mut wanted = desired("a");
        wanted.metadata.resource_version = Some(version.to_owned());
        wanted
    };
    let is =
        |version: &'static str| move |body: &Value| assert_eq!(body["metadata"]["resourceVersion"], version);
    let mut present = live(&desired("b"));
    let (client, script) = Script::new()
        .expect(Call::patch(PATH).check(is("7")).refuse(409, "Conflict", changed))
        .expect(Call::patch(PATH).check(is("1")).refuse(409, "Conflict", changed))
        .expect(Call::get(PATH).reply(serde_json::to_value(&present).unwrap()))
        .expect(Call::patch(PATH).check(is("1")).refuse(409, "Conflict", changed))
        .start();
    let applier = applier(client);
    let error = applier
        .apply(&claim(), &at("7"), Some(&present))
        .await
        .unwrap_err();
    assert_eq!((error.class(), error.code()), ("conflict", Some(409)));
    let error = applier.apply(&claim(), &at(NO_VERSION), None).await.unwrap_err();
    assert_eq!(error.class(), "conflict", "another process created it meanwhile");
    // The version does not matter when nothing is sent.
    present = live(&desired("a"));
    let applied = applier.apply(&claim(), &at("3"), Some(&present)).await.unwrap();
    assert_eq!(applied.change, Change::None);
    script.finish().await;
}

#[tokio::test(start_paused = true)]
async fn timeouts_and_refusals_are_errors_that_name_the_object() {
    let (service, _handle) =
        tower_test::mock::pair::<http::Request<kube::client::Body>, http::Response<kube::client::Body>>();
    let silent = Client::new(service, "default");
    let error = applier(silent)
        .apply(&claim(), &desired("a"), None)
        .await
        .unwrap_err();
    assert!(matches!(error, ApplyError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("ConfigMap ns/cm"), "{error}");

    let (client, script) = Script::new()
        .expect(Call::patch(PATH).refuse(403, "Forbidden", "no right to patch configmaps"))
        .start();
    let error = applier(client)
        .apply(&claim(), &desired("a"), None)
        .await
        .unwrap_err();
    assert_eq!((error.class(), error.code()), ("forbidden", Some(403)));
    assert!(
        error.to_string().contains("no right to patch configmaps"),
        "{error}"
    );
    script.finish().await;
}

#[tokio::test]
async fn a_secret_in_plain_text_is_sent_and_compared_as_data() {
    let wanted: Secret = from(json!({
        "metadata": { "name": "s", "namespace": "ns", "labels": labels(), "ownerReferences": owner("u1") },
        "stringData": { "password": "hush" },
    }));
    let (client, script) = Script::new()
        .expect(Call::patch("/api/v1/namespaces/ns/secrets/s").check(|body| {
            assert_eq!(body["data"]["password"], "aHVzaA==");
            assert_eq!(body.get("stringData"), None);
        }))
        .start();
    let applied = applier(client.clone())
        .apply(&claim(), &wanted, None)
        .await
        .unwrap();
    let mut present = applied.object;
    present.metadata.uid = Some("s-uid".to_owned());
    present.metadata.resource_version = None;
    let again = applier(client)
        .apply(&claim(), &wanted, Some(&present))
        .await
        .unwrap();
    assert_eq!(again.change, Change::None);
    script.finish().await;
}

#[tokio::test]
async fn deletion_names_the_object_that_was_meant() {
    let gone = "the precondition failed: UID";
    let (client, script) = Script::new()
        .expect(
            Call::delete(PATH)
                .check(|body| {
                    assert_eq!(body["preconditions"]["uid"], "live-uid");
                    assert_eq!(body["propagationPolicy"], "Background");
                })
                .reply(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" })),
        )
        .expect(Call::delete(PATH).refuse(404, "NotFound", "no such object"))
        .expect(Call::delete(PATH).refuse(409, "Conflict", gone))
        .expect(Call::delete(PATH).refuse(403, "Forbidden", "no right"))
        .expect(
            Call::delete("/api/v1/namespaces/x")
                .reply(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" })),
        )
        .start();
    let (applier, present) = (applier(client), live(&desired("a")));
    for _ in ["it is deleted", "it is gone", "another has its name"] {
        applier.delete(&claim(), &present).await.unwrap();
    }
    assert!(applier.delete(&claim(), &present).await.is_err());
    let cluster_wide: Namespace = from(json!({ "metadata": { "name": "x", "labels": labels() } }));
    applier.delete(&claim(), &cluster_wide).await.unwrap();
    script.finish().await;
}

/// Objects that have the name of one of ours and belong to someone else.
fn foreign() -> Vec<(&'static str, Value)> {
    let controller = |kind: &str, name: &str, uid: &str| {
        let group = if kind == "Deployment" {
            "apps/v1"
        } else {
            "kubedb.com/v1alpha2"
        };
        json!([{ "apiVersion": group, "kind": kind, "name": name, "uid": uid, "controller": true }])
    };
    vec![
        ("no labels, no owner", json!({})),
        (
            "our labels, another controller",
            json!({ "labels": labels(), "ownerReferences": controller("Pgpool", "other", "u2") }),
        ),
        (
            "our labels, a controller of another kind and our name",
            json!({ "labels": labels(), "ownerReferences": controller("PgBouncer", "pool", "u1") }),
        ),
        (
            "our labels, a controller of a built-in kind",
            json!({ "labels": labels(), "ownerReferences": controller("Deployment", "pool", "u1") }),
        ),
        (
            "no labels, a deleted Pgpool of our name",
            json!({ "ownerReferences": controller("Pgpool", "pool", "u0") }),
        ),
        (
            "a label is missing",
            json!({ "labels": { "app.kubernetes.io/managed-by": "kubedb.com" } }),
        ),
    ]
}

#[tokio::test]
async fn what_belongs_to_someone_else_is_neither_changed_nor_deleted() {
    let (client, script) = Script::new().start();
    let applier = applier(client);
    for (what, mut metadata) in foreign() {
        metadata["name"] = json!("cm");
        metadata["namespace"] = json!("ns");
        metadata["uid"] = json!("x");
        let live: ConfigMap = from(json!({ "metadata": metadata }));
        let error = applier
            .apply(&claim(), &desired("a"), Some(&live))
            .await
            .unwrap_err();
        assert_eq!(error.class(), "name_conflict", "{what}");
        let error = applier.delete(&claim(), &live).await.unwrap_err();
        assert_eq!(error.class(), "name_conflict", "{what}");
    }
    script.finish().await;
}

#[tokio::test]
async fn a_secret_that_cannot_become_ours_is_a_conflict_that_says_why() {
    let secret = |data: &str, more: Value| {
        let mut secret = json!({
            "metadata": { "name": "s", "namespace": "ns", "uid": "x", "labels": labels() },
            "data": { "key": data },
        });
        for (key, value) in more.as_object().unwrap() {
            secret[key] = value.clone();
        }
        from::<Secret>(secret)
    };
    let (client, script) = Script::new()
        .expect(Call::patch("/api/v1/namespaces/ns/secrets/s"))
        .start();
    let applier = applier(client);
    let sealed = json!({ "immutable": true });
    let rows = [
        (
            json!({ "type": "kubernetes.io/tls" }),
            "its type is kubernetes.io/tls instead of Opaque",
        ),
        (sealed.clone(), "it is immutable"),
    ];
    for (more, words) in rows {
        let live = secret("Yg==", more);
        let wanted = secret("YQ==", json!({}));
        let error = applier.apply(&claim(), &wanted, Some(&live)).await.unwrap_err();
        assert_eq!(error.class(), "name_conflict");
        assert!(error.to_string().contains(words), "{error}");
    }
    // One of ours that is immutable on purpose may still get other labels.
    let mut wanted = secret("YQ==", sealed.clone());
    wanted
        .metadata
        .labels
        .get_or_insert_default()
        .insert("team".into(), "shop".into());
    applier
        .apply(&claim(), &wanted, Some(&secret("YQ==", sealed)))
        .await
        .unwrap();
    script.finish().await;
}
