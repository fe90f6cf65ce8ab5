//! Which pod is replaced next, and what that waits for. Pure.
//!
//! The StatefulSet controller replaces pods from the last one down to the `partition`. This lowers the partition by one
//! pod at a time: when all pods of the new revision are ready and probes have proven that they serve as they should, and
//! the PodDisruptionBudget allows one more disruption. Everything is read from the cluster, so a process that is killed
//! between two steps is followed by one that sees the same; while no process runs the rollout pauses, and pods that
//! restart meanwhile keep their revision. Within one revision the partition only decreases: increased, it would undo what
//! has begun.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use operator_runtime::apply::stands;
use shared_types::names;

use super::Leaves;
use super::resize::{Resize, resize};
use crate::health::PodHealth;
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::validate::CertificateDelivery;

#[cfg(test)]
mod tests;

/// How long a replaced pod may take to be proven while nothing is wrong with it: mostly the pull of its image.
const PROOF_TIMEOUT: Duration = Duration::from_mins(5);
/// The same while something is wrong with it, which may be temporary.
const TROUBLED_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a pod of an earlier revision that is not ready may block the others: then the new revision may be the fix.
const UNREADY_GRACE: Duration = Duration::from_mins(1);

/// What the next action depends on.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The workload as it will be written.
    pub(crate) desired: &'a StatefulSet,
    /// The workload as it is in the cluster.
    pub(crate) live: Option<&'a StatefulSet>,
    pub(crate) budget: Option<&'a PodDisruptionBudget>,
    pub(crate) pods: &'a [PodFacts],
    /// The last probe results, by UID.
    pub(crate) pod_health: &'a BTreeMap<String, PodHealth>,
    /// How pods take new certificates.
    pub(crate) certificate_delivery: CertificateDelivery,
    /// What pods should serve.
    pub(crate) leaves: &'a Leaves<'a>,
    /// Whether pods are probed. Without a login they cannot be, and readiness has to do.
    pub(crate) probing: bool,
    pub(crate) now: Timestamp,
}

/// How far the rollout may go now. The default is a workload that is up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// The first pod that may have the current revision.
    pub(crate) partition: i32,
    /// How many pods of it were proven.
    pub(crate) proven: usize,
    pub(crate) action: Action,
}

/// What happens next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// No pod is left to be replaced.
    #[default]
    UpToDate,
    /// The StatefulSet controller has not observed the last change.
    Unobserved,
    /// A pod is being replaced.
    Replacing { pod: String },
    /// A pod gets other CPU and memory while it runs.
    Resizing {
        pod: String,
        uid: String,
        resize: Resize,
    },
    /// A pod was replaced, and has to be proven.
    Proving {
        pod: String,
        /// What is wrong so far.
        why: String,
        /// When that becomes a failure.
        left: Duration,
    },
    /// The next pod has to wait.
    Waiting {
        /// For what.
        why: String,
        /// When to reconcile again.
        after: Option<Duration>,
    },
    /// A pod was replaced and does not serve. The others stay as they are.
    Failed {
        pod: String,
        /// What is wrong.
        why: String,
    },
}

/// Decides what happens next.
pub(crate) fn next_pod(view: &View<'_>) -> Step {
    let up_to_date = Step::default();
    let Some(live) = view.live else { return up_to_date };
    if view.replaces_pods(live) {
        return view.next_action(None, i32::MAX);
    }
    let begun = partition(live);
    let Some(status) = observed_status(live) else {
        return Step {
            partition: begun,
            action: Action::Unobserved,
            ..up_to_date
        };
    };
    let revision = status.update_revision.as_deref();
    let is_level = status.current_revision.as_deref() == revision;
    if is_level && view.pods.iter().all(|pod| pod.revision.as_deref() == revision) {
        return up_to_date;
    }
    view.next_action(revision, begun)
}

/// Whether pods created from the two would differ.
fn changes_template(desired: &StatefulSet, live: &StatefulSet) -> bool {
    let hash = |set: &StatefulSet| set.annotations().get(names::ANNOTATION_TEMPLATE_HASH).cloned();
    // One without the annotation was written by an older operator.
    let differs = hash(live).is_some_and(|live| Some(live) != hash(desired));
    let template = |set: &StatefulSet| set.spec.as_ref().map(|spec| spec.template.clone());
    differs || !stands(&template(desired), &template(live))
}

fn observed_status(live: &StatefulSet) -> Option<&StatefulSetStatus> {
    let status = live.status.as_ref()?;
    let observed_status =
        status.observed_generation >= live.metadata.generation && status.update_revision.is_some();
    observed_status.then_some(status)
}

fn partition(live: &StatefulSet) -> i32 {
    let strategy = live.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    rolling.and_then(|rolling| rolling.partition).unwrap_or_default()
}

