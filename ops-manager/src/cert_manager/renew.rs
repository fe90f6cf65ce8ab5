//! Requests a new certificate from cert-manager as `cmctl renew` does: with the condition `Issuing`.
//!
//! Whether and when is decided elsewhere. One call causes at most one new certificate: it does nothing while one is being
//! issued, and has no effect when the Certificate has changed since it was read.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use operator_runtime::apply::ApplyError;
use operator_runtime::decode::Received;
use operator_runtime::{Claim, REQUEST_TIMEOUT};
use serde_json::json;
use shared_types::names;
use tracing::info;

use super::{Certificate, Condition};

/// The condition that triggers the issuance of a new certificate, and that stays until it has been issued.
const ISSUING: &str = "Issuing";
/// The reason that cert-manager's own tools give.
const REASON: &str = "ManuallyTriggered";

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Renewal {
    /// With the Certificate as it is now.
    Requested(Box<Certificate>),
    /// A new certificate is being issued already; nothing was sent.
    InProgress,
    /// The Certificate has changed or is gone: its next event causes another reconcile.
    Stale,
}

/// Requests a new certificate, if `claim` covers the Certificate. `why` completes the sentence "renewed because …" and is
/// shown to people.
///
/// # Errors
/// When the Certificate has another owner, or the API server does not answer or rejects the write for another reason than that
/// the Certificate has changed.
pub(crate) async fn renew(
    client: &Client,
    (claim, certificate): (&Claim, &Certificate),
    why: &str,
    now: Timestamp,
) -> Result<Renewal, ApplyError> {
    if certificate.is_issuing() {
        return Ok(Renewal::InProgress);
    }
    let namespace = certificate.namespace().unwrap_or_default();
    let name = certificate.name_any();
    let (kind, place) = (Certificate::kind(&()).into_owned(), format!("{namespace}/{name}"));
    if let Some(owner) = claim.other_owner(certificate.meta()) {
        return Err(ApplyError::NameConflict {
            kind,
            name: place,
            owner,
        });
    }
    let api: Api<Received<Certificate>> = Api::namespaced(client.clone(), &namespace);
    // A merge patch replaces the whole list of conditions. The resource version makes that safe.
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": certificate.resource_version(), "uid": certificate.uid()},
        "status": {"conditions": conditions(certificate, why, now)},
    }));
    let params = PatchParams {
        field_manager: Some(names::OPS_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let sent = async { api.patch_status(&name, &params, &patch).await?.decoded() };
    let sent = tokio::time::timeout(REQUEST_TIMEOUT, sent).await;
    match sent {
        Ok(Ok(written)) => {
            info!(%namespace, certificate = %name, "requested a new certificate: {why}");
            Ok(Renewal::Requested(Box::new(written)))
        }
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(Renewal::Stale),
        Ok(Err(source)) => Err(ApplyError::Api {
            kind,
            name: place,
            source: Box::new(source),
        }),
        Err(_) => Err(ApplyError::Timeout { kind, name: place }),
    }
}

/// The conditions of the Certificate, with `Issuing`.
fn conditions(certificate: &Certificate, why: &str, now: Timestamp) -> Vec<Condition> {
    let current = certificate.status.iter().flat_map(|status| &status.conditions);
    let others = current.filter(|condition| condition.type_ != ISSUING).cloned();
    let issuing = Condition {
        type_: ISSUING.to_owned(),
        status: "True".to_owned(),
        reason: Some(REASON.to_owned()),
        message: Some(format!("renewed because {why}")),
        last_transition_time: Some(Time(now)),
        observed_generation: certificate.metadata.generation,
    };
    others.chain([issuing]).collect()
}

#[cfg(test)]
mod tests;
