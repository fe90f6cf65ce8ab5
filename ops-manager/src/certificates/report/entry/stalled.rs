//! Whether issuing has stalled without an error: cert-manager does not run, nobody approves the request, the controller
//! of the issuer is not running. Pure.
//!
//! No condition would ever say so. After some minutes the message names who has to act next.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;

use super::{View, clipped};
use crate::cert_manager::{CertificateRequest, Condition};
use crate::certificates::observe::created;

/// How long a step may take. An issuer that depends on an external service takes a minute or two.
const STALLED_AFTER: Duration = Duration::from_mins(5);

pub(super) fn stalled(view: &View<'_>) -> Option<Explanation> {
    let since = since(view)?;
    if view.now < since.checked_add(STALLED_AFTER).ok()? {
        return None;
    }
    let next = match view.child.and_then(|child| child.request.as_deref()) {
        Some(request) => waiting(view, request),
        None => not_started(view),
    };
    let message = format!("{} has not been issued since {since}: {next}", view.certificate());
    Some(Explanation::new(Reason::IssueStalled, message))
}

/// The same for a renewal while the current certificate is still valid: it must have started.
pub(super) fn renewal(view: &View<'_>) -> Option<Explanation> {
    let certificate = view.child?.certificate.as_ref()?;
    if !certificate.is_issuing() {
        return None;
    }
    stalled(view)
}

/// When it counts as stalled.
pub(super) fn due(view: &View<'_>) -> Option<Timestamp> {
    since(view)?.checked_add(STALLED_AFTER).ok()
}

/// Since when cert-manager has made no progress. If it has not even started, the only trace is how long our own condition
/// has said so.
fn since(view: &View<'_>) -> Option<Timestamp> {
    let child = view.child?;
    let certificate = child.certificate.as_deref()?;
    if let Some(request) = child.request.as_deref() {
        return created(&request.metadata);
    }
    match certificate.condition("Issuing") {
        Some(issuing) if issuing.is_true() => issuing.last_transition_time.as_ref().map(|time| time.0),
        _ => {
            let unready_since = view.unready_since?;
            created(&certificate.metadata).max(Some(unready_since))
        }
    }
}

fn not_started(view: &View<'_>) -> String {
    format!(
        "cert-manager has not created a CertificateRequest; check that cert-manager runs, and see kubectl describe \
         certificate {} --namespace {}",
        view.wanted.certificate, view.namespace
    )
}

fn waiting(view: &View<'_>, request: &CertificateRequest) -> String {
    let name = format!("CertificateRequest {}/{}", view.namespace, request.name_any());
    let approved = request.condition("Approved").is_some_and(Condition::is_true);
    if !approved {
        return format!(
            "{name} is not approved; check that the approver runs (cert-manager's own, or approver-policy and its \
             policies), or approve it: cmctl approve"
        );
    }
    if let Some(ready) = request.condition("Ready") {
        let cause = ready.message_or_reason();
        if !cause.is_empty() {
            return format!("{name} is pending: {}; resolve what it reports", clipped(cause));
        }
    }
    let issuer = match &view.wanted.issuer {
        Some(issuer) => format!("{} {} of {}", issuer.kind, issuer.name, issuer.group),
        None => "the issuer".to_owned(),
    };
    format!("{name} is approved, but the issuer has not answered; check that the controller of {issuer} runs")
}
