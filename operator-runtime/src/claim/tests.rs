use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({ "apiVersion": "kubedb.com/v1alpha2", "kind": kind, "name": name, "uid": uid, "controller": true })
}

fn labels(name: &str, manager: &str, instance: &str) -> Value {
    json!({
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/managed-by": manager,
        "app.kubernetes.io/instance": instance,
    })
}

fn ours() -> Value {
    labels("pgpools.kubedb.com", "kubedb.com", "pool")
}

fn claim() -> Claim {
    Claim::new(from(owner("Pgpool", "pool", "u1")), from(ours()))
}

#[test]
fn an_object_of_this_owner_may_be_written() {
    let mut restored = owner("Pgpool", "pool", "u0");
    restored["apiVersion"] = json!("kubedb.com/v1");
    let rows = [
        (
            "its child",
            json!({ "ownerReferences": [owner("Pgpool", "pool", "u1")] }),
        ),
        ("an orphan with its labels", json!({ "labels": ours() })),
        (
            "a child of its owner before that was recreated",
            json!({ "labels": ours(), "ownerReferences": [owner("Pgpool", "pool", "u0")] }),
        ),
        (
            "the same of another version of the API",
            json!({ "labels": ours(), "ownerReferences": [restored] }),
        ),
    ];
    for (what, live) in rows {
        assert_eq!(claim().other_owner(&from(live)), None, "{what}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn the_owner_of_another_object_is_named() {
    let deployment = json!([
        { "apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u9", "controller": true },
    ]);
    let mut beside = owner("Pgpool", "pool", "u1");
    beside["controller"] = json!(false);
    let mut other_group = owner("Pgpool", "pool", "u1");
    other_group["apiVersion"] = json!("example.com/v1");
    let rows = [
        (json!({}), "someone else"),
        (
            json!({ "ownerReferences": [owner("Pgpool", "pool", "u0")] }),
            "Pgpool pool",
        ),
        (
            json!({ "ownerReferences": [owner("Pgpool", "pool", "")] }),
            "Pgpool pool",
        ),
        (
            json!({ "labels": { "app.kubernetes.io/managed-by": "Helm" } }),
            "Helm",
        ),
        (
            json!({ "labels": ours(), "ownerReferences": [owner("Pgpool", "other", "u9")] }),
            "Pgpool other",
        ),
        (
            json!({ "labels": ours(), "ownerReferences": [owner("PgBouncer", "pool", "u1")] }),
            "PgBouncer pool",
        ),
        (
            json!({ "labels": ours(), "ownerReferences": deployment }),
            "Deployment d",
        ),
        (
            json!({ "labels": ours(), "ownerReferences": [other_group] }),
            "Pgpool pool",
        ),
        (
            json!({ "labels": labels("postgreses.kubedb.com", "kubedb.com", "pool") }),
            "pool, managed by kubedb.com",
        ),
        (
            json!({ "labels": labels("pgpools.kubedb.com", "kubedb.com", "other") }),
            "other, managed by kubedb.com",
        ),
        (
            json!({ "labels": labels("pgpools.kubedb.com", "Helm", "pool") }),
            "pool, managed by Helm",
        ),
        // Ours among its owners, as of a Secret that is to go with the Pgpool: it is still someone else's.
        (json!({ "ownerReferences": [beside] }), "someone else"),
        (
            json!({ "labels": ours(), "ownerReferences": [beside, deployment[0]] }),
            "Deployment d",
        ),
    ];
    for (live, owner) in rows {
        let found = claim().other_owner(&from(live.clone()));
        assert_eq!(found.as_deref(), Some(owner), "{live}");
    }
    let bare = Claim::new(from(owner("Pgpool", "pool", "u1")), BTreeMap::new());
    assert!(!bare.covers(&ObjectMeta::default()), "no labels prove nothing");
}

#[test]
fn a_secret_of_another_type_or_an_immutable_one_is_not_ours() {
    let basic = "kubernetes.io/basic-auth";
    let rows = [
        (json!({ "type": basic }), None),
        (json!({ "type": basic, "immutable": false }), None),
        (json!({}), Some("Opaque")),
        (json!({ "type": "kubernetes.io/tls" }), Some("kubernetes.io/tls")),
        (json!({ "type": basic, "immutable": true }), Some("immutable")),
    ];
    for (mut secret, expected) in rows {
        secret["metadata"] = json!({ "labels": ours() });
        let found = claim().other_owner_of_secret(&from(secret.clone()), basic);
        assert_eq!(found.is_some(), expected.is_some(), "{secret}: {found:?}");
        assert!(
            found.is_none_or(|found| found.contains(expected.unwrap())),
            "{secret}"
        );
    }
    let foreign: Secret = from(json!({ "type": basic }));
    assert!(claim().other_owner_of_secret(&foreign, basic).is_some());
}
