//! What a step waits for, and whether it can be seen. Pure.

use shared_types::conditions::{self, ConditionType, OpsReason};
use shared_types::pgpool::CertificateStatus;
use shared_types::{Alias, Pgpool, PgpoolOpsRequestStatus, Phase};

use super::{Facts, Goal, reconfigure_tls};

/// What is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It is there.
    Reached {
        /// A sentence about it.
        message: String,
    },
    /// It may still come.
    NotYet {
        /// One word why not.
        reason: OpsReason,
        /// A sentence why not.
        message: String,
    },
    /// It does not come before somebody changes something.
    Hopeless {
        /// One word why.
        reason: OpsReason,
        /// A sentence why.
        message: String,
    },
}

impl Sight {
    fn not_yet(reason: OpsReason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::NotYet { reason, message }
    }
}

/// Looks for what a step waits for.
pub(super) fn look(goal: Goal, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Sight {
    let Some(pgpool) = facts.pgpool.as_deref() else {
        return Sight::not_yet(OpsReason::PgpoolNotFound, "The Pgpool is gone");
    };
    match goal {
        Goal::Ready => ready(pgpool, status.database_generation),
        Goal::Fits => fits(pgpool, status, facts),
        Goal::Issued => issued(pgpool, status, facts),
        Goal::Served => served(pgpool, status, facts),
        Goal::ControlPort => control_port(facts),
    }
}

/// The provisioner has brought about the spec of a generation, or a later one, and says so.
fn ready(pgpool: &Pgpool, generation: Option<i64>) -> Sight {
    let waiting = |message: String| Sight::not_yet(OpsReason::WaitingForPgpool, message);
    let status = pgpool.status.clone().unwrap_or_default();
    if status.observed_generation < generation {
        return waiting("The provisioner has not looked at the change yet".to_owned());
    }
    let condition = |ty| conditions::find(&status.conditions, ty);
    let holds = |ty| conditions::is_true(&status.conditions, ty);
    if let Some(stalled) = condition(ConditionType::Stalled).filter(|_| holds(ConditionType::Stalled)) {
        return Sight::Hopeless {
            reason: OpsReason::PgpoolStalled,
            message: format!(
                "The provisioner cannot go on: {} ({}). The change stays in the spec of the Pgpool, and what runs keeps running",
                stalled.message, stalled.reason
            ),
        };
    }
    if let Some(working) = condition(ConditionType::Reconciling).filter(|_| holds(ConditionType::Reconciling))
    {
        return waiting(format!("{} ({})", working.message, working.reason));
    }
    let Some(ready) = condition(ConditionType::Ready) else {
        return waiting("The Pgpool says nothing of its readiness yet".to_owned());
    };
    if ready.observed_generation < generation
        || !holds(ConditionType::Ready)
        || status.phase != Some(Phase::Ready)
    {
        return waiting(format!("{} ({})", ready.message, ready.reason));
    }
    Sight::Reached {
        message: format!(
            "The Pgpool is as asked, and ready with {} pods",
            pgpool.spec.replicas()
        ),
    }
}

/// Every certificate is issued for the present spec.
fn fits(pgpool: &Pgpool, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Sight {
    let waiting = |message: String| Sight::not_yet(OpsReason::WaitingForCertificates, message);
    if !pgpool.spec.ssl_mode().enabled() {
        return Sight::Reached {
            message: "No certificates are needed".to_owned(),
        };
    }
    let told = pgpool.status.clone().unwrap_or_default();
    let Some(condition) = conditions::find(&told.conditions, ConditionType::CertificatesReady) else {
        return waiting("Certificates have not been asked for yet".to_owned());
    };
    if condition.observed_generation < status.database_generation {
        return waiting("The certificates have not been judged since the change".to_owned());
    }
    if !conditions::is_true(&told.conditions, ConditionType::CertificatesReady) {
        return waiting(format!("{} ({})", condition.message, condition.reason));
    }
    for alias in Alias::ALL {
        if let Some(certificate) = facts.certificates.get(&alias)
            && let Some(why) = reconfigure_tls::unlike_the_spec(pgpool, alias, certificate)
        {
            return waiting(why);
        }
    }
    Sight::Reached {
        message: "Every certificate is issued, and fits".to_owned(),
    }
}

/// As [`fits`], and those that were to be replaced are others than before.
fn issued(pgpool: &Pgpool, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Sight {
    let sight = fits(pgpool, status, facts);
    if !matches!(sight, Sight::Reached { .. }) {
        return sight;
    }
    let told = pgpool.status.clone().unwrap_or_default();
    for replaced in &status.replaced_certificates {
        let alias = replaced.alias;
        let newer = |certificate| reconfigure_tls::is_newer(replaced, certificate);
        let issued = facts
            .certificates
            .get(&alias)
            .is_some_and(|certificate| newer(certificate));
        let judged = entry(&told.certificates, alias).is_some_and(|entry| {
            entry.ready && entry.fingerprint.is_some() && entry.fingerprint != replaced.fingerprint
        });
        if !(issued && judged) {
            let message = format!("The certificate {alias} is not issued anew yet");
            return Sight::not_yet(OpsReason::WaitingForCertificates, message);
        }
    }
    sight
}

/// The pool is as asked, and each pod shows the certificate that was issued last.
fn served(pgpool: &Pgpool, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Sight {
    let sight = issued(pgpool, status, facts);
    if !matches!(sight, Sight::Reached { .. }) {
        return sight;
    }
    let ready = ready(pgpool, status.database_generation);
    if !matches!(ready, Sight::Reached { .. }) || !pgpool.spec.ssl_mode().enabled() {
        return ready;
    }
    let told = pgpool.status.clone().unwrap_or_default();
    let wanted = entry(&told.certificates, Alias::Server).and_then(|entry| entry.fingerprint.as_ref());
    let serving = told
        .pods
        .iter()
        .filter(|pod| pod.ready && pod.served_fingerprint.as_ref() == wanted && wanted.is_some())
        .count();
    let all = usize::try_from(pgpool.spec.replicas()).unwrap_or_default();
    if serving < all {
        let message = format!("{serving} of {all} pods serve the certificate that was issued");
        return Sight::not_yet(OpsReason::WaitingForCertificates, message);
    }
    Sight::Reached {
        message: format!("The Pgpool is as asked, and all {all} pods serve the certificate that was issued"),
    }
}

fn entry(certificates: &[CertificateStatus], alias: Alias) -> Option<&CertificateStatus> {
    certificates.iter().find(|certificate| certificate.alias == alias)
}

fn control_port(facts: &Facts) -> Sight {
    if facts.control_port == Some(true) {
        return Sight::Reached {
            message: "pgpool knows the new password: its file holds it, and reaches each pod within moments; no session ends"
                .to_owned(),
        };
    }
    Sight::not_yet(
        OpsReason::WaitingForControlPort,
        "The provisioner has not written the password for pgpool yet",
    )
}
