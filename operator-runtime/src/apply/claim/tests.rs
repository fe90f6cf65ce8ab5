use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::other_owner;

fn meta(value: Value) -> ObjectMeta {
    serde_json::from_value(value).unwrap()
}

fn pool(name: &str, uid: &str) -> Value {
    json!([{
        "apiVersion": "kubedb.com/v1alpha2", "kind": "Pgpool", "name": name, "uid": uid, "controller": true,
    }])
}

fn labels(manager: &str, instance: &str) -> Value {
    json!({ "app.kubernetes.io/managed-by": manager, "app.kubernetes.io/instance": instance })
}

fn ours() -> Value {
    labels("kubedb.com", "pool")
}

/// An object to be owned by the `Pgpool` `pool`, and one to outlive it.
fn wanted() -> [ObjectMeta; 2] {
    [
        meta(json!({ "labels": ours(), "ownerReferences": pool("pool", "u1") })),
        meta(json!({ "labels": ours() })),
    ]
}

#[test]
fn an_owned_object_may_be_written() {
    let [owned, kept] = wanted();
    let cases = [
        (
            "its child",
            &owned,
            json!({ "ownerReferences": pool("pool", "u1") }),
        ),
        ("an orphan with its labels", &owned, json!({ "labels": ours() })),
        (
            "a child of its owner before that was recreated",
            &owned,
            json!({ "labels": ours(), "ownerReferences": pool("pool", "u0") }),
        ),
        (
            "one to be kept, still owned",
            &kept,
            json!({ "labels": ours(), "ownerReferences": pool("pool", "u1") }),
        ),
        ("one that is kept", &kept, json!({ "labels": ours() })),
    ];
    for (what, wanted, live) in cases {
        assert_eq!(other_owner(wanted, &meta(live)), None, "{what}");
    }
}

#[test]
fn the_owner_of_another_object_is_named() {
    let [owned, kept] = wanted();
    let deployment = json!([
        { "apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u9", "controller": true },
    ]);
    let mut bouncer = pool("pool", "u9");
    bouncer[0]["kind"] = json!("PgBouncer");
    let cases = [
        (
            &owned,
            json!({ "ownerReferences": pool("pool", "u0") }),
            "Pgpool pool",
        ),
        (&owned, json!({}), "someone else"),
        (
            &owned,
            json!({ "labels": { "app.kubernetes.io/managed-by": "Helm" } }),
            "Helm",
        ),
        (
            &owned,
            json!({ "labels": ours(), "ownerReferences": pool("other", "u9") }),
            "Pgpool other",
        ),
        (
            &owned,
            json!({ "labels": ours(), "ownerReferences": bouncer }),
            "PgBouncer pool",
        ),
        (
            &owned,
            json!({ "labels": ours(), "ownerReferences": deployment }),
            "Deployment d",
        ),
        (
            &owned,
            json!({ "labels": labels("kubedb.com", "other") }),
            "other, managed by kubedb.com",
        ),
        (
            &owned,
            json!({ "labels": labels("Helm", "pool") }),
            "pool, managed by Helm",
        ),
        (
            &kept,
            json!({ "labels": ours(), "ownerReferences": pool("other", "u9") }),
            "Pgpool other",
        ),
    ];
    for (wanted, live, owner) in cases {
        assert_eq!(other_owner(wanted, &meta(live)).as_deref(), Some(owner));
    }
    let bare = meta(json!({}));
    assert!(other_owner(&bare, &bare).is_some(), "no labels prove nothing");
}
