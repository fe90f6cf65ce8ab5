//! Builds every object that a `Pgpool` owns, each once and as it is applied. Pure: [`Validated`] and [`Decision`] in, objects
//! out, no client and no clock.

mod app_binding;
mod auth_secret;
mod config;
mod config_check;
mod config_secret;
mod exporter_secret;
mod init_job;
mod metadata;
mod paths;
mod pcp_secret;
mod pod_disruption_budget;
mod preview;
mod service_account;
mod service_monitor;
mod services;
mod tls_copy;
mod users_secret;
mod workload;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shared_types::AppBinding;
use shared_types::explanation::Blocked;

use crate::pgpool::decide::Decision;
use crate::pgpool::decide::config_check::ConfigSecret;
use crate::pgpool::decide::init_job::InitState;
use crate::pgpool::validate::{Initialization, Validated};
use crate::prometheus::ServiceMonitor;

pub(crate) use preview::Preview;

/// Everything but the workload, one field per object. Without `Debug`: it would show passwords.
#[derive(Clone)]
pub(crate) struct Foundation {
    /// Where clients connect.
    pub(crate) primary_service: Service,
    /// Names of the single pods.
    pub(crate) governing_service: Service,
    /// Where the metrics are; `None` while nobody scrapes.
    pub(crate) stats_service: Option<Service>,
    /// `None` when the user names an account: it is theirs and never altered.
    pub(crate) service_account: Option<ServiceAccount>,
    /// The PCP user; `None` when the Secret is the user's.
    pub(crate) auth_secret: Option<Secret>,
    /// `pgpool.conf` and `pool_hba.conf`; `None` while the one that exists is not touched.
    pub(crate) config_secret: Option<Secret>,
    /// `pcp.conf`.
    pub(crate) pcp_secret: Secret,
    /// `pool_passwd`.
    pub(crate) users_secret: Secret,
    /// The login of the exporter; `None` where there is none, or needs no password.
    pub(crate) exporter_secret: Option<Secret>,
    /// Keeps a majority during node drains.
    pub(crate) pod_disruption_budget: PodDisruptionBudget,
    /// How programs find the pool.
    pub(crate) app_binding: AppBinding,
}

/// The check of settings of which the user wrote a part.
#[derive(Clone)]
pub(crate) struct ConfigCheck {
    /// Hash of the settings and of the image that reads them.
    pub(crate) hash: String,
    /// The settings, without passwords.
    pub(crate) secret: Secret,
    /// pgpool reads them there, and reports what is wrong with them.
    pub(crate) pod: Pod,
}

/// Everything that is written. Without `Debug`: it would show passwords.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) foundation: Foundation,
    /// `None` unless a check starts.
    pub(crate) config_check: Option<ConfigCheck>,
    /// Apart from the foundation, since the API server may not know the kind.
    pub(crate) service_monitor: Option<ServiceMonitor>,
    /// Immutable, and named by its content: new certificates are a new object, and pods of the old revision keep theirs.
    /// `None` while no new certificates are used.
    pub(crate) tls_copy: Option<Secret>,
    /// `None` while nothing may run yet.
    pub(crate) stateful_set: Option<StatefulSet>,
    /// The Job that runs the user's scripts; `None` unless they are due.
    pub(crate) init_job: Option<Job>,
}

/// Builds everything; `None` where nothing is decided.
pub(crate) fn build(
    validated: &Result<Validated, Blocked>,
    decision: &Result<Decision<'_>, Blocked>,
) -> Option<Objects> {
    let (validated, decision) = (validated.as_ref().ok()?, decision.as_ref().ok()?);
    let mut objects = Objects {
        foundation: foundation(
            validated,
            &decision.config.secret,
            decision.monitoring.stats_service,
        ),
        config_check: None,
        service_monitor: None,
        tls_copy: None,
        stateful_set: None,
        init_job: None,
    };
    if decision.config.starts_check {
        objects.config_check = Some(config_check::config_check(validated));
    }
    if decision.monitoring.service_monitor {
        objects.service_monitor = service_monitor::service_monitor(validated);
    }
    if let Some(material) = &decision.tls_material {
        objects.tls_copy = Some(tls_copy::tls_copy(validated, material));
    }
    if let Some(workload) = &decision.workload {
        objects.stateful_set = Some(workload::workload(validated, workload));
        if let (InitState::Due, Initialization::Wanted(init)) = (&decision.init, &validated.init) {
            let certificates = workload.certificates.as_ref();
            objects.init_job = Some(init_job::init_job(validated, init, certificates));
        }
    }
    Some(objects)
}

fn foundation(validated: &Validated, config: &ConfigSecret, with_stats_service: bool) -> Foundation {
    Foundation {
        primary_service: services::primary(validated),
        governing_service: services::governing(validated),
        stats_service: services::stats(validated).filter(|_| with_stats_service),
        service_account: service_account::service_account(validated),
        auth_secret: auth_secret::auth_secret(validated),
        config_secret: config_secret::config_secret(validated, config),
        pcp_secret: pcp_secret::pcp_secret(validated),
        users_secret: users_secret::users_secret(validated),
        exporter_secret: exporter_secret::exporter_secret(validated),
        pod_disruption_budget: pod_disruption_budget::pod_disruption_budget(validated),
        app_binding: app_binding::app_binding(validated),
    }
}

fn opaque(metadata: ObjectMeta, files: BTreeMap<String, String>) -> Secret {
    let data = files
        .into_iter()
        .map(|(name, text)| (name, ByteString(text.into_bytes())))
        .collect();
    Secret {
        metadata,
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests;
