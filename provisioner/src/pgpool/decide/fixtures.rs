//! Decisions for tests, and what is built from them.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use shared_types::Pgpool;
use shared_types::explanation::Blocked;

use super::config_check::{Config, ConfigSecret};
use super::init_job::InitState;
use super::monitoring::Monitoring;
use super::rotation_gate::Hold;
use super::{CertificateState, Decision, Policy, Workload, decide};
use crate::health::Access;
use crate::pgpool::build::{self, Objects};
use crate::pgpool::observe::Observed;
use crate::pgpool::validate::validate;
use crate::rotation_limiter::{Admission, Request, RotationLimiter};

/// A limiter that always answers the same, and remembers what it was asked.
pub(crate) struct FixedLimiter {
    pub(crate) admission: Admission,
    pub(crate) requested: Mutex<Option<Request>>,
}

impl FixedLimiter {
    pub(crate) fn new(admission: Admission) -> Self {
        Self {
            admission,
            requested: Mutex::default(),
        }
    }
}

impl RotationLimiter for FixedLimiter {
    fn admit(&self, request: Request, _: Timestamp) -> Admission {
        *self.requested.lock().unwrap() = Some(request);
        self.admission
    }
}

/// A decision, and the objects that are built from it.
pub(crate) struct Planned {
    pub(crate) certificates: CertificateState,
    pub(crate) rotation_hold: Option<Hold>,
    pub(crate) access: Option<Access>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) objects: Objects,
}

/// Validates, decides and builds.
pub(crate) fn planned(
    pgpool: &Pgpool,
    observed: &Observed,
    limiter: &FixedLimiter,
    handoff_grace: Duration,
    now: Timestamp,
) -> Result<Planned, Blocked> {
    let validated = validate(pgpool, &observed.inputs);
    let policy = Policy {
        preview: &build::Preview,
        limiter,
        handoff_grace,
    };
    let decision = decide(pgpool, &validated, observed, policy, now);
    let objects = build::build(&validated, &decision);
    let Decision {
        certificates,
        rotation_hold,
        access,
        retry_after,
        ..
    } = decision?;
    Ok(Planned {
        certificates,
        rotation_hold,
        access,
        retry_after,
        objects: objects.unwrap(),
    })
}

/// Pods as the spec asks for them, with these certificates.
pub(crate) fn workload(certificates: Option<&str>) -> Workload {
    Workload {
        certificates: certificates.map(|name| name.to_owned().into()),
        kept_config_revision: None,
        exporter: true,
        server_ca: true,
        names_exporter_host: true,
        step: super::rollout::Step::default(),
    }
}

/// Everything is written but a workload.
pub(crate) fn foundation_only() -> Decision<'static> {
    Decision {
        config: Config {
            secret: ConfigSecret::Write { checked_hash: None },
            ..Config::default()
        },
        certificates: CertificateState::NotNeeded,
        tls_material: None,
        workload: None,
        rotation_hold: None,
        is_queued: false,
        init: InitState::NotRequested,
        monitoring: Monitoring {
            stats_service: true,
            service_monitor: true,
            ..Monitoring::default()
        },
        access: None,
        retry_after: None,
    }
}
