//! A `Pgpool` from its manifest to a proven pod, against an API server that is played.

mod auth;
mod cluster;
mod consent;
mod death;
mod delivery;
mod foreign_pods;
mod init;
mod renewal;
mod resizing;
mod rolling;
mod scraped;
mod settings;
mod stage;
mod undecodable;
mod users;
mod walk;

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::{Value, json};
use shared_types::conditions::{ConditionType, find, is_true};
use shared_types::{Phase, names};
use tls_bundle::Fingerprint;

use super::*;
use crate::fixtures::api::FakeApi;
use crate::fixtures::{Pki, certificates, plain_pgpool, tls_pgpool};
use crate::pgpool::observe::Certificate;
use stage::{PATIENT, POOL, Stage, WORKLOAD, writes};

/// Waits for certificates, and for nothing that time brings.
const WAITS: Outcome = Outcome::Waiting {
    reason: "WaitingForCertificates",
    after: None,
};

#[tokio::test]
async fn the_foundation_comes_before_the_certificates() {
    let stage = Stage::new(&tls_pgpool());
    assert_eq!(stage.reconcile().await, WAITS);
    let log = stage.api.log();
    let questions: Vec<_> = log.iter().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(questions, ["GET /api/v1/namespaces/demo/secrets/pool-auth"]);
    // Nine objects and one status; no workload before its certificates.
    assert_eq!(writes(&log).len(), 10, "{log:#?}");
    assert_eq!(writes(&log)[9], format!("PATCH {POOL}/status"));
    assert!(stage.workload().is_none());

    stage.issue();
    let outcome = stage.reconcile().await;
    assert!(
        outcome != WAITS && outcome.reason() == WAITS.reason(),
        "looks again soon: {outcome:?}"
    );
    assert!(stage.workload().is_none(), "the verdict is not there yet");
}

#[tokio::test]
async fn from_the_verdict_to_proven_pods() {
    let stage = Stage::new(&tls_pgpool());
    stage.reconcile().await;
    let certificates = stage.issue();
    stage.api.log();
    stage.verify(&certificates, true);
    stage.reconcile().await;
    let copy = format!(
        "/api/v1/namespaces/demo/secrets/{}",
        stage.copy().unwrap().name_any()
    );
    let status = format!("PATCH {POOL}/status");
    let expected = [
        format!("PATCH {copy}"),
        format!("PATCH {WORKLOAD}"),
        status.clone(),
    ];
    assert_eq!(writes(&stage.api.log()), expected);
    assert_eq!(
        stage.reason(ConditionType::Reconciling).unwrap().1,
        "WaitingForPods"
    );

    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    let event = "POST /apis/events.k8s.io/v1/namespaces/demo/events".to_owned();
    assert_eq!(writes(&stage.api.log()), [status, event]);
    let status = stage.pgpool().status.unwrap();
    assert_eq!(status.phase, Some(Phase::Ready));
    assert!(is_true(&status.conditions, ConditionType::Ready));
    let leaf = certificates[0]
        .leaf()
        .present()
        .copied()
        .flatten()
        .map(|leaf| leaf.to_string());
    assert_eq!(status.pods.len(), 3);
    assert!(
        status
            .pods
            .iter()
            .all(|pod| pod.ready && pod.served_fingerprint == leaf)
    );
}

