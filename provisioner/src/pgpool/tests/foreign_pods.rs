//! A pod with the name and labels of a pod of the pool that the StatefulSet does not control.

use super::*;

#[tokio::test]
async fn a_foreign_pod_is_neither_probed_nor_written_to_and_its_copy_stays() {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    let path = "/api/v1/namespaces/demo/pods/pool-2";
    let mut pod: Value = stage.api.get(path).unwrap();
    pod["metadata"]["ownerReferences"] = json!([]);
    pod["metadata"]["uid"] = "impostor".into();
    stage.api.put(path, pod);
    stage.asked().await;
    let (status, reason, message) = stage.reason(ConditionType::ReplicaReady).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "PodNotControlled"));
    assert!(message.contains("demo/pool-2"), "{message}");
    stage.api.log();

    // Settings of which every pod of the pool is notified.
    let mut pgpool = stage.pgpool();
    pgpool.spec.client_auth_mode = Some(shared_types::ClientAuthMode::Md5);
    pgpool.metadata.generation = Some(5);
    stage.api.put(POOL, serde_json::to_value(&pgpool).unwrap());
    stage.reconcile().await;
    stage.reconcile().await;
    let key = ObjectRef::from_obj(&stage.pgpool());
    assert!(!stage.context.health.results(&key).contains_key("impostor"));
    let log = stage.api.log();
    let written = |part: &str| writes(&log).iter().any(|line| line.contains(part));
    assert!(written("pods/pool-1"), "{log:#?}");
    assert!(!written("pods/pool-2") && !written("DELETE"), "{log:#?}");
}
