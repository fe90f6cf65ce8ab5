//! How many pods node drains may evict at the same time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata;
use crate::pgpool::validate::Validated;

/// Keeps a majority of three or more pods, and never blocks the drain of fewer.
pub(super) fn pod_disruption_budget(validated: &Validated) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata::owned(validated, &validated.name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(minority(validated.replicas))),
            selector: Some(metadata::selector(validated)),
            // A pod that is not ready may always be evicted.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

fn minority(replicas: i32) -> i32 {
    (replicas.saturating_sub(1) / 2).max(1)
}
