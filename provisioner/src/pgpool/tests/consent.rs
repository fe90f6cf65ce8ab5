//! An `AppBinding` in another namespace: used only while its owner allows it, and otherwise never described.

use super::*;
use crate::across_namespaces::AcrossNamespaces;

const BINDING: &str = "/apis/appcatalog.appscode.com/v1alpha1/namespaces/db/appbindings/pg";
const SECRET: &str = "/api/v1/namespaces/db/secrets/pg-auth";
const USER: &str = "/api/v1/namespaces/db/secrets/ann";
const USERS: &str = "/api/v1/namespaces/demo/secrets/pool-users";

/// A pool in `demo` in front of a PostgreSQL in `db`, with its users.
fn across() -> Pgpool {
    let mut pgpool = plain_pgpool();
    pgpool.spec.sync_users = Some(true);
    pgpool
}

fn allow(stage: &Stage, namespaces: Option<&str>) {
    let mut binding: Value = stage.api.get(BINDING).unwrap();
    binding["metadata"]["annotations"] = match namespaces {
        Some(namespaces) => json!({ names::ANNOTATION_ALLOWED_NAMESPACES: namespaces }),
        None => json!({}),
    };
    stage.api.put(BINDING, binding);
}

fn put_user(stage: &Stage, password: &str) {
    let labels = json!({ names::LABEL_NAME: names::POSTGRES, names::LABEL_INSTANCE: "pg" });
    let metadata = json!({ "name": "ann", "namespace": "db", "labels": labels });
    let data = json!({ "username": "YW5u", "password": password });
    let user = json!({ "kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data });
    stage.api.put(USER, user);
}

fn remove(stage: &Stage, path: &str) {
    stage.api.remove(path);
}

/// Everything that somebody who may read the namespace `demo` sees.
fn visible(stage: &Stage) -> Vec<(String, Value)> {
    let objects = stage.api.contents().into_iter();
    let mut visible: Vec<_> = objects.filter(|(path, _)| path.contains("/demo/")).collect();
    for (_, object) in &mut visible {
        let conditions = object["status"]["conditions"].as_array_mut();
        for condition in conditions.into_iter().flatten() {
            condition["lastTransitionTime"].take();
        }
    }
    visible
}

#[tokio::test]
async fn without_consent_nothing_tells_what_there_is() {
    type Change = fn(&Stage);
    let rows: [(&str, Change); 8] = [
        ("all there", |_| {}),
        ("no AppBinding", |stage| remove(stage, BINDING)),
        ("no Secret", |stage| remove(stage, SECRET)),
        ("no user", |stage| remove(stage, USER)),
        ("nothing at all", |stage| {
            for path in [BINDING, SECRET, USER] {
                remove(stage, path);
            }
        }),
        ("others may use it", |stage| {
            allow(stage, Some("shop, dem, demos"));
        }),
        ("unreadable list", |stage| allow(stage, Some("DEMO,\u{0},,"))),
        ("no address", |stage| {
            let mut binding: Value = stage.api.get(BINDING).unwrap();
            binding["spec"]["clientConfig"] = json!({});
            stage.api.put(BINDING, binding);
        }),
    ];
    let mut seen = Vec::new();
    for (what, change) in rows {
        let stage = Stage::new(&across());
        put_user(&stage, "b25l");
        allow(&stage, None);
        change(&stage);
        let outcome = stage.reconcile().await;
        let log = stage.api.log();
        let (status, reason, message) = stage.reason(ConditionType::Stalled).unwrap();
        assert_eq!(
            (status.as_str(), reason.as_str()),
            ("True", "AppBindingForbidden"),
            "{what}"
        );
        assert!(
            message.contains("`db/pg`") && message.contains("allowed-namespaces"),
            "{message}"
        );
        assert!(!stage.context.caches.synced.is_raised(), "{what}");
        assert!(
            stage
                .context
                .caches
                .refused
                .contains(&ObjectRef::from_obj(&stage.pgpool()))
        );
        assert!(stage.api.get::<Value>(USERS).is_none(), "{what}");
        seen.push((what, outcome, log, visible(&stage)));
        let (_, outcome, log, visible) = &seen[0];
        let last = seen.last().unwrap();
        assert_eq!((&last.1, &last.2, &last.3), (outcome, log, visible), "{what}");
    }
}

#[tokio::test]
async fn when_consent_is_withdrawn_the_copies_stay_and_are_never_written_again() {
    let stage = Stage::new(&across());
    put_user(&stage, "b25l");
    stage.finish().await;
    let copy: Value = stage.api.get(USERS).unwrap();
    let workload: Value = stage.api.get(WORKLOAD).unwrap();

    allow(&stage, Some("shop"));
    stage.reconcile().await;
    let (_, reason, message) = stage.reason(ConditionType::Stalled).unwrap();
    assert_eq!(reason, "AppBindingForbidden");
    assert!(
        message.contains("only other passwords in PostgreSQL"),
        "{message}"
    );

    // Passwords change, and so does the Pgpool; the process restarts; the AppBinding is replaced.
    put_user(&stage, "dHdv");
    let mut secret: Value = stage.api.get(SECRET).unwrap();
    secret["data"]["password"] = "bmV3".into();
    stage.api.put(SECRET, secret);
    let mut pgpool = serde_json::to_value(stage.pgpool()).unwrap();
    pgpool["spec"]["replicas"] = 2.into();
    pgpool["metadata"]["generation"] = 2.into();
    stage.api.put(POOL, pgpool);
    stage.api.log();
    stage.reconcile().await;
    let binding: Value = stage.api.get(BINDING).unwrap();
    remove(&stage, BINDING);
    stage.reconcile().await;
    stage.api.put(BINDING, binding);
    let restarted = Stage::on(stage.api.clone(), PATIENT);
    restarted.reconcile().await;
    let log = stage.api.log();
    let status = format!("PATCH {POOL}/status");
    assert!(
        writes(&log)
            .iter()
            .all(|line| *line == status || line.contains("/events")),
        "{log:#?}"
    );
    assert_eq!(stage.api.get::<Value>(USERS).unwrap(), copy);
    assert_eq!(stage.api.get::<Value>(WORKLOAD).unwrap(), workload);

    // Nor is a copy that somebody deletes.
    remove(&stage, USERS);
    restarted.reconcile().await;
    assert!(stage.api.get::<Value>(USERS).is_none());

    allow(&stage, Some("demo"));
    restarted.reconcile().await;
    let users: Secret = stage.api.get(USERS).unwrap();
    let file = String::from_utf8(users.data.unwrap()["pool_passwd"].0.clone()).unwrap();
    assert!(file.contains("ann:TEXTtwo") && file.contains("TEXTnew"), "{file}");
    assert_eq!(stage.workload().unwrap().spec.unwrap().replicas, Some(2));
}

#[tokio::test]
async fn the_installation_may_allow_none_or_all() {
    let mode = |across_namespaces| {
        let mut stage = Stage::new(&across());
        put_user(&stage, "b25l");
        Arc::get_mut(&mut stage.context).unwrap().across_namespaces = across_namespaces;
        stage
    };
    // The annotation allows it, the installation does not.
    let stage = mode(AcrossNamespaces::None);
    stage.reconcile().await;
    let (_, reason, message) = stage.reason(ConditionType::Stalled).unwrap();
    assert_eq!(reason, "AppBindingForbidden");
    assert!(message.contains("postgresRef.acrossNamespaces"), "{message}");
    assert!(stage.api.get::<Value>(USERS).is_none());

    let stage = mode(AcrossNamespaces::All);
    allow(&stage, None);
    stage.reconcile().await;
    let users: Secret = stage.api.get(USERS).unwrap();
    let file = String::from_utf8(users.data.unwrap()["pool_passwd"].0.clone()).unwrap();
    assert!(file.contains("ann:TEXTone"), "{file}");
}
