//! Decides whether a renewed certificate may be given to the pods now, or waits: for the maintenance window, or for other
//! Pgpools. Pure, but for a place at the rotation limiter.
//!
//! Only the certificate waits: what the spec asks for is done at once, with the certificate that pods have. Nothing waits
//! until the served certificate expires: shortly before that, neither window nor limits count.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;
use shared_types::pgpool::bounded_annotation;
use shared_types::{Alias, Pgpool, names};
use tls_bundle::{Bundle, Leaf};

use super::tls_copy::{certificate, leaf, server_ca};
use super::{Situation, ca_overlap, client_auth};
use crate::maintenance_window::{NoWindow, Window};
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{CertificateRevision, Observed};
use crate::rotation_limiter::{Admission, Request};

#[cfg(test)]
mod tests;

/// The served certificate is urgent when a tenth of its life is left, or this.
const URGENT: Duration = Duration::from_hours(24);
/// The annotation that switches the window of all Pgpools off.
const NO_WINDOW: &str = "none";

/// Whether pods get a renewed certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Closed,
}

/// What condition `RotationHeld` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Whether a renewed certificate waits.
    pub(crate) holds: bool,
    /// Why it does, or why it does not although it should.
    pub(crate) explanation: Explanation,
}

impl Hold {
    fn new(holds: bool, reason: Reason, message: String) -> Self {
        Self {
            holds,
            explanation: Explanation::new(reason, message),
        }
    }
}

type Answer = (Gate, Option<Hold>, Option<Admission>);

/// Decides about the TLS copy `next`. Returns the answer of the rotation limiter, too, where it was asked.
pub(super) fn gate(situation: &Situation<'_>, next: &CertificateRevision) -> Answer {
    let Situation {
        pgpool,
        observed,
        now,
        ..
    } = *situation;
    let window = window(pgpool, observed.default_window.as_ref());
    let invalid = window.as_ref().err().map(invalid_window);
    let Some(served) = served(observed) else {
        return (Gate::Open, invalid, None);
    };
    let urgent_at = urgent_at(&served);
    let renewal = Renewal {
        window: window.as_ref().ok().and_then(Option::as_ref),
        invalid,
        expires: served.not_after,
        is_urgent: now >= urgent_at,
        left: Duration::try_from(urgent_at.duration_since(now)).unwrap_or_default(),
        now,
    };
    match running(situation, next) {
        Running::Same => (Gate::Open, renewal.in_progress(observed, next), None),
        Running::Unusable => (Gate::Open, renewal.invalid, None),
        Running::Other => renewal.decide(situation),
    }
}

/// How the TLS copy of running pods compares with the next one.
enum Running {
    Same,
    /// Another one that is not enough for the spec, or that pods are giving up already.
    Unusable,
    /// Another one that is enough.
    Other,
}

fn running(situation: &Situation<'_>, next: &CertificateRevision) -> Running {
    let observed = situation.observed;
    let Some(live) = observed.live.stateful_set.as_deref() else {
        return Running::Unusable;
    };
    let revision = CertificateRevision::of_workload(live);
    if revision.as_ref() == Some(next) {
        return Running::Same;
    }
    let content = revision
        .as_ref()
        .and_then(|revision| observed.live.tls_copies.get(revision));
    let is_enough = content.is_some_and(|copy| is_enough(situation, copy));
    let mut revisions = observed.pods.iter().map(PodFacts::certificate_revision);
    let is_rotating = revisions.any(|of_pod| of_pod != revision.as_ref());
    if is_enough && !is_rotating {
        Running::Other
    } else {
        Running::Unusable
    }
}

/// Whether a TLS copy is enough for what the spec asks for now.
fn is_enough(situation: &Situation<'_>, copy: &Secret) -> bool {
    let Situation {
        validated,
        observed,
        policy,
        ..
    } = situation;
    let key = copy.data.as_ref().and_then(|data| data.get("tls.key"));
    let bundle = Bundle {
        ca: server_ca(copy),
        certificate: certificate(copy),
        key: key.map(|key| key.0.as_slice()),
    };
    let server = observed.certificates.iter().find(|it| it.alias == Alias::Server);
    let required = server
        .map(|server| server.required.as_slice())
        .unwrap_or_default();
    // Whether it has expired is another question.
    let begins = leaf(copy).map_or(Timestamp::UNIX_EPOCH, |leaf| leaf.not_before);
    let fits = required
        .iter()
        .all(|required| tls_bundle::verify(&bundle, required, begins).fits());
    fits && ca_overlap::knows_clients(observed, copy)
        && policy.preview.serves_exporter(validated, copy)
        && policy.preview.is_complete(copy)
        // It may trust CAs of clients that the next one does not.
        && !client_auth::is_switching(situation)
}

/// From when on nothing is waited for.
fn urgent_at(served: &Leaf) -> Timestamp {
    let life = Duration::try_from(served.not_after.duration_since(served.not_before)).unwrap_or_default();
    let urgent = life.checked_div(10).unwrap_or_default().min(URGENT);
    served.not_after.checked_sub(urgent).unwrap_or(served.not_after)
}

