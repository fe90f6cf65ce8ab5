//! Condition Monitored: whether Prometheus can find the metrics.

use kube::ResourceExt;
use operator_runtime::apply::ApplyError;
use shared_types::conditions::Reason;
use shared_types::{Pgpool, names};

use super::NewCondition;
use crate::pgpool::apply::{Applied, Progress};
use crate::pgpool::observe::{Lookup, Observed};

/// What the condition says.
pub(super) enum Monitored {
    /// Monitoring is off: there is no such condition.
    NotRequested,
    /// Nothing new: it stays as it is.
    Unknown,
    Known(NewCondition),
}

impl Monitored {
    pub(super) fn of(pgpool: &Pgpool, observed: &Observed, applied: &Applied) -> Self {
        let Some(monitor) = &pgpool.spec.monitor else {
            return Self::NotRequested;
        };
        let Some(agent) = monitor
            .agent
            .filter(|_| matches!(applied.progress, Progress::Written))
        else {
            return Self::Unknown;
        };
        let name = format!(
            "{}/{}",
            pgpool.namespace().unwrap_or_default(),
            names::stats_service(pgpool)
        );
        let no = |reason, message: String| Self::Known(NewCondition::new(false, reason, message));
        let yes = |what: &str| {
            let message = format!("Service {name} lists the metrics of every pod{what}");
            Self::Known(NewCondition::new(true, Reason::MetricsExposed, message))
        };
        if !agent.reads_service_monitors() {
            return yes(", and its annotations tell Prometheus to scrape them");
        }
        match (&observed.live.service_monitors, &applied.monitoring_failure) {
            (Lookup::Pending | Lookup::Undecodable(_), _) => Self::Unknown,
            (Lookup::Absent, _) => no(
                Reason::PrometheusOperatorAbsent,
                format!(
                    "The API server does not serve the kind ServiceMonitor (monitoring.coreos.com/v1): install the \
                     Prometheus operator, then ServiceMonitor {name} is created automatically; or set `spec.monitor.agent` to \
                     `prometheus.io/builtin`"
                ),
            ),
            (Lookup::Forbidden, _) => no(
                Reason::WriteForbidden,
                format!(
                    "ServiceMonitor {name} cannot be created: grant the operator's service account get, list, watch, \
                     create, patch and delete on servicemonitors of monitoring.coreos.com"
                ),
            ),
            (Lookup::Present(()), None) => yes(", and the ServiceMonitor of that name selects it"),
            (Lookup::Present(()), Some(error)) => {
                reason(error).map_or(Self::Unknown, |reason| no(reason, error.to_string()))
            }
        }
    }
}

/// `None` for a failure that the next attempt may not meet.
fn reason(error: &ApplyError) -> Option<Reason> {
    match (error, error.code()) {
        (ApplyError::NameConflict { .. }, _) => Some(Reason::NameConflict),
        (_, Some(403)) => Some(Reason::WriteForbidden),
        (_, Some(400 | 422)) => Some(Reason::ConfigurationInvalid),
        _ => None,
    }
}
