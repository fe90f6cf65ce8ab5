//! Searches everything that the operators put out for secrets: logs, metrics, events, and the status of every object that has
//! one of theirs.

use serde_json::Value;

use super::request;
use super::stage::Stage;

/// What the operators put out, and where secrets of the neighbor and of the tenant must never be.
pub(super) async fn disclosed(stage: &mut Stage, tenant: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut search = |stage: &Stage, place: String, text: &str| {
        for secret in stage.marks.found(text) {
            found.push(format!("{place} has {secret}"));
        }
    };
    let mut outputs = Vec::new();
    for operator in &mut stage.operators {
        outputs.push((format!("the log of {}", operator.name), operator.output()?));
        // One that does not answer is reported elsewhere.
        let metrics = operator.metrics().await.unwrap_or_default();
        outputs.push((format!("the metrics of {}", operator.name), metrics));
    }
    for (place, text) in outputs {
        search(stage, place, &text);
    }
    let neighbor = stage.neighbor.name().to_owned();
    for namespace in [tenant, &neighbor] {
        for event in request::list(&stage.admin, "events.k8s.io/v1", "Event", namespace).await? {
            search(
                stage,
                format!("the event {}", event["reason"]),
                &event["note"].to_string(),
            );
        }
        for (version, kind) in [
            ("kubedb.com/v1alpha2", "Pgpool"),
            ("ops.kubedb.com/v1alpha1", "PgpoolOpsRequest"),
            ("cert-manager.io/v1", "Certificate"),
        ] {
            for object in request::list(&stage.admin, version, kind, namespace).await? {
                let place = format!("the status of {kind} {}", name(&object));
                search(stage, place, &object["status"].to_string());
            }
        }
    }
    Ok(found)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}
