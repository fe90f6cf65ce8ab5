//! Writes the plan. The only step that changes owned objects; it decides nothing but the order.
//!
//! The foundation first and all at once, since its parts do not need each other: Secrets, Services, account, budget and
//! `AppBinding`. ops-manager and cert-manager go on from there. Then, when the plan has a workload, the copy of the
//! certificates and at last the `StatefulSet`: a pod that mounts a Secret which appears later waits for the
//! kubelet's next try.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use operator_runtime::Applier;
use operator_runtime::apply::ApplyError;
use operator_runtime::placement::Placement;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::desired::Foundation;
use super::observe::{Live, Observed};
use super::plan::{Plan, Stand, Workload};
use super::pods::PodFacts;
use super::rollout;
use super::validate::Unmet;

/// What has come of a plan.
pub enum Progress {
    /// There was none: something is in the way.
    Stopped(Unmet),
    /// An object of a needed name belongs to somebody else.
    Refused {
        /// The object and the cure.
        message: String,
    },
    /// The API server did not take an object.
    Failed(ApplyError),
    /// Everything that may be written stands.
    Written(Stand),
}

/// What has come of a plan, and the workload as it stands now.
pub struct Applied {
    /// What has come of it.
    pub progress: Progress,
    /// The workload: the one just written, else that of the cache.
    pub stateful_set: Option<StatefulSet>,
}

/// Brings the owned objects to what the plan says.
pub async fn apply(applier: &Applier, plan: Result<Plan, Unmet>, observed: &Observed) -> Applied {
    let live = &observed.live;
    let before = || live.stateful_set.as_deref().cloned();
    let plan = match plan {
        Ok(plan) => plan,
        Err(unmet) => {
            return Applied {
                progress: Progress::Stopped(unmet),
                stateful_set: before(),
            };
        }
    };
    let written = Box::pin(write(applier, plan, observed)).await;
    let (progress, stateful_set) = match written {
        Ok((stand, stateful_set)) => (Progress::Written(stand), stateful_set),
        Err(conflict @ ApplyError::NameConflict { .. }) => (
            Progress::Refused {
                message: conflict.to_string(),
            },
            None,
        ),
        Err(error) => (Progress::Failed(error), None),
    };
    Applied {
        progress,
        stateful_set: stateful_set.or_else(before),
    }
}

async fn write(
    applier: &Applier,
    plan: Plan,
    observed: &Observed,
) -> Result<(Stand, Option<StatefulSet>), ApplyError> {
    let Plan {
        foundation,
        keep_configuration,
        workload,
        handoff,
    } = plan;
    Box::pin(apply_foundation(
        applier,
        foundation,
        keep_configuration,
        &observed.live,
    ))
    .await?;
    let Some(workload) = workload else {
        return Ok((handoff, None));
    };
    let stateful_set = Box::pin(apply_workload(applier, workload, &observed.live)).await?;
    for copy in obsolete(&observed.live, &observed.pods, &stateful_set) {
        applier.delete(copy).await?;
    }
    Ok((handoff, Some(stateful_set)))
}

async fn apply_foundation(
    applier: &Applier,
    foundation: Foundation,
    keep_configuration: bool,
    live: &Live,
) -> Result<(), ApplyError> {
    // Without `..`: an object that is built and not written does not compile.
    let Foundation {
        primary_service,
        governing_service,
        service_account,
        auth_secret,
        config_secret,
        pcp_secret,
        users_secret,
        pod_disruption_budget,
        app_binding,
    } = foundation;
    let config_secret = Some(config_secret).filter(|_| !keep_configuration || live.config_secret.is_none());
    // All are tried before the first failure counts: one foreign object must not keep the others away.
    let results: [Result<(), ApplyError>; 9] = futures::join!(
        put(applier, Some(primary_service), live.primary_service.as_deref()),
        put(
            applier,
            Some(governing_service),
            live.governing_service.as_deref()
        ),
        put(applier, service_account, live.service_account.as_deref()),
        put(applier, auth_secret, live.auth_secret.as_deref()),
        put(applier, config_secret, live.config_secret.as_deref()),
        put(applier, Some(pcp_secret), live.pcp_secret.as_deref()),
        put(applier, Some(users_secret), live.users_secret.as_deref()),
        put(
            applier,
            Some(pod_disruption_budget),
            live.pod_disruption_budget.as_deref()
        ),
        put(applier, Some(app_binding), live.app_binding.as_deref()),
    )
    .into();
    let mut failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    // A conflict is for the user to mend and is told first; the rest is tried again anyway.
    failures.sort_by_key(|failure| !matches!(failure, ApplyError::NameConflict { .. }));
    failures.into_iter().next().map_or(Ok(()), Err)
}

async fn put<K>(applier: &Applier, desired: Option<K>, live: Option<&K>) -> Result<(), ApplyError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    K::Scope: Placement<K>,
{
    match desired {
        Some(desired) => applier.apply(&desired, live).await.map(|_| ()),
        None => Ok(()),
    }
}

async fn apply_workload(
    applier: &Applier,
    workload: Workload,
    live: &Live,
) -> Result<StatefulSet, ApplyError> {
    let Workload {
        tls_copy,
        stateful_set,
    } = workload;
    let known = tls_copy
        .as_ref()
        .and_then(|copy| live.tls_copies.get(&copy.name_any()));
    put(applier, tls_copy, known.map(AsRef::as_ref)).await?;
    Ok(applier
        .apply(&stateful_set, live.stateful_set.as_deref())
        .await?
        .object)
}

/// Copies of certificates that no pod mounts and none will.
fn obsolete<'a>(live: &'a Live, pods: &[PodFacts], stateful_set: &StatefulSet) -> Vec<&'a Secret> {
    if rollout::earlier_revision_may_return(stateful_set) {
        return Vec::new();
    }
    let next = rollout::certificates(stateful_set);
    let used =
        |name: &str| next == Some(name) || pods.iter().any(|pod| pod.certificates.as_deref() == Some(name));
    live.tls_copies
        .iter()
        .filter(|(name, _)| !used(name))
        .map(|(_, copy)| copy.as_ref())
        .collect()
}
