//! Objects around a pool that cannot be decoded: the pool goes on as it is, and a condition names the field.

use super::*;

const VERSION: &str = "/apis/catalog.kubedb.com/v1alpha1/pgpoolversions/4.6.1";

fn stalled(stage: &Stage) -> Option<(String, String)> {
    let status = stage.pgpool().status.unwrap();
    let stalled = find(&status.conditions, ConditionType::Stalled)?;
    Some((stalled.reason.clone(), stalled.message.clone()))
}

/// Writes a change into an object, and returns what was there before.
fn damage(stage: &Stage, path: &str, pointer: &str, value: Value) -> Value {
    let before: Value = stage.api.get(path).unwrap();
    let mut damaged = before.clone();
    *damaged.pointer_mut(pointer).unwrap() = value;
    stage.api.put(path, damaged);
    before
}

#[tokio::test]
async fn what_runs_stays_while_something_cannot_be_decoded() {
    let rows = [
        (
            WORKLOAD,
            "/spec/replicas",
            "StatefulSet `demo/pool`",
            "spec.replicas",
        ),
        (VERSION, "/spec/pgpool", "PgpoolVersion `4.6.1`", "spec.pgpool"),
    ];
    for (path, pointer, object, field) in rows {
        let stage = Stage::new(&plain_pgpool());
        stage.reconcile().await;
        stage.run_pods();
        assert_eq!(stage.checked().await, Outcome::Converged);
        let good = damage(&stage, path, pointer, json!("MARKED-SECRET"));
        let before = stage.api.contents();
        assert_eq!(stage.reconcile().await.reason(), Some("ReferenceDecodeFailed"));
        let (reason, message) = stalled(&stage).unwrap();
        assert_eq!(reason, "ReferenceDecodeFailed");
        assert!(message.contains(object) && message.contains(field), "{message}");
        assert!(!message.contains("MARKED"), "{message}");
        let mut after = stage.api.contents();
        for (path, object) in &before {
            if !path.ends_with("/pgpools/pool") {
                assert_eq!(after.remove(path).as_ref(), Some(object), "{path} was changed");
            }
        }
        stage.api.log();
        stage.reconcile().await;
        assert_eq!(stage.api.log(), Vec::<String>::new(), "nothing is sent at rest");

        stage.api.put(path, good);
        assert_eq!(stage.checked().await, Outcome::Converged);
        assert_eq!(stalled(&stage), None);
    }
}
