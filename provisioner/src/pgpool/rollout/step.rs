//! Which pod is replaced next, and what that waits for. Pure.
//!
//! The workload's controller replaces pods from the last one down to its `partition`. This lowers the partition by one
//! pod at a time: when all pods of the new revision are ready and were seen from outside to serve as they should, and
//! the budget lets one more go. Everything is read from the cluster, so that whoever is killed between two steps is
//! followed by one who sees the same; while nobody is there the rollout rests, and pods that restart meanwhile come
//! back as they were. Within one revision the partition only falls: raised, it would undo what has begun.

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

#[cfg(test)]
mod tests;

/// How long a pod that was replaced may take, as long as nothing speaks against it: mostly the pull of its image.
const PATIENCE: Duration = Duration::from_mins(5);
/// The same for one that is known to be in trouble, which may pass.
const TROUBLED: Duration = Duration::from_mins(1);
/// How long a pod of an earlier revision may keep the others waiting: then the new revision may be what mends it.
const COURTESY: Duration = Duration::from_mins(1);

/// What is looked at.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The workload as it is to be.
    pub(crate) desired: &'a StatefulSet,
    /// The workload as it is.
    pub(crate) live: Option<&'a StatefulSet>,
    /// The budget of the pods.
    pub(crate) budget: Option<&'a PodDisruptionBudget>,
    /// The pods.
    pub(crate) pods: &'a [PodFacts],
    /// What they were last seen to serve.
    pub(crate) standings: &'a BTreeMap<String, PodHealth>,
    /// What they should serve.
    pub(crate) leaves: &'a Leaves<'a>,
    /// Whether they are asked: without a login nobody can, and their own word has to do.
    pub(crate) asked: bool,
    /// The time.
    pub(crate) now: Timestamp,
}

/// How far the workload may go now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The first pod that may be of the present revision.
    pub(crate) partition: i32,
    /// Pods of it that were proven.
    pub(crate) proven: usize,
    /// What happens now.
    pub(crate) stride: Stride,
}

/// What happens now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stride {
    /// No pod is left to be replaced.
    Level,
    /// The controller of the workload has not taken note of the last change.
    Unnoticed,
    /// A pod is being replaced.
    Replaces {
        /// Its name.
        pod: String,
    },
    /// A pod gets other CPU and memory while it runs.
    Resizes {
        /// Its name.
        pod: String,
        /// Its UID.
        uid: String,
        /// What that needs next.
        resize: Resize,
    },
    /// A pod was replaced, and has to show that it serves.
    Proves {
        /// Its name.
        pod: String,
        /// What is missing.
        why: String,
        /// When that becomes a failure.
        left: Duration,
    },
    /// The next pod has to wait.
    Waits {
        /// For what, in one sentence.
        why: String,
        /// When to look again, if nothing happens before.
        after: Option<Duration>,
    },
    /// A pod was replaced and does not serve. The others stay as they are.
    Failed {
        /// Its name.
        pod: String,
        /// What is wrong.
        why: String,
    },
}

/// Decides.
pub(crate) fn step(view: &View<'_>) -> Step {
    let level = Step {
        partition: 0,
        proven: 0,
        stride: Stride::Level,
    };
    let Some(live) = view.live else { return level };
    if changes_template(view.desired, live) {
        return view.walk(None, i32::MAX);
    }
    let begun = partition(live);
    let Some(status) = noticed(live) else {
        return Step {
            partition: begun,
            stride: Stride::Unnoticed,
            ..level
        };
    };
    let revision = status.update_revision.as_deref();
    let is_level = status.current_revision.as_deref() == revision;
    if is_level && view.pods.iter().all(|pod| pod.revision.as_deref() == revision) {
        return level;
    }
    view.walk(revision, begun)
}

/// Whether pods made from the two would differ.
fn changes_template(desired: &StatefulSet, live: &StatefulSet) -> bool {
    let hash = |set: &StatefulSet| set.annotations().get(names::ANNOTATION_TEMPLATE_HASH).cloned();
    // One without the note was made by an older operator.
    let differs = hash(live).is_some_and(|live| Some(live) != hash(desired));
    let template = |set: &StatefulSet| set.spec.as_ref().map(|spec| spec.template.clone());
    differs || !stands(&template(desired), &template(live))
}

