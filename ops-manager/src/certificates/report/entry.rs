//! The verdict on one certificate. Pure.

mod lifetime;
mod stalled;

use jiff::Timestamp;
use kube::ResourceExt;
use proto::verdict::CertificateVerdict;
use shared_types::conditions::{Reason, cut};
use shared_types::explanation::Explanation;
use shared_types::text;
use tls_bundle::{Failure, Leaf, Warning};

use crate::cert_manager::{Certificate, CertificateRequest, Condition};
use crate::certificates::decide::verify::{Finding, Outdated};
use crate::certificates::observe::{Child, foreign_writer};
use crate::certificates::validate::{Order, Refusal, Wanted};

pub(super) struct View<'a> {
    pub(super) namespace: &'a str,
    pub(super) wanted: &'a Wanted,
    pub(super) child: Option<&'a Child>,
    pub(super) finding: &'a Finding,
    /// Why the Certificate is not written although it has an order.
    pub(super) blocked: Option<&'a Explanation>,
    /// Since when the status says that the certificates of the Pgpool are not ready.
    pub(super) unready_since: Option<Timestamp>,
    /// The pool has not served yet.
    pub(super) is_new: bool,
    pub(super) now: Timestamp,
}

pub(super) struct Entry {
    pub(super) verdict: CertificateVerdict,
    /// Of the verdict.
    pub(super) reason: Reason,
    /// Its part of the condition message, with the object named.
    pub(super) sentence: Option<String>,
    /// What clients lack to verify a certificate that is ready: the object, and what is the same for all certificates of the
    /// issuer.
    pub(super) warning: Option<(String, String)>,
    /// When the verdict changes by time alone.
    pub(super) due: Option<Timestamp>,
    /// Ready, but another certificate is needed.
    pub(super) unfinished: bool,
}

pub(super) fn entry(view: &View<'_>) -> Entry {
    let dues = stalled::due(view).into_iter().chain(lifetime::dues(view));
    Entry {
        due: dues.filter(|at| *at > view.now).min(),
        ..verdict_on(view)
    }
}

fn verdict_on(view: &View<'_>) -> Entry {
    if let Some(blocked) = view.blocked
        && blocked.reason == Reason::CircuitOpen
    {
        // Whatever the Secret holds now, it may change the next moment.
        return unready(view, view.finding.leaf(), blocked.clone());
    }
    if let Some(refusal) = view.refused_login() {
        return unready(view, view.finding.leaf(), refusal.explanation());
    }
    match view.finding {
        Finding::Contested { refusal, leaf } => unready(view, leaf.as_ref(), refusal.explanation()),
        Finding::Pending => {
            let message = format!("Looking up {}", view.secret());
            unready(view, None, Explanation::new(Reason::Issuing, message))
        }
        Finding::Forbidden => {
            let message = format!(
                "{} may not be read by this operator; grant it get, list and watch on Secrets in its namespace",
                view.secret()
            );
            unready(view, None, Explanation::new(Reason::IssueFailed, message))
        }
        Finding::Absent => unready(view, None, obstacle(view).unwrap_or_else(|| progress(view))),
        Finding::Present {
            leaf,
            failures,
            warnings,
            outdated,
        } => {
            let leaf = leaf.as_ref();
            match (failures.first(), outdated) {
                (Some(_), _) if failures.iter().all(is_fixed_by_new_order) && is_renewing(view) => {
                    renewing(view, leaf)
                }
                (Some(failure), _) => invalid(view, leaf, failure),
                (None, Some(outdated)) => self::outdated(view, leaf, outdated),
                (None, None) => warned(view, valid(view, leaf), warnings),
            }
        }
    }
}

impl View<'_> {
    /// Why what is in the Secret must not log in: it does not name the role, or no pod has ever let it in.
    fn refused_login(&self) -> Option<&Refusal> {
        let refusal = self.wanted.order.as_ref().err()?;
        let Finding::Present { failures, .. } = self.finding else {
            return None;
        };
        let names_nobody = failures
            .iter()
            .all(|failure| matches!(failure, Failure::CommonNameMismatch { .. }));
        let waits = names_nobody && (self.is_new || !failures.is_empty());
        (waits && refusal.is_about_clients()).then_some(refusal)
    }

    fn secret(&self) -> String {
        format!(
            "Secret {}/{} ({} certificate)",
            self.namespace, self.wanted.secret, self.wanted.alias
        )
    }

    fn certificate(&self) -> String {
        format!("Certificate {}/{}", self.namespace, self.wanted.certificate)
    }

    fn verdict(
        &self,
        ready: bool,
        reason: Reason,
        message: String,
        leaf: Option<&Leaf>,
    ) -> CertificateVerdict {
        CertificateVerdict {
            alias: self.wanted.alias,
            secret_name: self.wanted.secret.clone(),
            ready,
            reason: Some(reason),
            message: cut(message),
            fingerprint: leaf.map(|leaf| leaf.fingerprint),
            not_before: leaf.map(|leaf| leaf.not_before),
            not_after: leaf.map(|leaf| leaf.not_after),
        }
    }
}

