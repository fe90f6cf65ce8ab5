//! What is told of one certificate. Pure.

mod lifetime;
mod stalled;

use jiff::Timestamp;
use kube::ResourceExt;
use proto::verdict::CertificateVerdict;
use shared_types::conditions::Reason;
use tls_bundle::{Failure, Leaf};

use crate::cert_manager::{Certificate, CertificateRequest, Condition};
use crate::certificates::apply::Problem;
use crate::certificates::judge::{Finding, Outdated};
use crate::certificates::observe::{Child, foreign_writer};
use crate::certificates::validate::{Order, Refusal, Wanted};

/// All that is known of one certificate.
pub(super) struct View<'a> {
    pub(super) namespace: &'a str,
    pub(super) wanted: &'a Wanted,
    pub(super) child: Option<&'a Child>,
    pub(super) finding: &'a Finding,
    pub(super) problem: Option<&'a Problem>,
    /// Since when the certificates of the Pgpool are said not to be ready.
    pub(super) refused_since: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// What is told of one certificate.
pub(super) struct Entry {
    /// The verdict on it.
    pub(super) verdict: CertificateVerdict,
    /// The reason of the verdict.
    pub(super) reason: Reason,
    /// What the condition says about it, with the object named; nothing when there is nothing to say.
    pub(super) sentence: Option<String>,
    /// When time alone changes it.
    pub(super) due: Option<Timestamp>,
    /// It may be used, but another one is wanted.
    pub(super) unfinished: bool,
}

/// A reason with its sentence.
type Word = (Reason, String);

/// Tells about one certificate.
pub(super) fn entry(view: &View<'_>) -> Entry {
    let dues = stalled::due(view).into_iter().chain(lifetime::dues(view));
    Entry {
        due: dues.filter(|at| *at > view.now).min(),
        ..verdict_on(view)
    }
}

fn verdict_on(view: &View<'_>) -> Entry {
    let stopped = view
        .problem
        .filter(|problem| problem.reason == Reason::CircuitOpen);
    if let Some(Problem { reason, message }) = stopped {
        // Whatever stands there now, the next moment it may be something else.
        return bad(view, view.finding.leaf(), (*reason, message.clone()));
    }
    match view.finding {
        Finding::Contested { refusal, leaf } => {
            bad(view, leaf.as_ref(), (refusal.reason(), refusal.to_string()))
        }
        Finding::Pending => bad(
            view,
            None,
            (Reason::Issuing, format!("{} is being looked up", view.secret())),
        ),
        Finding::Forbidden => {
            let sentence = format!(
                "{} may not be read by this operator; grant it get, list and watch on Secrets in its namespace",
                view.secret()
            );
            bad(view, None, (Reason::IssueFailed, sentence))
        }
        Finding::Absent => bad(view, None, obstacle(view).unwrap_or_else(|| progress(view))),
        Finding::Present {
            leaf,
            failures,
            outdated,
        } => {
            let leaf = leaf.as_ref();
            match (failures.first(), outdated) {
                (Some(_), _) if failures.iter().all(is_of_the_order) && is_renewing(view) => {
                    renewing(view, leaf)
                }
                (Some(failure), _) => unfit(view, leaf, failure),
                (None, Some(outdated)) => self::outdated(view, leaf, outdated),
                (None, None) => good(view, leaf),
            }
        }
    }
}

impl View<'_> {
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
            message,
            fingerprint: leaf.map(|leaf| leaf.fingerprint),
            not_before: leaf.map(|leaf| leaf.not_before),
            not_after: leaf.map(|leaf| leaf.not_after),
        }
    }
}

fn bad(view: &View<'_>, leaf: Option<&Leaf>, (reason, sentence): Word) -> Entry {
    Entry {
        reason,
        verdict: view.verdict(false, reason, sentence.clone(), leaf),
        sentence: Some(sentence),
        due: None,
        unfinished: false,
    }
}