fn replicas(workload: &StatefulSet) -> i32 {
    workload.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

impl View<'_> {
    /// Whether pods have to be replaced to become what the workload describes.
    fn replaces_pods(&self, live: &StatefulSet) -> bool {
        match self.certificate_delivery {
            // The certificate revision is part of the template.
            CertificateDelivery::Restart => changes_template(self.desired, live),
        }
    }

    /// Goes from the last pod to the first that blocks the rollout. `revision` is the new one, if it is known yet; pods from
    /// `begun` on are being replaced already.
    fn next_action(&self, revision: Option<&str>, begun: i32) -> Step {
        let mut step = Step::default();
        for ordinal in (0..replicas(self.desired)).rev() {
            step.partition = ordinal.min(begun);
            let Some(pod) = self.pods.iter().find(|pod| pod.ordinal == ordinal) else {
                let pod = format!("{}-{ordinal}", self.desired.name_any());
                step.action = Action::Replacing { pod };
                return step;
            };
            if revision.is_some() && pod.revision.as_deref() == revision {
                if let Err(why) = self.proof(pod, revision) {
                    step.action = self.unproven(pod, why);
                    return step;
                }
                step.proven = step.proven.saturating_add(1);
                continue;
            }
            if ordinal < begun
                && let Some(action) = self.resized(pod, revision)
            {
                step.partition = ordinal.saturating_add(1).min(begun);
                step.action = action;
                return step;
            }
            // A pod that does not serve can be replaced without loss; a single one cannot.
            let matters = ordinal < begun && pod.ready && replicas(self.desired) > 1;
            let obstacle = matters.then(|| self.obstacle(pod)).flatten();
            step.action = match obstacle {
                None => Action::Replacing {
                    pod: pod.name.clone(),
                },
                Some(waits) => {
                    step.partition = ordinal.saturating_add(1).min(begun);
                    waits
                }
            };
            return step;
        }
        step
    }

    /// How a pod gets to the current revision by a resize. A pod that does not serve is replaced, unless the resize may be
    /// the cause: a container can require a restart for other CPU or memory.
    fn resized(&self, pod: &PodFacts, revision: Option<&str>) -> Option<Action> {
        let resize = resize(pod, self.desired, revision)?;
        let begins = matches!(resize, Resize::Later | Resize::Request { .. });
        if !pod.ready && (begins || self.left(pod.unready_since, TROUBLED_TIMEOUT).is_none()) {
            return None;
        }
        // Clients may notice where a container has to restart, or gets less memory than it uses.
        let obstacle = (begins && replicas(self.desired) > 1).then(|| self.obstacle(pod));
        Some(obstacle.flatten().unwrap_or_else(|| Action::Resizing {
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
            resize,
        }))
    }

    /// Whether a pod serves as it should, or else what is wrong. What is wrong with pods of an earlier revision, too, is not
    /// caused by the new one: a rollout does not wait for a PostgreSQL that is down, or for pods that the operator cannot
    /// reach.
    fn proof(&self, pod: &PodFacts, revision: Option<&str>) -> Result<(), String> {
        if !pod.ready {
            let trouble = pod.trouble.clone();
            return Err(trouble.unwrap_or_else(|| "it is not ready yet".to_owned()));
        }
        if !self.probing {
            return Ok(());
        }
        let Some(health) = self.pod_health.get(&pod.uid) else {
            return Err("it has not been probed yet".to_owned());
        };
        let earlier = self
            .pods
            .iter()
            .filter(|pod| pod.ready && pod.revision.as_deref() != revision);
        let earlier: Vec<_> = earlier.filter_map(|pod| self.pod_health.get(&pod.uid)).collect();
        if let Some(wrong) = self.leaves.wrong(pod, health)
            && (health.served.is_some()
                || earlier
                    .iter()
                    .any(|it| it.served.is_some() || it.login.is_usable()))
        {
            return Err(format!("it {wrong}"));
        }
        match health.login.problem() {
            Some(trouble) if !health.login.is_usable() && earlier.iter().any(|it| it.login.is_usable()) => {
                Err(trouble.to_owned())
            }
            _ => Ok(()),
        }
    }

    fn unproven(&self, pod: &PodFacts, why: String) -> Action {
        let unasked = pod.ready && !self.pod_health.contains_key(&pod.uid);
        let troubled = pod.trouble.is_some() || (pod.ready && !unasked);
        let patience = if troubled { TROUBLED_TIMEOUT } else { PROOF_TIMEOUT };
        let pod_name = pod.name.clone();
        match self.left(pod.created, patience) {
            Some(left) => Action::Proving {
                pod: pod_name,
                why,
                left,
            },
            None => Action::Failed { pod: pod_name, why },
        }
    }

    /// What keeps a pod that serves from being replaced.
    fn obstacle(&self, next: &PodFacts) -> Option<Action> {
        let name = &next.name;
        let others = (0..replicas(self.desired)).filter(|ordinal| *ordinal != next.ordinal);
        let others = others.map(|ordinal| (ordinal, self.pods.iter().find(|pod| pod.ordinal == ordinal)));
        let away: Vec<_> = others
            .filter(|(_, pod)| pod.is_none_or(|pod| !pod.ready))
            .collect();
        match allowed(self.budget) {
            Some(1..) => return None,
            None if away.is_empty() => return None,
            _ => {}
        }
        let Some((ordinal, _)) = away.first() else {
            let why = format!("the PodDisruptionBudget does not allow evicting pod {name} right now");
            return Some(Action::Waiting { why, after: None });
        };
        let left = away
            .iter()
            .map(|(_, pod)| self.left((*pod)?.unready_since, UNREADY_GRACE));
        let left: Vec<_> = left.collect();
        let gone = away.iter().any(|(_, pod)| pod.is_none());
        if !gone && left.iter().all(Option::is_none) {
            return None;
        }
        let why = format!(
            "pod {}-{ordinal} is not ready, so the PodDisruptionBudget does not allow replacing pod {name}",
            self.desired.name_any()
        );
        Some(Action::Waiting {
            why,
            after: left.into_iter().flatten().max().filter(|_| !gone),
        })
    }

    fn left(&self, since: Option<Timestamp>, patience: Duration) -> Option<Duration> {
        let age = self.now.duration_since(since.unwrap_or(self.now));
        let left = patience.checked_sub(Duration::try_from(age).unwrap_or_default());
        left.filter(|left| !left.is_zero())
    }
}

/// How many disruptions are allowed; `None` while the status of the budget is outdated.
fn allowed(budget: Option<&PodDisruptionBudget>) -> Option<i32> {
    let budget = budget?;
    let status = budget.status.as_ref()?;
    (status.observed_generation >= budget.metadata.generation).then_some(status.disruptions_allowed)
}
