//! Whether an issue under way has come to a halt that nobody reports: cert-manager does not run, nobody approves the
//! request, the controller of the issuer is not there. Pure.
//!
//! Nothing fails then, and nothing would be told for ever. So it is told after some minutes, with whoever has to do what
//! comes next.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::conditions::Reason;

use super::{View, Word, clipped};
use crate::cert_manager::{CertificateRequest, Condition};
use crate::certificates::observe::created;

/// How long a step may take before it is called a halt. An issuer that asks the outside world takes a minute or two.
const PATIENCE: Duration = Duration::from_mins(5);

/// What is told of an issue that has come to a halt.
pub(super) fn stalled(view: &View<'_>) -> Option<Word> {
    let since = since(view)?;
    if view.now < since.checked_add(PATIENCE).ok()? {
        return None;
    }
    let request = view.child.and_then(|child| child.request.as_deref());
    let halt = request.map_or_else(|| unbegun(view), |request| waiting(view, request));
    let sentence = format!("{} has been waited for since {since}: {halt}", view.certificate());
    Some((Reason::IssueStalled, sentence))
}

/// The same of a renewal, while the present certificate still fits: it must have begun.
pub(super) fn renewal(view: &View<'_>) -> Option<Word> {
    let certificate = view.child?.certificate.as_ref()?;
    certificate
        .condition("Issuing")
        .filter(|issuing| issuing.is_true())?;
    stalled(view)
}

/// When it would be told.
pub(super) fn due(view: &View<'_>) -> Option<Timestamp> {
    since(view)?.checked_add(PATIENCE).ok()
}

/// Since when cert-manager has had nothing to say. Where it has not even begun, the only trace is that we have said for
/// so long that it has not.
fn since(view: &View<'_>) -> Option<Timestamp> {
    let child = view.child?;
    let certificate = child.certificate.as_deref()?;
    if let Some(request) = child.request.as_deref() {
        return created(&request.metadata);
    }
    let issuing = certificate
        .condition("Issuing")
        .filter(|issuing| issuing.is_true());
    match issuing {
        Some(issuing) => issuing.last_transition_time.as_ref().map(|time| time.0),
        None => view
            .refused_since
            .max(created(&certificate.metadata))
            .filter(|_| view.refused_since.is_some()),
    }
}

fn unbegun(view: &View<'_>) -> String {
    format!(
        "cert-manager has not made a request for it; see whether cert-manager runs, and kubectl describe certificate {} \
         --namespace {}",
        view.wanted.certificate, view.namespace
    )
}

fn waiting(view: &View<'_>, request: &CertificateRequest) -> String {
    let name = format!("CertificateRequest {}/{}", view.namespace, request.name_any());
    let approved = request.condition("Approved").is_some_and(Condition::is_true);
    if !approved {
        return format!(
            "nobody has approved {name}; see whether the approver runs (cert-manager's own, or approver-policy and what \
             its policies say), or approve it: cmctl approve"
        );
    }
    let said = request.condition("Ready").map(Condition::words);
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        return format!("{name} pends: {}; see to what it names", clipped(said));
    }
    let issuer = view.wanted.issuer.as_ref();
    let issuer = issuer.map(|issuer| format!("{} {} of {}", issuer.kind, issuer.name, issuer.group));
    format!(
        "{name} is approved and nobody has answered it; see whether the controller of {} runs",
        issuer.unwrap_or_else(|| "the issuer".to_owned())
    )
}