/// The Secret does not fit. Where nothing can be issued either, that is said too: it is the first thing to mend.
fn unfit(view: &View<'_>, leaf: Option<&Leaf>, failure: &Failure) -> Entry {
    let reason = Reason::from_word(failure.reason()).unwrap_or(Reason::IssueFailed);
    let hindrance = obstacle(view)
        .or_else(|| failed(view))
        .map(|(_, sentence)| format!("; and {sentence}"));
    let writer = view.child.and_then(|child| foreign_writer(&child.secret));
    let writer = writer.map(|writer| {
        format!("; it was written by {writer:?} and not by cert-manager: keep that writer away from it")
    });
    let message = format!(
        "{failure}{}{}",
        writer.unwrap_or_default(),
        hindrance.unwrap_or_default()
    );
    let sentence = format!("{}: {message}", view.secret());
    Entry {
        reason,
        verdict: view.verdict(false, reason, message, leaf),
        sentence: Some(sentence),
        due: None,
        unfinished: false,
    }
}

/// Whether this comes of what was ordered, so that a new order mends it.
fn is_of_the_order(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NameMissing { .. } | Failure::UsageMissing { .. } | Failure::CommonNameMismatch { .. }
    )
}

/// Whether the wish has just changed: the Certificate that we see does not ask for it yet, or cert-manager has seen that
/// it does and has not issued it yet. Before cert-manager has said anything, what stands there is told as it is.
fn is_renewing(view: &View<'_>) -> bool {
    let Ok(order) = &view.wanted.order else {
        return false;
    };
    if view.problem.is_some() || failed(view).is_some() {
        return false;
    }
    let Some(certificate) = view.child.and_then(|child| child.certificate.as_deref()) else {
        return true;
    };
    let settled = certificate.condition("Ready").is_none_or(|ready| {
        let seen = ready.observed_generation;
        ready.is_true() && seen.is_none_or(|seen| Some(seen) >= certificate.metadata.generation)
    });
    let issuing = certificate.condition("Issuing").is_some_and(Condition::is_true);
    !asks_for(certificate, order) || !settled || issuing
}

/// Whether a Certificate asks for all that the judgement looks at.
fn asks_for(certificate: &Certificate, order: &Order) -> bool {
    let spec = &certificate.spec;
    let addresses = order.names.ips.iter().map(ToString::to_string);
    spec.common_name == order.common_name
        && spec.dns_names == order.names.dns
        && spec.ip_addresses.iter().cloned().eq(addresses)
        && spec.usages == order.usages
}

/// The Secret does not fit the new wish yet.
fn renewing(view: &View<'_>, leaf: Option<&Leaf>) -> Entry {
    let (reason, next) = progress(view);
    let sentence = format!("{next}; meanwhile {} stays as it is", view.secret());
    bad(view, leaf, (reason, sentence))
}

/// The Secret fits, but another certificate is wanted. While that is being issued the provisioner waits for it, so that
/// pods take over all that is new in one step. Where it cannot be had, or its turn has not come, what stands there is used
/// on, and so are its renewals.
fn outdated(view: &View<'_>, leaf: Option<&Leaf>, outdated: &Outdated) -> Entry {
    if let Err(held @ Refusal::HeldBack { .. }) = &view.wanted.order {
        return unfinished(view, leaf, (held.reason(), held.to_string()));
    }
    let hindrance = obstacle(view)
        .or_else(|| failed(view))
        .or_else(|| stalled::stalled(view));
    let (reason, next) = hindrance.clone().unwrap_or_else(|| progress(view));
    let stays = match outdated {
        Outdated::Issuer(issuer) => format!("the certificates of {} {} stay", issuer.kind, issuer.name),
        Outdated::Authority => "the certificates of the earlier CA stay".to_owned(),
    };
    let word = (reason, format!("{next}; meanwhile {stays}"));
    match hindrance {
        Some(_) => unfinished(view, leaf, word),
        None => bad(view, leaf, word),
    }
}

fn unfinished(view: &View<'_>, leaf: Option<&Leaf>, (reason, sentence): Word) -> Entry {
    Entry {
        reason,
        verdict: view.verdict(true, reason, sentence.clone(), leaf),
        sentence: Some(sentence),
        due: None,
        unfinished: true,
    }
}