#[tokio::test]
async fn converged_means_that_nothing_is_sent() {
    for pgpool in [tls_pgpool(), plain_pgpool()] {
        let stage = Stage::new(&pgpool);
        stage.finish().await;
        stage.api.log();
        for _ in 0..3 {
            assert_eq!(stage.reconcile().await, Outcome::Converged);
        }
        assert_eq!(stage.api.log(), [""; 0]);

        // Nor by a new process, whose memory is empty.
        let successor = Stage::on(stage.api.clone(), Duration::ZERO);
        *successor.prober.0.lock().unwrap() = stage.prober.0.lock().unwrap().clone();
        assert_eq!(successor.checked().await, Outcome::Converged);
        let log = successor.api.log();
        let said = log.iter().all(|line| *line == format!("PATCH {POOL}/status"));
        // It verified them itself and reports that; nothing else.
        assert!(said && log.len() <= 1, "{log:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_twice_while_the_caches_lag() {
    let stage = Stage::new(&tls_pgpool());
    stage.reconcile().await;
    let (certificates, before) = (stage.issue(), stage.api.log().len());
    assert_eq!(before, 11);
    stage.verify(&certificates, true);
    stage.api.hold();
    let shown = Arc::new(stage.pgpool());
    stage.thrice(&shown).await;
    assert_eq!(stage.api.log().len(), 3, "copy, workload and status, once");
    stage.api.release();
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
}

#[tokio::test]
async fn a_new_pgpool_is_not_asked_about_again_while_the_caches_lag() {
    let stage = Stage::new(&plain_pgpool());
    let shown = Arc::new(stage.pgpool());
    let mut read = stage.context.named_secrets.changes();
    assert_eq!(read.next().now_or_never(), None);
    stage.try_once().await.unwrap();
    read.next().await;
    stage.api.hold();
    stage.thrice(&shown).await;
    let log = stage.api.log();
    assert_eq!(writes(&log).len(), 11, "{log:#?}");
    assert_eq!(log.len(), 12, "one question about the auth Secret");
}

#[tokio::test]
async fn without_tls_the_workload_follows_at_once() {
    let stage = Stage::new(&plain_pgpool());
    stage.reconcile().await;
    let log = stage.api.log();
    let writes = writes(&log);
    assert_eq!(
        writes[writes.len() - 2..],
        [format!("PATCH {WORKLOAD}"), format!("PATCH {POOL}/status")]
    );
    assert!(stage.copy().is_none());
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
}

#[tokio::test]
async fn a_foreign_object_stops_everything_and_touches_nothing() {
    let path = "/api/v1/namespaces/demo/services/pool";
    let foreign = json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": { "name": "pool", "namespace": "demo", "labels": { "app": "shop" } },
        "spec": { "selector": { "app": "shop" } },
    });
    let stage = Stage::new(&tls_pgpool());
    stage.api.put(path, foreign.clone());
    let certificates = stage.issue();
    stage.verify(&certificates, true);
    let outcome = stage.reconcile().await;
    assert!(
        matches!(
            outcome,
            Outcome::Waiting {
                reason: "NameConflict",
                after: Some(_)
            }
        ),
        "{outcome:?}"
    );
    let (status, reason, message) = stage.reason(ConditionType::Stalled).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "NameConflict"));
    assert!(message.contains("Service demo/pool"), "{message}");
    assert!(stage.workload().is_none());
    let now: Value = stage.api.get(path).unwrap();
    assert_eq!(now["spec"], foreign["spec"]);

    // Repaired: somebody removes it.
    let client = stage.api.client();
    let services: kube::Api<k8s_openapi::api::core::v1::Service> = kube::Api::namespaced(client, "demo");
    services
        .delete("pool", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    stage.reconcile().await;
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_eq!(stage.reason(ConditionType::Stalled), None);
}

#[tokio::test]
async fn a_pgpool_that_is_being_deleted_is_left_alone() {
    let stage = Stage::new(&tls_pgpool());
    let mut pgpool = serde_json::to_value(stage.pgpool()).unwrap();
    pgpool["metadata"]["deletionTimestamp"] = "2027-01-01T00:00:00Z".into();
    stage.api.put(POOL, pgpool);
    assert_eq!(stage.reconcile().await, Outcome::Converged);
    assert_eq!(stage.api.log(), [""; 0]);
}

#[tokio::test]
async fn what_is_missing_is_named_and_mended_without_help() {
    let stage = Stage::new(&tls_pgpool());
    let secret = "/api/v1/namespaces/demo/secrets/pg-auth";
    let backup: Value = stage.api.get(secret).unwrap();
    let client = stage.api.client();
    let secrets: kube::Api<Secret> = kube::Api::namespaced(client, "demo");
    secrets
        .delete("pg-auth", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let outcome = stage.reconcile().await;
    assert_eq!(
        outcome,
        Outcome::Waiting {
            reason: "BackendSecretNotFound",
            after: None
        }
    );
    let (_, _, message) = stage.reason(ConditionType::Reconciling).unwrap();
    assert!(message.contains("demo/pg-auth"), "{message}");
    assert!(stage.api.log().iter().all(|line| !line.contains("statefulsets")));
    stage.api.put(secret, backup);
    let fresh = Stage::on(stage.api.clone(), PATIENT);
    assert_eq!(fresh.reconcile().await.reason(), Some("WaitingForCertificates"));
}

#[tokio::test]
async fn a_pgpool_that_goes_during_its_reconcile_leaves_nothing_in_memory() {
    let stage = Stage::new(&plain_pgpool());
    stage.finish().await;
    let last = Arc::new(stage.pgpool());
    let key = ObjectRef::from_obj(last.as_ref());
    let known = || stage.context.health.is_probing(&key);
    assert!(known());
    stage.api.pgpools.delete(stage.pgpool());
    // Whatever comes of it.
    drop(Box::pin(reconcile(last, stage.context.clone())).await);
    assert!(!known());
}

#[tokio::test]
async fn an_auth_secret_that_others_make_is_waited_for() {
    let mut pgpool = plain_pgpool();
    pgpool.spec.auth_secret = Some(crate::fixtures::parse("{externallyManaged: true}"));
    let stage = Stage::new(&pgpool);
    assert_eq!(stage.reconcile().await.reason(), Some("AuthSecretNotFound"));
    // A watch reports its creation, although it does not have our labels.
    let followed = stage.context.named_secrets.lookup("demo", "pool-auth");
    assert!(
        matches!(followed, operator_runtime::Lookup::Absent),
        "nobody follows it"
    );
}
