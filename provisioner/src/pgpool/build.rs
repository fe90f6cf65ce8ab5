//! Builds every object that a `Pgpool` owns. Pure: [`Validated`] in, objects out, no client and no clock.
//!
//! Three stages, since the last waits for certificates: [`foundation`] is step 4 of the flow, [`tls_copy`] and
//! [`workload`] are step 10. [`init_job`] follows when the pool is ready.

mod app_binding;
mod auth_secret;
mod candidate;
mod config;
mod config_secret;
mod exporter_secret;
mod init_job;
mod metadata;
mod paths;
mod pcp_secret;
mod pod_disruption_budget;
mod service_account;
mod service_monitor;
mod services;
mod tls_secret;
mod users_secret;
mod workload;

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shared_types::{AppBinding, names};

use crate::pgpool::authorities::Earlier;
use crate::pgpool::validate::{Init, Validated};
use crate::prometheus::ServiceMonitor;

pub(crate) use tls_secret::issuers;

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
    /// `pgpool.conf` and `pool_hba.conf`.
    pub(crate) config_secret: Secret,
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

/// The PEM files that a good verdict is about.
#[derive(Clone, Copy)]
pub(crate) struct TlsMaterial<'a> {
    /// `tls.crt` of the server Secret: leaf first, then intermediates.
    pub(crate) certificate: &'a [u8],
    /// `tls.key` of the server Secret.
    pub(crate) key: &'a [u8],
    /// `ca.crt` of the server Secret.
    pub(crate) ca: &'a [u8],
    /// `ca.crt` of the client Secret; may be the same.
    pub(crate) client_ca: &'a [u8],
    /// `tls.crt` of the metrics exporter's Secret.
    pub(crate) exporter_certificate: &'a [u8],
    /// `tls.key` of the metrics exporter's Secret.
    pub(crate) exporter_key: &'a [u8],
    /// `ca.crt` of the metrics exporter's Secret; may be the same.
    pub(crate) exporter_ca: &'a [u8],
    /// Authorities that none of the Secrets comes with any more, and that are trusted still.
    pub(crate) earlier: &'a [Earlier],
}

/// Settings of which the user wrote a part, to be judged by pgpool before a pod of the pool gets them.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// Hash of the settings and of the image that judges them.
    pub(crate) hash: String,
    /// The settings, without passwords.
    pub(crate) secret: Secret,
    /// pgpool reads them there, and says what it thinks of them.
    pub(crate) pod: Pod,
}

/// Builds what is to be judged; `None` where the operator alone wrote the settings.
pub(crate) fn candidate(validated: &Validated) -> Option<Candidate> {
    validated.customized().then(|| candidate::candidate(validated))
}

/// Notes at the configuration Secret that pgpool has judged what is in it.
pub(crate) fn mark_judged(config_secret: &mut Secret, hash: Option<String>) {
    if let Some(hash) = hash {
        let annotations = config_secret.metadata.annotations.get_or_insert_default();
        annotations.insert(names::ANNOTATION_VALIDATED_CONFIG_HASH.to_owned(), hash);
    }
}

/// Names the settings that pods have, if they fit a pool as it is asked for but for the settings themselves.
pub(crate) fn revision_in_force(validated: &Validated, config_secret: &Secret) -> Option<String> {
    config_secret::revision_in_force(validated, config_secret.data.as_ref()?)
}

/// Lets a workload stay with the settings that its pods have.
pub(crate) fn keep_revision(workload: &mut StatefulSet, revision: String) {
    workload::keep_revision(workload, revision);
}

/// Builds the objects of step 4.
pub(crate) fn foundation(validated: &Validated) -> Foundation {
    Foundation {
        primary_service: services::primary(validated),
        governing_service: services::governing(validated),
        stats_service: services::stats(validated),
        service_account: service_account::service_account(validated),
        auth_secret: auth_secret::auth_secret(validated),
        config_secret: config_secret::config_secret(validated),
        pcp_secret: pcp_secret::pcp_secret(validated),
        users_secret: users_secret::users_secret(validated),
        exporter_secret: exporter_secret::exporter_secret(validated),
        pod_disruption_budget: pod_disruption_budget::pod_disruption_budget(validated),
        app_binding: app_binding::app_binding(validated),
    }
}

/// Builds the immutable copy of a judged pair. Its name contains a hash of its content, so that a new pair is a new
/// object and pods of the old revision keep theirs.
pub(crate) fn tls_copy(validated: &Validated, material: &TlsMaterial<'_>) -> Secret {
    tls_secret::tls_copy(validated, material)
}

/// Whether a copy can serve this `Pgpool`: one that was made while nobody scraped lacks the pair of the exporter.
pub(crate) fn serves_exporter(validated: &Validated, copy: &Secret) -> bool {
    !validated.exporter_shows_certificate() || tls_secret::has_exporter_pair(copy)
}

/// Builds what tells a Prometheus operator of the metrics. Apart from the foundation, since the API server may not know
/// the kind.
pub(crate) fn service_monitor(validated: &Validated) -> Option<ServiceMonitor> {
    service_monitor::service_monitor(validated)
}

/// Builds the workload. `tls_copy` is the name of the Secret that [`tls_copy`](self::tls_copy) built: needed when
/// [`Validated::serves_tls`], ignored otherwise.
pub(crate) fn workload(validated: &Validated, tls_copy: Option<&str>) -> StatefulSet {
    workload::workload(validated, tls_copy)
}

/// Holds the pods before this ordinal back: they stay at the revision that they are of.
pub(crate) fn hold_back(stateful_set: &mut StatefulSet, partition: i32) {
    if let Some(spec) = &mut stateful_set.spec {
        spec.update_strategy = Some(workload::down_to(partition));
    }
}

/// Builds the Job that runs the user's scripts, with the certificates of the workload: `tls_copy` as there.
pub(crate) fn init_job(validated: &Validated, init: &Init, tls_copy: Option<&str>) -> Job {
    init_job::init_job(validated, init, tls_copy)
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
