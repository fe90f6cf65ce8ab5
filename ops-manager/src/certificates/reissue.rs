//! Asks cert-manager to issue a Certificate anew, in the way of `cmctl renew`: by its condition `Issuing`.
//!
//! Only the asking: whether and when is decided elsewhere. One call makes one request for a certificate at most, since it
//! does nothing while one is being issued, and is void when the Certificate has changed since it was read.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use operator_runtime::REQUEST_TIMEOUT;
use operator_runtime::apply::ApplyError;
use serde_json::json;
use shared_types::names;
use tracing::info;

use crate::cert_manager::{Certificate, Condition};

/// The condition by which cert-manager is told to issue, and tells that it does.
const ISSUING: &str = "Issuing";
/// The reason that cert-manager's own tools give for it.
const REASON: &str = "ManuallyTriggered";

/// What asking came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reissue {
    /// cert-manager was asked; the Certificate as it stands now.
    Asked(Box<Certificate>),
    /// It is being issued already, and nothing was sent.
    Already,
    /// It has changed or is gone since it was read: the next event shows how it stands.
    Stale,
}

/// Asks cert-manager to issue `certificate` anew, whatever it holds now. `why` completes the sentence "asked for anew
/// because …" and is shown to people.
///
/// # Errors
/// When the API server does not answer, or refuses for another cause than that the Certificate has changed.
pub(crate) async fn reissue(
    client: &Client,
    certificate: &Certificate,
    why: &str,
    now: Timestamp,
) -> Result<Reissue, ApplyError> {
    if is_issuing(certificate) {
        return Ok(Reissue::Already);
    }
    let (namespace, name) = (
        certificate.namespace().unwrap_or_default(),
        certificate.name_any(),
    );
    let api: Api<Certificate> = Api::namespaced(client.clone(), &namespace);
    // A merge replaces the list of conditions as a whole. The version that it was read at makes that safe.
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": certificate.resource_version(), "uid": certificate.uid()},
        "status": {"conditions": conditions(certificate, why, now)},
    }));
    let params = PatchParams {
        field_manager: Some(names::OPS_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let sent = tokio::time::timeout(REQUEST_TIMEOUT, api.patch_status(&name, &params, &patch)).await;
    let (kind, place) = (Certificate::kind(&()).into_owned(), format!("{namespace}/{name}"));
    match sent {
        Ok(Ok(asked)) => {
            info!(%namespace, certificate = %name, "asked cert-manager to issue it anew: {why}");
            Ok(Reissue::Asked(Box::new(asked)))
        }
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(Reissue::Stale),
        Ok(Err(source)) => Err(ApplyError::Api {
            kind,
            name: place,
            source: Box::new(source),
        }),
        Err(_) => Err(ApplyError::Timeout { kind, name: place }),
    }
}

/// Whether cert-manager is issuing the Certificate, or was told to.
pub(crate) fn is_issuing(certificate: &Certificate) -> bool {
    certificate.condition(ISSUING).is_some_and(Condition::is_true)
}

/// The conditions of the Certificate, with the one that asks.
fn conditions(certificate: &Certificate, why: &str, now: Timestamp) -> Vec<Condition> {
    let standing = certificate.status.iter().flat_map(|status| &status.conditions);
    let others = standing.filter(|condition| condition.type_ != ISSUING).cloned();
    let asking = Condition {
        type_: ISSUING.to_owned(),
        status: "True".to_owned(),
        reason: Some(REASON.to_owned()),
        message: Some(format!("asked for anew because {why}")),
        last_transition_time: Some(Time(now)),
        observed_generation: certificate.metadata.generation,
    };
    others.chain([asking]).collect()
}

#[cfg(test)]
mod tests;