fn good(view: &View<'_>, leaf: Option<&Leaf>) -> Entry {
    let hindrance = obstacle(view)
        .or_else(|| failed(view))
        .or_else(|| stalled::renewal(view));
    // The provisioner's objects and our caches come back by themselves; a person is told of the rest.
    let hindrance =
        hindrance.filter(|(reason, _)| !matches!(reason, Reason::WaitingForProvisioner | Reason::Issuing));
    let hindrance = hindrance.map(|(_, sentence)| format!("no new certificate can be issued: {sentence}"));
    let late = leaf.and_then(|leaf| lifetime::late(view, leaf));
    let (reason, late) = late.map_or((Reason::CertificatesIssued, None), |(reason, sentence)| {
        (reason, Some(sentence))
    });
    let sentences: Vec<_> = late.into_iter().chain(hindrance).collect();
    let message = sentences.join("; ");
    Entry {
        reason,
        verdict: view.verdict(true, reason, message.clone(), leaf),
        sentence: Some(message).filter(|message| !message.is_empty()),
        due: None,
        unfinished: false,
    }
}

/// What keeps the Certificate from being asked for.
fn obstacle(view: &View<'_>) -> Option<Word> {
    let refused = view
        .wanted
        .order
        .as_ref()
        .err()
        .map(|refusal| (refusal.reason(), refusal.to_string()));
    refused.or_else(|| {
        view.problem
            .map(|problem| (problem.reason, problem.message.clone()))
    })
}

/// How far cert-manager is.
fn progress(view: &View<'_>) -> Word {
    if let Some(hindrance) = failed(view).or_else(|| stalled::stalled(view)) {
        return hindrance;
    }
    let child = view.child;
    let sentence = match child.and_then(|child| child.certificate.as_deref()) {
        None => format!("{} is being created", view.certificate()),
        Some(certificate) => {
            let request = child.and_then(|child| child.request.as_deref());
            let words = request
                .and_then(|request| request.condition("Ready"))
                .or_else(|| certificate.condition("Issuing"));
            let words = words.map(Condition::words).filter(|words| !words.is_empty());
            let words = words.map(|words| format!(": {}", clipped(words)));
            format!(
                "cert-manager is issuing {}{}",
                view.certificate(),
                words.unwrap_or_default()
            )
        }
    };
    (Reason::Issuing, sentence)
}

/// cert-manager gave up on the Certificate for now.
fn failed(view: &View<'_>) -> Option<Word> {
    let child = view.child?;
    let cause = child.request.as_deref().and_then(request_failure);
    let cause = cause.or_else(|| child.certificate.as_deref().and_then(certificate_failure))?;
    let sentence = format!(
        "{} could not be issued: {}; correct what it names, then renew it (cmctl renew) or wait until cert-manager \
         tries again",
        view.certificate(),
        clipped(&cause)
    );
    Some((Reason::IssueFailed, sentence))
}

/// The true cause stands on the request, even where its `Ready` condition is missing.
fn request_failure(request: &CertificateRequest) -> Option<String> {
    let holds = |type_| request.condition(type_).filter(|condition| condition.is_true());
    let refused = holds("Denied").or_else(|| holds("InvalidRequest"));
    let ready = request.condition("Ready");
    let final_words = ready.filter(|ready| matches!(ready.reason.as_deref(), Some("Failed" | "Denied")));
    if let Some(condition) = refused.or(final_words) {
        return Some(condition.words().to_owned());
    }
    request.status.as_ref()?.failure_time.as_ref()?;
    let words = ready.map(Condition::words).filter(|words| !words.is_empty());
    Some(words.map_or_else(
        || format!("CertificateRequest {} failed", request.name_any()),
        ToOwned::to_owned,
    ))
}

fn certificate_failure(certificate: &Certificate) -> Option<String> {
    let issuing = certificate.condition("Issuing")?;
    let given_up = matches!(
        issuing.reason.as_deref(),
        Some("Failed" | "Denied" | "InvalidRequest")
    );
    (given_up && !issuing.is_true()).then(|| issuing.words().to_owned())
}

/// Foreign words, fit to stand inside a sentence of a condition.
fn clipped(words: &str) -> String {
    const LIMIT: usize = 400;
    let words = words.trim().trim_end_matches('.');
    match words.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}
