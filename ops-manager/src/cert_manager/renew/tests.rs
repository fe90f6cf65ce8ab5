use operator_runtime::Classified;
use operator_runtime::testing::{Call, Script};
use serde_json::{Value, json};

use super::*;
use crate::cert_manager::CertificateStatus;
use crate::fixtures::{condition, now};

const PATH: &str = "/apis/cert-manager.io/v1/namespaces/demo/certificates/pool-server-cert/status";

fn certificate(conditions: Vec<Condition>) -> Certificate {
    let mut certificate = Certificate::new(
        "pool-server-cert",
        crate::cert_manager::CertificateSpec::default(),
    );
    certificate.metadata.namespace = Some("demo".into());
    certificate.metadata.uid = Some("uid".into());
    certificate.metadata.resource_version = Some("7".into());
    certificate.metadata.generation = Some(2);
    certificate.metadata.labels = Some(names::selector_labels("pool"));
    certificate.status = Some(CertificateStatus {
        conditions,
        ..CertificateStatus::default()
    });
    certificate
}

async fn requested(script: Script, certificate: &Certificate) -> Result<Renewal, ApplyError> {
    let (client, script) = script.start();
    let claim = Claim::of(&crate::fixtures::pgpool());
    let answer = renew(&client, (&claim, certificate), "its issuer has a new CA", now()).await;
    script.finish().await;
    answer
}

#[tokio::test]
async fn requests_once_and_keeps_the_other_conditions() {
    let ready = condition("Ready", "True", "Ready", "up to date");
    let failed = condition("Issuing", "False", "Failed", "denied");
    let current = certificate(vec![failed, ready.clone()]);
    let check = move |body: &Value| {
        assert_eq!(
            body,
            &json!({
                "metadata": {"resourceVersion": "7", "uid": "uid"},
                "status": {"conditions": [ready, {
                    "type": "Issuing",
                    "status": "True",
                    "reason": "ManuallyTriggered",
                    "message": "renewed because its issuer has a new CA",
                    "lastTransitionTime": "2026-06-01T12:00:00Z",
                    "observedGeneration": 2,
                }]},
            })
        );
    };
    let answer = {
        let issuing = condition("Issuing", "True", "ManuallyTriggered", "answer");
        certificate(vec![issuing])
    };
    let call = Call::patch(PATH)
        .query("fieldManager=pgpool-ops-manager")
        .check(check);
    let script = Script::new().expect(call.reply(json!(answer)));
    let Renewal::Requested(shown) = requested(script, &current).await.unwrap() else {
        panic!("a renewal is requested");
    };
    // With the answer in hand nothing is requested a second time.
    assert_eq!(
        requested(Script::new(), &shown).await.unwrap(),
        Renewal::InProgress
    );
}

#[tokio::test]
async fn a_certificate_that_has_changed_or_is_gone_is_left_alone() {
    for code in [409, 404] {
        let refused = Call::patch(PATH).refuse(code, "Conflict", "the object has been modified");
        let answer = requested(Script::new().expect(refused), &certificate(Vec::new())).await;
        assert_eq!(answer.unwrap(), Renewal::Stale);
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_that_names_the_certificate() {
    let refused = Call::patch(PATH).refuse(403, "Forbidden", "may not patch certificates/status");
    let answer = requested(Script::new().expect(refused), &certificate(Vec::new())).await;
    let error = answer.unwrap_err();
    assert!(
        error.to_string().contains("Certificate demo/pool-server-cert"),
        "{error}"
    );
    assert_eq!(error.class(), "forbidden");
}

#[tokio::test]
async fn a_certificate_of_another_owner_is_left_alone() {
    let mut foreign = certificate(Vec::new());
    foreign.metadata.labels = None;
    let error = requested(Script::new(), &foreign).await.unwrap_err();
    assert_eq!(error.class(), "name_conflict", "{error}");
}
