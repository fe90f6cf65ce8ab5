//! Whether a new certificate may be given to the pods now, or waits: for the maintenance window, or for other Pgpools. Pure.
//!
//! Only that waits: what the spec asks for is done at once, with the certificate that runs. Nothing waits so long that what
//! is served ends: shortly before that, neither window nor limits count.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use shared_types::conditions::Reason;
use shared_types::{Alias, Pgpool, names};
use tls_bundle::Bundle;

use super::authorities;
use super::build;
use super::observe::Observed;
use super::plan::Workload;
use super::rollout;
use super::validate::Validated;
use crate::fleet::{Admission, Ask};
use crate::maintenance_window::{NoWindow, Window};

#[cfg(test)]
mod tests;

/// What is served counts as about to end when a tenth of its life is left, or this.
const CLOSE: Duration = Duration::from_hours(24);
/// A day that is called off.
const NEVER: &str = "none";

/// Whether it is the turn of a new certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is given to the pods.
    Now,
    /// It waits.
    Later,
    /// Nothing but other Pgpools may be in the way.
    Asks(Ask),
}

/// What is told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// Whether a new certificate waits.
    pub(crate) holds: bool,
    /// Why it does, or why it does not although it should.
    pub(crate) reason: Reason,
    /// One sentence.
    pub(crate) message: String,
    /// When to look again, if nothing happens before.
    pub(crate) after: Option<Duration>,
}

/// Decides about the certificates of `next`.
pub(crate) fn turn(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    next: &Workload,
    now: Timestamp,
) -> (Turn, Option<Remark>) {
    let window = window(pgpool, observed.schedule.window.as_ref());
    let complaint = window.as_ref().err().map(complaint);
    let Some(served) = served(observed) else {
        return (Turn::Now, complaint);
    };
    let pending = Pending {
        window: window.as_ref().ok().and_then(Option::as_ref),
        complaint,
        ends: served.ends,
        urgent: now >= served.urgent(),
        left: Duration::try_from(served.urgent().duration_since(now)).unwrap_or_default(),
        now,
    };
    match running(validated, observed, next) {
        Running::Same => (Turn::Now, pending.underway(observed, next)),
        Running::Unfit => (Turn::Now, pending.complaint),
        Running::Other => pending.decide(pgpool, observed.schedule.admission),
    }
}

/// How what runs compares with what is next.
enum Running {
    /// It has these certificates already.
    Same,
    /// It has others, which do not do for what is asked, or which pods are taking over anyway.
    Unfit,
    /// It has others, which do.
    Other,
}

fn running(validated: &Validated, observed: &Observed, next: &Workload) -> Running {
    let Some(live) = observed.live.stateful_set.as_deref() else {
        return Running::Unfit;
    };
    let copy = rollout::certificates(live);
    if copy == rollout::certificates(&next.stateful_set) {
        return Running::Same;
    }
    let content = copy.and_then(|copy| observed.live.tls_copies.get(copy));
    let does = content.is_some_and(|copy| does(validated, observed, copy));
    let underway = observed
        .pods
        .iter()
        .any(|pod| pod.certificates.as_deref() != copy);
    if does && !underway {
        Running::Other
    } else {
        Running::Unfit
    }
}

/// Whether a copy does for what is asked now.
fn does(validated: &Validated, observed: &Observed, copy: &Secret) -> bool {
    let data = copy.data.as_ref();
    let entry = |key: &str| Some(data?.get(key)?.0.as_slice());
    let bundle = Bundle {
        ca: entry("ca.pem"),
        certificate: entry("tls.crt"),
        key: entry("tls.key"),
    };
    let server = observed.certificates.iter().find(|it| it.alias == Alias::Server);
    let required = server
        .map(|server| server.required.as_slice())
        .unwrap_or_default();
    // Whether it is over is another question.
    let begun = leaf(copy).map_or(Timestamp::UNIX_EPOCH, |leaf| leaf.begins);
    let fits = required
        .iter()
        .all(|required| tls_bundle::verify(&bundle, required, begun).fits());
    fits && authorities::knows_clients(observed, copy) && build::serves_exporter(validated, copy)
}

/// When what is served begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    begins: Timestamp,
    ends: Timestamp,
}

impl Validity {
    /// From when on nothing is waited for.
    fn urgent(self) -> Timestamp {
        let life = Duration::try_from(self.ends.duration_since(self.begins)).unwrap_or_default();
        self.ends.checked_sub((life / 10).min(CLOSE)).unwrap_or(self.ends)
    }
}

fn leaf(copy: &Secret) -> Option<Validity> {
    let der = tls_bundle::leaf_der(&copy.data.as_ref()?.get("tls.crt")?.0)?;
    let (_, leaf) = x509_parser::parse_x509_certificate(&der).ok()?;
    let validity = leaf.validity();
    Some(Validity {
        begins: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        ends: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
    })
}