fn noticed(live: &StatefulSet) -> Option<&StatefulSetStatus> {
    let status = live.status.as_ref()?;
    let noticed = status.observed_generation >= live.metadata.generation && status.update_revision.is_some();
    noticed.then_some(status)
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
    /// From the last pod to the first that cannot go on. `revision` is the new one, unless nobody knows it yet; pods from
    /// `begun` on are being replaced already.
    fn walk(&self, revision: Option<&str>, begun: i32) -> Step {
        let mut step = Step {
            partition: 0,
            proven: 0,
            stride: Stride::Level,
        };
        for ordinal in (0..replicas(self.desired)).rev() {
            step.partition = ordinal.min(begun);
            let Some(pod) = self.pods.iter().find(|pod| pod.ordinal == ordinal) else {
                let pod = format!("{}-{ordinal}", self.desired.name_any());
                step.stride = Stride::Replaces { pod };
                return step;
            };
            if revision.is_some() && pod.revision.as_deref() == revision {
                if let Err(why) = self.proof(pod, revision) {
                    step.stride = self.unproven(pod, why);
                    return step;
                }
                step.proven += 1;
                continue;
            }
            if ordinal < begun
                && let Some(stride) = self.resized(pod, revision)
            {
                step.partition = (ordinal + 1).min(begun);
                step.stride = stride;
                return step;
            }
            // One that does not serve can be replaced without loss, and a single one not without.
            let matters = ordinal < begun && pod.ready && replicas(self.desired) > 1;
            let obstacle = matters.then(|| self.obstacle(pod)).flatten();
            step.stride = match obstacle {
                None => Stride::Replaces {
                    pod: pod.name.clone(),
                },
                Some(waits) => {
                    step.partition = (ordinal + 1).min(begun);
                    waits
                }
            };
            return step;
        }
        step
    }

    /// The way of a pod to the present revision, if it need not be replaced. One that does not serve is, unless that may
    /// come from the way it is on: a container can ask to be restarted for other CPU or memory.
    fn resized(&self, pod: &PodFacts, revision: Option<&str>) -> Option<Stride> {
        let resize = resize(pod, self.desired, revision)?;
        let begins = matches!(resize, Resize::Later | Resize::Ask { .. });
        if !pod.ready && (begins || self.left(pod.unready_since, TROUBLED).is_none()) {
            return None;
        }
        // Where a container has to restart, or gets less memory than it uses, clients may notice.
        let obstacle = (begins && replicas(self.desired) > 1).then(|| self.obstacle(pod));
        Some(obstacle.flatten().unwrap_or_else(|| Stride::Resizes {
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
            resize,
        }))
    }

    /// Whether a pod serves as it should, or else what is wrong. What no pod of an earlier revision does either is not
    /// the fault of the new one: that PostgreSQL is away, or that the operator reaches no pod, holds nothing up.
    fn proof(&self, pod: &PodFacts, revision: Option<&str>) -> Result<(), String> {
        if !pod.ready {
            let trouble = pod.trouble.clone();
            return Err(trouble.unwrap_or_else(|| "it is not ready yet".to_owned()));
        }
        if !self.asked {
            return Ok(());
        }
        let Some(standing) = self.standings.get(&pod.uid) else {
            return Err("it has not been asked yet what it serves".to_owned());
        };
        let earlier = self
            .pods
            .iter()
            .filter(|pod| pod.ready && pod.revision.as_deref() != revision);
        let earlier: Vec<_> = earlier.filter_map(|pod| self.standings.get(&pod.uid)).collect();
        if let Some(wrong) = self.leaves.wrong(pod, standing)
            && (standing.served.is_some()
                || earlier
                    .iter()
                    .any(|it| it.served.is_some() || it.login.is_usable()))
        {
            return Err(format!("it {wrong}"));
        }
        match standing.login.problem() {
            Some(trouble) if !standing.login.is_usable() && earlier.iter().any(|it| it.login.is_usable()) => {
                Err(trouble.to_owned())
            }
            _ => Ok(()),
        }
    }

    fn unproven(&self, pod: &PodFacts, why: String) -> Stride {
        let unasked = pod.ready && !self.standings.contains_key(&pod.uid);
        let troubled = pod.trouble.is_some() || (pod.ready && !unasked);
        let patience = if troubled { TROUBLED } else { PATIENCE };
        let pod_name = pod.name.clone();
        match self.left(pod.created, patience) {
            Some(left) => Stride::Proves {
                pod: pod_name,
                why,
                left,
            },
            None => Stride::Failed { pod: pod_name, why },
        }
    }

    /// What keeps a pod that serves from being replaced.
    fn obstacle(&self, next: &PodFacts) -> Option<Stride> {
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
            let why = format!("the PodDisruptionBudget lets pod {name} not go at present");
            return Some(Stride::Waits { why, after: None });
        };
        let left = away
            .iter()
            .map(|(_, pod)| self.left((*pod)?.unready_since, COURTESY));
        let left: Vec<_> = left.collect();
        let gone = away.iter().any(|(_, pod)| pod.is_none());
        if !gone && left.iter().all(Option::is_none) {
            return None;
        }
        let why = format!(
            "pod {}-{ordinal} is not ready, and the PodDisruptionBudget lets pod {name} not go as well",
            self.desired.name_any()
        );
        Some(Stride::Waits {
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

/// How many pods may go; `None` while nobody has counted for the present budget.
fn allowed(budget: Option<&PodDisruptionBudget>) -> Option<i32> {
    let budget = budget?;
    let status = budget.status.as_ref()?;
    (status.observed_generation >= budget.metadata.generation).then_some(status.disruptions_allowed)
}
