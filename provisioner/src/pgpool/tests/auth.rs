//! The auth Secret, which another program writes too: the one that rotates the password.

use operator_runtime::Classified;

use super::*;

const AUTH: &str = "/api/v1/namespaces/demo/secrets/pool-auth";

#[tokio::test]
async fn a_password_that_is_rotated_while_labels_change_stays() {
    let stage = Stage::new(&plain_pgpool());
    stage.finish().await;
    let mut relabeled = serde_json::to_value(stage.pgpool()).unwrap();
    relabeled["metadata"]["labels"]["team"] = "shop".into();
    stage.api.put(POOL, relabeled);
    // The cache has not heard of it yet.
    stage.api.hold();
    let mut rotated: Value = stage.api.get(AUTH).unwrap();
    rotated["data"]["password"] = "cm90YXRlZA==".into();
    stage.api.put(AUTH, rotated.clone());
    let error = stage.try_once().await.unwrap_err();
    assert_eq!(error.class(), "conflict", "a reason to look again: {error}");
    let stands = || stage.api.get::<Value>(AUTH).unwrap();
    assert_eq!(stands()["data"], rotated["data"]);

    stage.api.release();
    stage.reconcile().await;
    assert_eq!(stands()["data"], rotated["data"]);
    assert_eq!(stands()["metadata"]["labels"]["team"], "shop");
}
