//! Whether a request may begin: what it needs is there, what it asks for can be, and its Pgpool is in a state for it. Pure.

use std::time::Duration;

use jiff::Timestamp;
use shared_types::conditions::OpsReason;
use shared_types::ops_request::{ApplyOption, OpsType};
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolVersion, Phase};

use super::plan;
use super::ranges;
use super::report::Verdict;
use crate::certificates::decide::breaker;

/// What a request refers to, beside its Pgpool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// The version that is to run, if it is in the catalogue.
    pub(crate) target: Option<PgpoolVersion>,
    /// The version that runs, if it is in the catalogue.
    pub(crate) current: Option<PgpoolVersion>,
    /// A Secret that it names.
    pub(crate) secret: Option<NamedSecret>,
}

/// A Secret that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedSecret {
    /// `namespace/name`.
    pub(crate) title: String,
    /// The key that it must have.
    pub(crate) key: &'static str,
    /// Whether it exists, and has the key with something in it.
    pub(crate) state: SecretState,
}

/// What is there of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretState {
    /// Nothing.
    Absent,
    /// It lacks what is needed of it.
    WithoutKey,
    /// All that is needed.
    Fits,
}

/// Whether a request may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Go,
    /// Not yet.
    Wait {
        /// One word why.
        reason: OpsReason,
        /// A sentence why.
        message: String,
        /// When to look again, if nothing happens before.
        after: Option<Duration>,
    },
    /// Never.
    Refuse {
        /// One word why.
        reason: OpsReason,
        /// A sentence why, and what helps.
        message: String,
    },
}

/// Judges a request. `since` is when nothing but its Pgpool has kept it from beginning.
pub(crate) fn admit(
    request: &PgpoolOpsRequest,
    pgpool: Option<&Pgpool>,
    needs: &Needs,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Admission {
    let name = &request.spec.database_ref.name;
    let wait = |reason, message: String| {
        let left = plan::time_left(request, since, now);
        if left == Some(Duration::ZERO)
            && let Verdict::Failed { reason, message } = plan::timed_out(request, &message)
        {
            return Admission::Refuse { reason, message };
        }
        Admission::Wait {
            reason,
            message,
            after: left,
        }
    };
    let Some(pgpool) = pgpool.filter(|pgpool| pgpool.metadata.deletion_timestamp.is_none()) else {
        return wait(
            OpsReason::PgpoolNotFound,
            format!("Waits for a Pgpool {name} to be created"),
        );
    };
    if let Some((reason, message)) = impossible(request, pgpool, needs) {
        return Admission::Refuse { reason, message };
    }
    if request.spec.apply.unwrap_or_default() == ApplyOption::Always || is_ready(pgpool) {
        return Admission::Go;
    }
    let phase = pgpool.status.as_ref().and_then(|status| status.phase);
    let phase = phase.map_or("without a phase".to_owned(), |phase| format!("{phase:?}"));
    wait(
        OpsReason::PgpoolNotReady,
        format!(
            "Waits for Pgpool {name} to be Ready; it is {phase}. A request with spec.apply Always does not wait for that"
        ),
    )
}

fn is_ready(pgpool: &Pgpool) -> bool {
    let status = pgpool.status.as_ref();
    status.is_some_and(|status| {
        status.phase == Some(Phase::Ready) && status.observed_generation >= pgpool.metadata.generation
    })
}

/// What makes a request one that can never succeed.
fn impossible(request: &PgpoolOpsRequest, pgpool: &Pgpool, needs: &Needs) -> Option<(OpsReason, String)> {
    match request.spec.type_ {
        OpsType::UpdateVersion => version(request, pgpool, needs),
        OpsType::ReconfigureTls => certificates(request, pgpool),
        OpsType::RotateAuth => password(request, pgpool).or_else(|| secret(needs)),
        OpsType::Reconfigure => secret(needs),
        OpsType::Restart | OpsType::VerticalScaling | OpsType::HorizontalScaling => None,
    }
}

fn version(request: &PgpoolOpsRequest, pgpool: &Pgpool, needs: &Needs) -> Option<(OpsReason, String)> {
    let update = request.spec.update_version.as_ref();
    let asked = update
        .and_then(|update| update.target_version.as_deref())
        .unwrap_or_default();
    let Some(target) = &needs.target else {
        return Some((
            OpsReason::VersionNotFound,
            format!(
                "There is no PgpoolVersion {asked}: name one of the catalogue, see kubectl get pgpoolversions"
            ),
        ));
    };
    // A version that is not in the catalogue any more limits nothing.
    let limits = needs.current.as_ref()?.spec.update_constraints.as_ref()?;
    let version = &target.spec.version;
    let within = |ranges: &[String]| ranges.iter().any(|range| ranges::contains(range, version));
    let allowed = limits.allowlist.is_empty() || within(&limits.allowlist);
    if allowed && !within(&limits.denylist) {
        return None;
    }
    let current = &pgpool.spec.version;
    Some((
        OpsReason::VersionNotAllowed,
        format!(
            "PgpoolVersion {current} does not allow an update to {asked}: spec.updateConstraints allows {:?} and denies {:?}",
            limits.allowlist, limits.denylist
        ),
    ))
}

fn certificates(request: &PgpoolOpsRequest, pgpool: &Pgpool) -> Option<(OpsReason, String)> {
    let tls = request.spec.tls.as_ref()?;
    let has_some = pgpool.spec.tls.is_some() && pgpool.spec.ssl_mode().enabled();
    let alone = tls.issuer_ref.is_none() && tls.ssl_mode.is_none();
    let rotates = tls.rotate_certificates == Some(true);
    if rotates && let Some(alias) = breaker::open_circuit(pgpool) {
        let message = format!(
            "The {alias} certificate of Pgpool {} changed so often that nothing is asked for any more: see to what its \
             condition CertificatesReady says, then ask again",
            request.spec.database_ref.name
        );
        return Some((OpsReason::CircuitOpen, message));
    }
    (rotates && alone && !has_some).then(|| {
        let message = format!(
            "Pgpool {} serves no TLS, so there are no certificates to rotate: add some with spec.tls.issuerRef",
            request.spec.database_ref.name
        );
        (OpsReason::NoCertificates, message)
    })
}

fn password(request: &PgpoolOpsRequest, pgpool: &Pgpool) -> Option<(OpsReason, String)> {
    let named = request
        .spec
        .authentication
        .as_ref()
        .is_some_and(|asked| asked.secret_ref.is_some());
    let asked = pgpool.spec.auth_secret.as_ref()?;
    (!named && asked.externally_managed == Some(true)).then(|| {
        let name = shared_types::names::auth_secret(pgpool);
        let message = format!(
            "Secret {name} is managed by its owner alone, as spec.authSecret.externallyManaged says: change its password \
             there, or name another Secret in spec.authentication.secretRef"
        );
        (OpsReason::SecretExternallyManaged, message)
    })
}

fn secret(needs: &Needs) -> Option<(OpsReason, String)> {
    let NamedSecret { title, key, state } = needs.secret.as_ref()?;
    match state {
        SecretState::Absent => Some((
            OpsReason::SecretNotFound,
            format!("There is no Secret {title}: create it first, with key {key}"),
        )),
        SecretState::WithoutKey => Some((
            OpsReason::SecretInvalid,
            format!("Secret {title} has nothing under the key {key}: add it first"),
        )),
        SecretState::Fits => None,
    }
}

#[cfg(test)]
mod tests;
