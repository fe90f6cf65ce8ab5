//! With `spec.syncUsers`: what happens to labeled Secrets happens to the pods' users.

use super::*;

const USERS: &str = "/api/v1/namespaces/demo/secrets/pool-users";
const ANN: &str = "/api/v1/namespaces/backend/secrets/ann";

fn ann(data: &Value) -> Value {
    json!({
        "kind": "Secret", "apiVersion": "v1", "type": "Opaque",
        "metadata": { "name": "ann", "namespace": "backend", "labels": {
            names::LABEL_NAME: names::POSTGRES, names::LABEL_INSTANCE: "pg",
        }},
        "data": data,
    })
}

fn file(stage: &Stage) -> String {
    let secret: Secret = stage.api.get(USERS).unwrap();
    String::from_utf8(secret.data.unwrap()["pool_passwd"].0.clone()).unwrap()
}

#[tokio::test]
async fn users_come_change_and_go_with_their_secrets() {
    let mut pgpool = tls_pgpool();
    pgpool.spec.sync_users = Some(true);
    pgpool.spec.postgres_ref.namespace = Some("backend".to_owned());
    let stage = Stage::new(&pgpool);
    stage.finish().await;
    assert!(stage.context.caches.synced.is_raised());
    let before = file(&stage);
    stage.api.log();

    let users = format!("PATCH {USERS}");
    let status = format!("PATCH {POOL}/status");
    let expected = |log: &[String]| writes(log)[0] == users && log[4] == status && log.len() == 5;
    for (data, lines) in [
        (json!({ "username": "YW5u", "password": "b25l" }), "ann:TEXTone\n"),
        (json!({ "username": "YW5u", "password": "dHdv" }), "ann:TEXTtwo\n"),
    ] {
        stage.api.put(ANN, ann(&data));
        assert_eq!(stage.reconcile().await.reason(), Some("ReloadingConfiguration"));
        let log = stage.api.log();
        assert!(
            expected(&log),
            "one Secret, a notification of each of three pods, and the status: {log:?}"
        );
        assert_eq!(stage.reconcile().await, Outcome::Converged);
        stage.api.log();
        assert_eq!(file(&stage), format!("{lines}{before}"));
    }

    // A Secret that turns bad is named, and its user stays.
    stage.api.put(ANN, ann(&json!({ "username": "YW5u" })));
    stage.reconcile().await;
    let (status, reason, message) = stage.reason(ConditionType::UsersIncomplete).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "UserSecretInvalid"));
    assert!(message.contains("backend/ann"), "{message}");
    assert_eq!(file(&stage), format!("ann:TEXTtwo\n{before}"));
    let log = stage.api.log();
    let event = "POST /apis/events.k8s.io/v1/namespaces/demo/events".to_owned();
    assert_eq!(writes(&log), [format!("PATCH {POOL}/status"), event]);

    stage.api.user_secrets.delete(stage.api.get(ANN).unwrap());
    stage.reconcile().await;
    assert_eq!(file(&stage), before);
    assert_eq!(stage.reason(ConditionType::UsersIncomplete), None);
    assert_eq!(stage.reconcile().await, Outcome::Converged);
    stage.api.log();
    stage.reconcile().await;
    assert_eq!(stage.api.log(), [""; 0]);
}

#[tokio::test]
async fn nobody_is_looked_for_without_being_asked() {
    let stage = Stage::new(&plain_pgpool());
    stage
        .api
        .put(ANN, ann(&json!({ "username": "YW5u", "password": "b25l" })));
    stage.finish().await;
    assert!(!stage.context.caches.synced.is_raised());
    assert!(!file(&stage).contains("ann"));
}