fn unready(view: &View<'_>, leaf: Option<&Leaf>, explanation: Explanation) -> Entry {
    let Explanation { reason, message, .. } = explanation;
    Entry {
        reason,
        verdict: view.verdict(false, reason, message.clone(), leaf),
        sentence: Some(message),
        warning: None,
        due: None,
        unfinished: false,
    }
}

/// If nothing can be issued either, the message says that too: it is the first thing to fix.
fn invalid(view: &View<'_>, leaf: Option<&Leaf>, failure: &Failure) -> Entry {
    let reason = Reason::from_word(failure.reason()).unwrap_or(Reason::IssueFailed);
    let mut message = failure.to_string();
    if let Some(writer) = view.child.and_then(|child| foreign_writer(&child.secret)) {
        let cause = format!(
            "; it was written by {writer:?} and not by cert-manager: stop that writer from changing it"
        );
        message.push_str(&cause);
    }
    if let Some(obstacle) = obstacle(view).or_else(|| failed(view)) {
        message = format!("{message}; and {obstacle}");
    }
    let sentence = format!("{}: {message}", view.secret());
    Entry {
        reason,
        verdict: view.verdict(false, reason, message, leaf),
        sentence: Some(sentence),
        warning: None,
        due: None,
        unfinished: false,
    }
}

fn is_fixed_by_new_order(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NameMissing { .. } | Failure::UsageMissing { .. } | Failure::CommonNameMismatch { .. }
    )
}

/// Whether the order has just changed: the Certificate does not have it yet, or cert-manager has seen it and not issued it
/// yet. Before cert-manager has set a condition, the content of the Secret is reported as it is.
fn is_renewing(view: &View<'_>) -> bool {
    let Ok(order) = &view.wanted.order else {
        return false;
    };
    if view.blocked.is_some() || failed(view).is_some() {
        return false;
    }
    let Some(certificate) = view.child.and_then(|child| child.certificate.as_deref()) else {
        return true;
    };
    let is_ready = certificate.condition("Ready").is_none_or(|ready| {
        let seen = ready.observed_generation;
        ready.is_true() && seen.is_none_or(|seen| Some(seen) >= certificate.metadata.generation)
    });
    !has_order(certificate, order) || !is_ready || certificate.is_issuing()
}

/// Whether a Certificate has all of the order that is verified later.
fn has_order(certificate: &Certificate, order: &Order) -> bool {
    let spec = &certificate.spec;
    let addresses = order.names.ips.iter().map(ToString::to_string);
    spec.common_name == order.common_name
        && spec.dns_names == order.names.dns
        && spec.ip_addresses.iter().cloned().eq(addresses)
        && spec.usages == order.usages
}

/// The Secret does not have the new order yet.
fn renewing(view: &View<'_>, leaf: Option<&Leaf>) -> Entry {
    let mut explanation = progress(view);
    explanation.message = format!(
        "{}; meanwhile {} stays as it is",
        explanation.message,
        view.secret()
    );
    unready(view, leaf, explanation)
}

/// The Secret is valid, but another certificate is needed. While it is being issued the provisioner waits for it, so that
/// pods take everything new in one step. If it cannot be issued, or has to wait for its turn, the current certificate
/// stays in use, and so do its renewals.
fn outdated(view: &View<'_>, leaf: Option<&Leaf>, outdated: &Outdated) -> Entry {
    if let Err(held @ Refusal::HeldBack { .. }) = &view.wanted.order {
        return unfinished(view, leaf, held.explanation());
    }
    let stays = match outdated {
        Outdated::Issuer(issuer) => format!("the certificates of {} {} stay", issuer.kind, issuer.name),
        Outdated::Ca => "the certificates of the earlier CA stay".to_owned(),
    };
    let obstacle = obstacle(view)
        .or_else(|| failed(view))
        .or_else(|| stalled::stalled(view));
    let is_blocked = obstacle.is_some();
    let mut explanation = obstacle.unwrap_or_else(|| progress(view));
    explanation.message = format!("{}; meanwhile {stays}", explanation.message);
    if is_blocked {
        unfinished(view, leaf, explanation)
    } else {
        unready(view, leaf, explanation)
    }
}

fn unfinished(view: &View<'_>, leaf: Option<&Leaf>, explanation: Explanation) -> Entry {
    let Explanation { reason, message, .. } = explanation;
    Entry {
        reason,
        verdict: view.verdict(true, reason, message.clone(), leaf),
        sentence: Some(message),
        warning: None,
        due: None,
        unfinished: true,
    }
}