/// The first to expire of all that pods serve, or would serve if they restarted.
fn served(observed: &Observed) -> Option<Leaf> {
    let live = observed.live.stateful_set.as_deref()?;
    let of_workload = CertificateRevision::of_workload(live);
    let of_pods = observed.pods.iter().filter_map(PodFacts::certificate_revision);
    let revisions = of_pods.chain(&of_workload);
    let leaves = revisions.filter_map(|revision| leaf(observed.live.tls_copies.get(revision)?));
    leaves.min_by_key(|leaf| leaf.not_after)
}

/// The window that counts: the Pgpool's own, else that of all.
fn window(pgpool: &Pgpool, default: Option<&Window>) -> Result<Option<Window>, NoWindow> {
    match bounded_annotation(pgpool, names::ANNOTATION_MAINTENANCE_WINDOW) {
        None => Ok(default.cloned()),
        Some(own) if own.trim() == NO_WINDOW => Ok(None),
        Some(own) => own.parse().map(Some),
    }
}

fn invalid_window(error: &NoWindow) -> Hold {
    let message = format!(
        "Annotation {} is invalid: {error}. Until it is fixed, new certificates wait until the served ones are about to \
         expire",
        names::ANNOTATION_MAINTENANCE_WINDOW
    );
    Hold::new(false, Reason::MaintenanceWindowInvalid, message)
}

/// A renewed certificate before the gate.
struct Renewal<'a> {
    window: Option<&'a Window>,
    invalid: Option<Hold>,
    /// When the served certificate expires.
    expires: Timestamp,
    is_urgent: bool,
    /// Time until it is urgent.
    left: Duration,
    now: Timestamp,
}

impl Renewal<'_> {
    fn closed_window(&self) -> Option<&Window> {
        self.window.filter(|window| !window.is_open(self.now))
    }

    fn decide(self, situation: &Situation<'_>) -> Answer {
        if !self.is_urgent {
            if let Some(mut invalid) = self.invalid {
                invalid.holds = true;
                invalid.explanation.retry_after = Some(self.left);
                return (Gate::Closed, Some(invalid), None);
            }
            if let Some(window) = self.closed_window() {
                return (Gate::Closed, Some(self.waits_for_window(window)), None);
            }
        }
        let request = Request {
            expires: self.expires,
            pods: situation.pgpool.spec.replicas().unsigned_abs(),
            urgent: self.is_urgent,
        };
        let admission = situation.policy.limiter.admit(request, self.now);
        let (gate, hold) = match admission {
            Admission::Queued { after } => (Gate::Closed, Some(self.waits_for_others(after))),
            Admission::Overdue if self.closed_window().is_none() => {
                (Gate::Open, Some(self.overrides_limits()))
            }
            Admission::Granted | Admission::Overdue => (Gate::Open, self.overrides_window()),
        };
        (gate, hold, Some(admission))
    }

    /// While pods take the certificate over.
    fn in_progress(self, observed: &Observed, next: &CertificateRevision) -> Option<Hold> {
        let mut revisions = observed.pods.iter().map(PodFacts::certificate_revision);
        if revisions.any(|revision| revision != Some(next)) {
            self.overrides_window()
        } else {
            self.invalid
        }
    }

    fn waits_for_window(&self, window: &Window) -> Hold {
        let opens = window.opens(self.now);
        let when = opens.map_or_else(String::new, |opens| format!(", which opens at {opens}"));
        let until = opens.and_then(|opens| Duration::try_from(opens.duration_since(self.now)).ok());
        let message = format!(
            "A new certificate waits for the maintenance window `{window}`{when}. The served certificate expires at \
             {}; shortly before that the window is ignored",
            self.expires
        );
        let mut hold = Hold::new(true, Reason::WaitingForWindow, message);
        hold.explanation.retry_after = Some(until.map_or(self.left, |until| until.min(self.left)));
        hold
    }

    fn waits_for_others(&self, after: Duration) -> Hold {
        let message = format!(
            "A new certificate waits for the rotation limit (rotation.atOnce, rotation.podsPerMinute). The served \
             certificate expires at {}; shortly before that the limit is ignored",
            self.expires
        );
        let mut hold = Hold::new(true, Reason::WaitingForRotationLimit, message);
        hold.explanation.retry_after = Some(after.min(self.left.max(Duration::from_secs(1))));
        hold
    }

    fn overrides_limits(&self) -> Hold {
        let message = format!(
            "Pods get a new certificate although the rotation limit is reached, since the served one expires at {}",
            self.expires
        );
        Hold::new(false, Reason::LimitsOverridden, message)
    }

    /// Why a closed window does not count, if it is closed.
    fn overrides_window(self) -> Option<Hold> {
        let Some(window) = self.closed_window().filter(|_| self.is_urgent) else {
            return self.invalid;
        };
        let message = format!(
            "Pods get a new certificate outside the maintenance window `{window}`, since the served one expires at {}",
            self.expires
        );
        Some(Hold::new(false, Reason::WindowOverridden, message))
    }
}
