//! Whether the goal that a step waits for is reached. Pure.

use shared_types::conditions::{self, ConditionType, OpsReason};
use shared_types::pgpool::CertificateStatus;
use shared_types::{Alias, Pgpool, PgpoolOpsRequestStatus, Phase};

use super::is_replaced;
use crate::cert_manager::{Certificate, Condition};
use crate::ops_requests::observe::Facts;
use crate::ops_requests::operations::Goal;
use crate::ops_requests::resolution::Resolution;

/// The message of a goal that is reached, or why it is not.
type Progress = Result<String, Resolution>;

pub(super) fn check(goal: Goal, pgpool: &Pgpool, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Progress {
    match goal {
        Goal::Ready => ready(pgpool, status.database_generation),
        Goal::CertificatesMatch => certificates_match(pgpool, status, facts),
        Goal::CertificatesReplaced => certificates_replaced(pgpool, status, facts),
        Goal::CertificatesServed => certificates_served(pgpool, status, facts),
        Goal::ControlPort => control_port(facts),
    }
}

fn waiting(reason: OpsReason, message: impl Into<String>) -> Progress {
    Err(Resolution::waiting(reason, message))
}

/// The provisioner reports that the Pgpool matches the spec of this generation, or a later one.
fn ready(pgpool: &Pgpool, generation: Option<i64>) -> Progress {
    let waiting = |message: String| waiting(OpsReason::WaitingForPgpool, message);
    let status = pgpool.status.clone().unwrap_or_default();
    if status.observed_generation < generation {
        return waiting("Waiting for the provisioner to see the change".to_owned());
    }
    let condition = |ty| conditions::find(&status.conditions, ty);
    let holds = |ty| conditions::is_true(&status.conditions, ty);
    if let Some(stalled) = condition(ConditionType::Stalled).filter(|_| holds(ConditionType::Stalled)) {
        let message = format!(
            "The provisioner cannot continue: {} ({}). The change stays in the spec of the Pgpool, and running pods keep \
             running",
            stalled.message, stalled.reason
        );
        return Err(Resolution::failed(OpsReason::PgpoolStalled, message));
    }
    if let Some(working) = condition(ConditionType::Reconciling).filter(|_| holds(ConditionType::Reconciling))
    {
        return waiting(format!("{} ({})", working.message, working.reason));
    }
    let Some(ready) = condition(ConditionType::Ready) else {
        return waiting("The Pgpool has no condition Ready yet".to_owned());
    };
    if ready.observed_generation < generation
        || !holds(ConditionType::Ready)
        || status.phase != Some(Phase::Ready)
    {
        return waiting(format!("{} ({})", ready.message, ready.reason));
    }
    let pods = pgpool.spec.replicas();
    Ok(format!(
        "The Pgpool matches its spec and is ready with {pods} pods"
    ))
}

/// Every certificate is issued for the current spec.
fn certificates_match(pgpool: &Pgpool, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Progress {
    let waiting = |message: String| waiting(OpsReason::WaitingForCertificates, message);
    if !pgpool.spec.ssl_mode().enabled() {
        return Ok("No certificates are needed".to_owned());
    }
    let current = pgpool.status.clone().unwrap_or_default();
    let Some(condition) = conditions::find(&current.conditions, ConditionType::CertificatesReady) else {
        return waiting("Certificates have not been requested yet".to_owned());
    };
    if condition.observed_generation < status.database_generation {
        return waiting("The certificates have not been verified since the change".to_owned());
    }
    if !conditions::is_true(&current.conditions, ConditionType::CertificatesReady) {
        return waiting(format!("{} ({})", condition.message, condition.reason));
    }
    for alias in Alias::ALL {
        if let Some(certificate) = facts.certificates.get(&alias)
            && let Some(why) = difference_to_spec(pgpool, alias, certificate)
        {
            return waiting(why);
        }
    }
    Ok("Every certificate is issued and valid".to_owned())
}

/// As [`certificates_match`], and those to replace are others than before.
fn certificates_replaced(pgpool: &Pgpool, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Progress {
    let message = certificates_match(pgpool, status, facts)?;
    let current = pgpool.status.clone().unwrap_or_default();
    for replaced in &status.replaced_certificates {
        let alias = replaced.alias;
        let certificate = facts.certificates.get(&alias);
        let is_issued = certificate.is_some_and(|certificate| is_replaced(replaced, certificate));
        let is_verified = entry(&current.certificates, alias).is_some_and(|entry| {
            entry.ready && entry.fingerprint.is_some() && entry.fingerprint != replaced.fingerprint
        });
        if !(is_issued && is_verified) {
            let message = format!("The {alias} certificate has not been renewed yet");
            return waiting(OpsReason::WaitingForCertificates, message);
        }
    }
    Ok(message)
}

/// The Pgpool matches its spec, and each pod serves the newest certificate.
fn certificates_served(pgpool: &Pgpool, status: &PgpoolOpsRequestStatus, facts: &Facts) -> Progress {
    certificates_replaced(pgpool, status, facts)?;
    let message = ready(pgpool, status.database_generation)?;
    if !pgpool.spec.ssl_mode().enabled() {
        return Ok(message);
    }
    let current = pgpool.status.clone().unwrap_or_default();
    let wanted = entry(&current.certificates, Alias::Server).and_then(|entry| entry.fingerprint.as_ref());
    let serving = current
        .pods
        .iter()
        .filter(|pod| pod.ready && pod.served_fingerprint.as_ref() == wanted && wanted.is_some())
        .count();
    let all = usize::try_from(pgpool.spec.replicas()).unwrap_or_default();
    if serving < all {
        let message = format!("{serving} of {all} pods serve the new certificate");
        return waiting(OpsReason::WaitingForCertificates, message);
    }
    Ok(format!(
        "The Pgpool matches its spec, and all {all} pods serve the new certificate"
    ))
}

fn entry(certificates: &[CertificateStatus], alias: Alias) -> Option<&CertificateStatus> {
    certificates.iter().find(|certificate| certificate.alias == alias)
}

fn control_port(facts: &Facts) -> Progress {
    if facts.control_port == Some(true) {
        let message = "pgpool's password file has the new password and reaches each pod within moments; sessions continue";
        return Ok(message.to_owned());
    }
    waiting(
        OpsReason::WaitingForControlPort,
        "Waiting for the provisioner to write the password for pgpool",
    )
}

/// Why a Certificate does not match the spec of its Pgpool.
fn difference_to_spec(pgpool: &Pgpool, alias: Alias, certificate: &Certificate) -> Option<String> {
    let wanted = pgpool.spec.issuer_ref(alias)?;
    let current = &certificate.spec.issuer_ref;
    if (&current.kind, &current.name) != (&wanted.kind, &wanted.name) {
        return Some(format!(
            "The {alias} certificate is still issued by {} {}, not by {} {}",
            current.kind, current.name, wanted.kind, wanted.name
        ));
    }
    let ready = certificate.condition("Ready");
    let current = ready.is_some_and(|ready| {
        ready.is_true()
            && ready
                .observed_generation
                .is_none_or(|seen| Some(seen) == certificate.metadata.generation)
    });
    (!current).then(|| {
        let cause = ready.map(Condition::message_or_reason).unwrap_or_default();
        format!("cert-manager is issuing the {alias} certificate: {cause}")
    })
}