fn valid(view: &View<'_>, leaf: Option<&Leaf>) -> Entry {
    let mut reason = Reason::CertificatesIssued;
    let mut sentences = Vec::new();
    if let Some(late) = leaf.and_then(|leaf| lifetime::late(view, leaf)) {
        reason = late.reason;
        sentences.push(late.message);
    }
    let obstacle = obstacle(view)
        .or_else(|| failed(view))
        .or_else(|| stalled::renewal(view));
    if let Some(obstacle) = obstacle {
        // The provisioner's objects and our caches recover by themselves; the rest needs a person.
        let recovers = matches!(obstacle.reason, Reason::WaitingForProvisioner | Reason::Issuing);
        if !recovers {
            sentences.push(format!("no new certificate can be issued: {obstacle}"));
        }
    }
    let message = sentences.join("; ");
    Entry {
        reason,
        verdict: view.verdict(true, reason, message.clone(), leaf),
        sentence: Some(message).filter(|message| !message.is_empty()),
        warning: None,
        due: None,
        unfinished: false,
    }
}

/// A valid certificate that clients cannot verify with its `ca.crt`. That it has to be renewed comes first.
fn warned(view: &View<'_>, entry: Entry, warnings: &[Warning]) -> Entry {
    if warnings.is_empty() {
        return entry;
    }
    let warnings: Vec<_> = warnings.iter().map(Warning::to_string).collect();
    let warning = warnings.join("; ");
    let reason = match entry.reason {
        Reason::CertificatesIssued => Reason::RootNotPublished,
        urgent => urgent,
    };
    let messages = [entry.verdict.message.as_str(), &warning];
    let messages: Vec<_> = messages.into_iter().filter(|it| !it.is_empty()).collect();
    let message = cut(messages.join("; "));
    Entry {
        reason,
        verdict: CertificateVerdict {
            reason: Some(reason),
            message,
            ..entry.verdict
        },
        warning: Some((view.secret(), warning)),
        ..entry
    }
}

/// Why the Certificate is not written.
fn obstacle(view: &View<'_>) -> Option<Explanation> {
    match &view.wanted.order {
        Err(refusal) => Some(refusal.explanation()),
        Ok(_) => view.blocked.cloned(),
    }
}

/// What cert-manager is doing.
fn progress(view: &View<'_>) -> Explanation {
    failed(view)
        .or_else(|| stalled::stalled(view))
        .unwrap_or_else(|| Explanation::new(Reason::Issuing, issuing(view)))
}

fn issuing(view: &View<'_>) -> String {
    let child = view.child;
    let Some(certificate) = child.and_then(|child| child.certificate.as_deref()) else {
        return format!("{} is being created", view.certificate());
    };
    let request = child.and_then(|child| child.request.as_deref());
    let condition = request
        .and_then(|request| request.condition("Ready"))
        .or_else(|| certificate.condition("Issuing"));
    let mut message = format!("cert-manager is issuing {}", view.certificate());
    match condition.map(Condition::message_or_reason) {
        Some(cause) if !cause.is_empty() => {
            message = format!("{message}: {}", clipped(cause));
        }
        _ => {}
    }
    message
}

/// cert-manager has given up on the Certificate for now.
fn failed(view: &View<'_>) -> Option<Explanation> {
    let child = view.child?;
    let cause = child.request.as_deref().and_then(request_failure);
    let cause = cause.or_else(|| child.certificate.as_deref().and_then(certificate_failure))?;
    let message = format!(
        "{} could not be issued: {}; fix what it names, then renew it (cmctl renew) or wait until cert-manager tries again",
        view.certificate(),
        clipped(&cause)
    );
    Some(Explanation::new(Reason::IssueFailed, message))
}

/// The request has the cause, even where its `Ready` condition is missing.
fn request_failure(request: &CertificateRequest) -> Option<String> {
    for type_ in ["Denied", "InvalidRequest"] {
        if let Some(condition) = request.condition(type_)
            && condition.is_true()
        {
            return Some(condition.message_or_reason().to_owned());
        }
    }
    let ready = request.condition("Ready");
    if let Some(ready) = ready
        && matches!(ready.reason.as_deref(), Some("Failed" | "Denied"))
    {
        return Some(ready.message_or_reason().to_owned());
    }
    request.status.as_ref()?.failure_time.as_ref()?;
    match ready.map(Condition::message_or_reason) {
        Some(cause) if !cause.is_empty() => Some(cause.to_owned()),
        _ => Some(format!("CertificateRequest {} failed", request.name_any())),
    }
}

fn certificate_failure(certificate: &Certificate) -> Option<String> {
    let issuing = certificate.condition("Issuing")?;
    let given_up = matches!(
        issuing.reason.as_deref(),
        Some("Failed" | "Denied" | "InvalidRequest")
    );
    (given_up && !issuing.is_true()).then(|| issuing.message_or_reason().to_owned())
}

/// Text of another controller, cut to fit into a sentence of a condition.
fn clipped(text: &str) -> String {
    const LIMIT: usize = 400;
    let text = text.trim().trim_end_matches('.');
    text::first_chars(text, LIMIT)
}
