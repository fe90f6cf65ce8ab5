//! Decides what becomes of a `Pgpool`: which settings and certificates its pods get, which pods may be replaced now, and
//! what has to be deleted. One [`Decision`], computed once, before any object is built.
//!
//! Pure except for one call: if only other Pgpools could delay a rotation, it asks the [`RotationLimiter`],
//! which may reserve a slot.

pub(crate) mod ca_overlap;
mod client_auth;
pub(crate) mod config_check;
pub(crate) mod handoff;
pub(crate) mod init_job;
pub(crate) mod monitoring;
pub(crate) mod probe;
pub(crate) mod rollout;
pub(crate) mod rotation_gate;
pub(crate) mod rotation_progress;
mod tls_copy;
pub(crate) mod volume_sync;
mod workload;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use shared_types::Pgpool;
use shared_types::explanation::Blocked;

use super::observe::Observed;
use super::validate::Validated;
use crate::health::Access;
use crate::rotation_limiter::RotationLimiter;
use config_check::{Config, ConfigCheckId};
use init_job::InitState;
use monitoring::Monitoring;
use rotation_gate::Hold;

pub(crate) use tls_copy::TlsMaterial;
pub(crate) use workload::{CertificateState, Workload};

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

/// What becomes of a `Pgpool`.
pub(crate) struct Decision<'a> {
    /// Which settings are written and checked.
    pub(crate) config: Config,
    /// How far the certificates are.
    pub(crate) certificates: CertificateState,
    /// The certificates to copy before pods mount them; `None` while pods keep those that they have, or need none.
    pub(crate) tls_material: Option<TlsMaterial<'a>>,
    /// What pods are made of, and which of them may be replaced; `None` while nothing may run yet.
    pub(crate) workload: Option<Workload>,
    /// Why a renewed certificate has to wait, or why it does not although it should.
    pub(crate) rotation_hold: Option<Hold>,
    /// Whether a rotation waits for other Pgpools.
    pub(crate) is_queued: bool,
    /// The user's scripts.
    pub(crate) init: InitState,
    /// What Prometheus needs.
    pub(crate) monitoring: Monitoring<'a>,
    /// How to log in to the pods; `None` while that cannot work.
    pub(crate) access: Option<Access>,
    /// When the decision changes without any event, because a former CA has been trusted for long enough.
    pub(crate) retry_after: Option<Duration>,
}

/// Builds objects to look at before it is decided whether they are applied. Pure. A trait, since the builders belong to a
/// later step.
pub(crate) trait Preview: Sync {
    /// The check of settings of which the user wrote a part; `None` where the operator alone wrote them.
    fn config_check(&self, validated: &Validated) -> Option<ConfigCheckId>;
    /// The revision of the settings that pods have, if pods can be built with them as the spec asks otherwise.
    fn revision_in_force(&self, validated: &Validated, config_secret: &Secret) -> Option<String>;
    fn tls_copy(&self, validated: &Validated, material: &TlsMaterial<'_>) -> Secret;
    /// Whether a copy has what the exporter needs: one from before it was asked for lacks its certificate.
    fn serves_exporter(&self, validated: &Validated, tls_copy: &Secret) -> bool;
    /// Whether a copy has every file that pods read.
    fn is_complete(&self, tls_copy: &Secret) -> bool;
    /// Whether clients log in by certificate with these settings.
    fn demands_certificates(&self, config_secret: &Secret) -> bool;
    fn stateful_set(&self, validated: &Validated, workload: &Workload) -> StatefulSet;
}

/// What a decision needs beyond the `Pgpool` and what was observed.
#[derive(Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub(crate) preview: &'a dyn Preview,
    pub(crate) limiter: &'a dyn RotationLimiter,
    /// How long ops-manager may take to verify certificates.
    pub(crate) handoff_grace: Duration,
}

/// Everything that a decision is made from.
#[derive(Clone, Copy)]
struct Situation<'a> {
    pgpool: &'a Pgpool,
    validated: &'a Validated,
    observed: &'a Observed,
    policy: Policy<'a>,
    now: Timestamp,
}

/// Decides.
///
/// # Errors
/// [`Blocked`] when the `Pgpool` is not valid, or its settings cannot be used and there are none that pods could keep.
pub(crate) fn decide<'a>(
    pgpool: &'a Pgpool,
    validated: &'a Result<Validated, Blocked>,
    observed: &'a Observed,
    policy: Policy<'a>,
    now: Timestamp,
) -> Result<Decision<'a>, Blocked> {
    let validated = validated.as_ref().map_err(Clone::clone)?;
    let situation = Situation {
        pgpool,
        validated,
        observed,
        policy,
        now,
    };
    let settings = config_check::settings(&situation)?;
    let pods = workload::pods(&situation);
    let retry_certificates = pods.state.retry_after();
    let config = config_check::config(&situation, &settings, pods.mounted.is_some(), retry_certificates);
    let workload = workload::workload(&situation, &pods, &settings);
    let init = init_job::init_state(pgpool, validated, observed, workload.as_ref());
    let access = probe::access(&situation);
    Ok(Decision {
        config,
        certificates: pods.state,
        tls_material: pods.material.filter(|_| workload.is_some()),
        workload,
        rotation_hold: pods.hold,
        is_queued: pods.is_queued,
        init,
        monitoring: monitoring::monitoring(validated, &observed.live),
        access,
        retry_after: pods.retry_after,
    })
}