/// The first to end of all that pods serve, or would serve if they restarted.
fn served(observed: &Observed) -> Option<Validity> {
    let live = observed.live.stateful_set.as_deref()?;
    let pods = observed.pods.iter().filter_map(|pod| pod.certificates.as_deref());
    let copies = pods.chain(rollout::certificates(live));
    let leaves = copies.filter_map(|copy| leaf(observed.live.tls_copies.get(copy)?));
    leaves.min_by_key(|leaf| leaf.ends)
}

/// The window that counts: the Pgpool's own, else that of all.
fn window(pgpool: &Pgpool, default: Option<&Window>) -> Result<Option<Window>, NoWindow> {
    match pgpool.annotations().get(names::ANNOTATION_MAINTENANCE_WINDOW) {
        None => Ok(default.cloned()),
        Some(own) if own.trim() == NEVER => Ok(None),
        Some(own) => own.parse().map(Some),
    }
}

fn complaint(error: &NoWindow) -> Remark {
    Remark {
        holds: false,
        reason: Reason::MaintenanceWindowInvalid,
        message: format!(
            "Annotation {} cannot be read: {error}. Until it is corrected, new certificates wait until those that are \
             served are about to end",
            names::ANNOTATION_MAINTENANCE_WINDOW
        ),
        after: None,
    }
}

/// A new certificate before the gates.
struct Pending<'a> {
    window: Option<&'a Window>,
    complaint: Option<Remark>,
    ends: Timestamp,
    urgent: bool,
    left: Duration,
    now: Timestamp,
}

impl Pending<'_> {
    fn closed(&self) -> Option<&Window> {
        self.window.filter(|window| !window.is_open(self.now))
    }

    fn decide(self, pgpool: &Pgpool, admission: Option<Admission>) -> (Turn, Option<Remark>) {
        if !self.urgent {
            if let Some(mut complaint) = self.complaint {
                complaint.holds = true;
                complaint.after = Some(self.left);
                return (Turn::Later, Some(complaint));
            }
            if let Some(window) = self.closed() {
                return (Turn::Later, Some(self.waits_for(window)));
            }
        }
        match admission {
            None => {
                let ask = Ask {
                    ends: self.ends,
                    pods: pgpool.spec.replicas().unsigned_abs(),
                    urgent: self.urgent,
                };
                (Turn::Asks(ask), None)
            }
            Some(Admission::Queued { after }) => (Turn::Later, Some(self.waits_for_others(after))),
            Some(Admission::Overdue) if self.closed().is_none() => (Turn::Now, Some(self.overdue())),
            Some(Admission::Granted | Admission::Overdue) => (Turn::Now, self.despite()),
        }
    }

    /// What is told while pods take a certificate over.
    fn underway(self, observed: &Observed, next: &Workload) -> Option<Remark> {
        let copy = rollout::certificates(&next.stateful_set);
        let rolls = observed
            .pods
            .iter()
            .any(|pod| pod.certificates.as_deref() != copy);
        if rolls { self.despite() } else { self.complaint }
    }

    fn waits_for(&self, window: &Window) -> Remark {
        let opens = window.opens(self.now);
        let when = opens.map_or_else(String::new, |opens| format!(", which opens at {opens}"));
        let until = opens.and_then(|opens| Duration::try_from(opens.duration_since(self.now)).ok());
        Remark {
            holds: true,
            reason: Reason::WaitingForWindow,
            message: format!(
                "A new certificate waits for the maintenance window `{window}`{when}; the one that is served ends at {}, \
                 and shortly before that the window does not count",
                self.ends
            ),
            after: Some(until.map_or(self.left, |until| until.min(self.left))),
        }
    }

    fn waits_for_others(&self, after: Duration) -> Remark {
        Remark {
            holds: true,
            reason: Reason::WaitingForRotationLimit,
            message: format!(
                "A new certificate waits for its turn, since the operator replaces only so many pods at once and in a \
                 minute for certificates; the one that is served ends at {}, and shortly before that no limit counts",
                self.ends
            ),
            after: Some(after.min(self.left.max(Duration::from_secs(1)))),
        }
    }

    fn overdue(&self) -> Remark {
        Remark {
            holds: false,
            reason: Reason::LimitsOverridden,
            message: format!(
                "A new certificate is given to the pods beyond the limits of the operator, since the one that is served \
                 ends at {}",
                self.ends
            ),
            after: None,
        }
    }

    /// Why the window does not count.
    fn despite(self) -> Option<Remark> {
        let closed = self
            .closed()
            .map(|window| format!("outside the maintenance window `{window}`"));
        let Some(closed) = closed.filter(|_| self.urgent) else {
            return self.complaint;
        };
        Some(Remark {
            holds: false,
            reason: Reason::WindowOverridden,
            message: format!(
                "A new certificate is given to the pods {closed}, since the one that is served ends at {}",
                self.ends
            ),
            after: None,
        })
    }
}
