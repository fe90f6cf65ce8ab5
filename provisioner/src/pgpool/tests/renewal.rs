//! Certificates on their way to pods: invalid ones do not reach a pod, valid ones do, whichever operator verified them.

use super::*;

#[tokio::test]
async fn a_spoiled_certificate_never_reaches_a_pod() {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    let (workload, copy) = (stage.workload(), stage.copy().unwrap());
    stage.api.log();

    // Another key under the same leaf, and a verdict that is not withdrawn yet.
    let mut certificates = certificates(&stage.pgpool(), &stage.pki);
    let mut spoiled = certificates.remove(0);
    crate::fixtures::spoil(&mut spoiled, "tls.key", Some(&stage.pki.client("x").key));
    stage.store(&spoiled);
    stage.verify(std::slice::from_ref(&spoiled), true);
    certificates.insert(0, spoiled);
    certificates
        .iter()
        .skip(1)
        .for_each(|certificate| stage.store(certificate));
    stage.verify(&certificates, true);
    stage.reconcile().await;
    assert_eq!(stage.workload(), workload);
    assert_eq!(stage.copy().unwrap().data, copy.data);
    let (status, reason, message) = stage.reason(ConditionType::Reconciling).unwrap();
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "WaitingForCertificates")
    );
    assert!(
        message.contains("demo/pool-server-cert") && message.contains("tls.key"),
        "{message}"
    );
    assert_eq!(
        stage.pgpool().status.unwrap().phase,
        Some(Phase::Ready),
        "what runs keeps running"
    );

    // Everything else about the workload may still change.
    let mut pgpool = stage.pgpool();
    pgpool.spec.replicas = Some(5);
    stage.api.put(POOL, serde_json::to_value(&pgpool).unwrap());
    stage.reconcile().await;
    assert_eq!(stage.workload().unwrap().spec.unwrap().replicas, Some(5));
    assert_eq!(stage.copy().unwrap().data, copy.data);
}

#[tokio::test]
async fn a_renewed_certificate_rolls_and_the_old_copy_goes_last() {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    let old = stage.copy().unwrap().name_any();
    let path = |name: &str| format!("/api/v1/namespaces/demo/secrets/{name}");

    let certificates = stage.issue();
    stage.verify(&certificates, true);
    stage.reconcile().await;
    let new = stage.copy().unwrap().name_any();
    assert_ne!(new, old);
    assert_eq!(stage.reason(ConditionType::Reconciling).unwrap().1, "RollingOut");
    assert!(stage.api.get::<Secret>(&path(&old)).is_some(), "pods mount it");

    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert!(
        stage.api.get::<Secret>(&path(&old)).is_none(),
        "nobody mounts it any more"
    );
    assert!(stage.api.get::<Secret>(&path(&new)).is_some());
}

#[tokio::test]
async fn with_the_channel_cut_the_end_is_the_same() {
    // The verdict in the status is enough.
    let stage = Stage::new(&tls_pgpool());
    stage.reconcile().await;
    let certificates = stage.issue();
    let mut pgpool = stage.pgpool();
    let published = certificates.iter().map(|certificate| {
        let leaf = certificate.leaf().present().copied().flatten().unwrap();
        json!({ "alias": certificate.alias, "fingerprint": leaf.to_string(), "ready": true })
    });
    let status = pgpool.status.as_mut().unwrap();
    status.certificates = serde_json::from_value(published.collect::<Vec<_>>().into()).unwrap();
    let verdict: k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition = serde_json::from_value(json!({
        "type": "CertificatesReady", "status": "True", "reason": "CertificatesIssued", "message": "",
        "observedGeneration": 4, "lastTransitionTime": "2027-01-01T00:00:00Z",
    }))
    .unwrap();
    status.conditions.push(verdict);
    stage.api.put(POOL, {
        let mut object = serde_json::to_value(&pgpool).unwrap();
        object["kind"] = "Pgpool".into();
        object
    });
    stage.reconcile().await;
    let by_status = stage.workload().unwrap();

    // And so is nothing at all, after the grace time.
    let alone = Stage::on(stage.api.clone(), Duration::ZERO);
    alone.reconcile().await;
    assert_eq!(alone.workload().unwrap(), by_status);
}
