//! Builds objects without applying them, as input for decisions.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::{config_check, config_secret, tls_copy, workload};
use crate::pgpool::decide::config_check::ConfigCheckId;
use crate::pgpool::decide::{self, TlsMaterial, Workload};
use crate::pgpool::validate::Validated;

/// Builds objects to look at.
pub(crate) struct Preview;

impl decide::Preview for Preview {
    fn config_check(&self, validated: &Validated) -> Option<ConfigCheckId> {
        if !validated.customized() {
            return None;
        }
        let check = config_check::config_check(validated);
        Some(ConfigCheckId {
            name: check.secret.name_any(),
            hash: check.hash,
        })
    }

    fn revision_in_force(&self, validated: &Validated, config_secret: &Secret) -> Option<String> {
        config_secret::revision_in_force(validated, config_secret.data.as_ref()?)
    }

    fn tls_copy(&self, validated: &Validated, material: &TlsMaterial<'_>) -> Secret {
        tls_copy::tls_copy(validated, material)
    }

    fn serves_exporter(&self, validated: &Validated, tls_copy: &Secret) -> bool {
        !validated.exporter_shows_certificate() || tls_copy::has_exporter_pair(tls_copy)
    }

    fn is_complete(&self, tls_copy: &Secret) -> bool {
        tls_copy::is_complete(tls_copy)
    }

    fn demands_certificates(&self, config_secret: &Secret) -> bool {
        config_secret::demands_certificates(config_secret)
    }

    fn stateful_set(&self, validated: &Validated, workload: &Workload) -> StatefulSet {
        workload::workload(validated, workload)
    }
}
