//! Conditions `ReplicaReady`, `AcceptingConnection` and `Ready`, and the list of pods: from readiness and probe results.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use shared_types::conditions::{Reason, Status, cut};
use shared_types::pgpool::PodStatus;
use shared_types::{Pgpool, PgpoolStatus};

use super::NewCondition;
use crate::health::{Login, PodHealth};
use crate::pgpool::apply::{Applied, Progress};
use crate::pgpool::decide::rollout::Leaves;
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{ForeignPod, Observed};

/// The pods with their probe results.
pub(super) struct Checks<'a> {
    replicas: i32,
    title: String,
    /// Whether pods are probed: without a login they cannot be.
    probing: bool,
    before: Option<&'a PgpoolStatus>,
    pods: &'a [PodFacts],
    foreign_pods: &'a [ForeignPod],
    pod_health: &'a BTreeMap<String, PodHealth>,
    leaves: Leaves<'a>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(pgpool: &'a Pgpool, observed: &'a Observed, applied: &Applied) -> Self {
        Self {
            replicas: pgpool.spec.replicas(),
            title: format!("{}/", pgpool.namespace().unwrap_or_default()),
            probing: applied.probing && !matches!(applied.progress, Progress::Stopped),
            before: pgpool.status.as_ref(),
            pods: &observed.pods,
            foreign_pods: &observed.foreign_pods,
            pod_health: &observed.pod_health,
            leaves: Leaves::of(&observed.live.tls_copies),
        }
    }

    /// Whether a ready pod is being probed for the first time.
    pub(super) fn answers_are_coming(&self) -> bool {
        self.probing && self.unanswered().next().is_some()
    }

    fn wanted(&self) -> impl Iterator<Item = &'a PodFacts> {
        self.pods.iter().filter(|pod| pod.ordinal < self.replicas)
    }

    fn unanswered(&self) -> impl Iterator<Item = &'a PodFacts> {
        self.wanted()
            .filter(|pod| pod.ready && !self.pod_health.contains_key(&pod.uid))
    }

    fn all_ready(&self) -> bool {
        let ready = self.wanted().filter(|pod| pod.ready).count();
        i32::try_from(ready).is_ok_and(|ready| ready >= self.replicas)
    }

    pub(super) fn replicas_ready(&self) -> NewCondition {
        if self.all_ready() {
            return NewCondition::new(true, Reason::AllReplicasReady, "All pods are ready");
        }
        if let Some(foreign) = self.foreign() {
            return foreign;
        }
        let ready = self.wanted().filter(|pod| pod.ready).count();
        let trouble = self.wanted().find_map(|pod| Some((pod, pod.trouble.as_ref()?)));
        let trouble = trouble.map(|(pod, trouble)| format!("; pod {}{}: {trouble}", self.title, pod.name));
        let message = format!(
            "{ready} of {} pods are ready{}",
            self.replicas,
            trouble.unwrap_or_default()
        );
        NewCondition::new(false, Reason::SomeReplicasNotReady, message)
    }

    /// A pod that takes the place of one of the pool.
    fn foreign(&self) -> Option<NewCondition> {
        let mut pods = self.foreign_pods.iter();
        let (pod, controller) = pods.find_map(|pod| Some((pod, pod.controller.as_ref()?)))?;
        let message = format!(
            "Pod {}{} is controlled by {controller} and not by the StatefulSet of the pool, so it is neither probed nor counted; \
             delete it, unless it is being deleted already",
            self.title, pod.name
        );
        Some(NewCondition::new(false, Reason::PodNotControlled, message))
    }

    /// Condition `AcceptingConnection`; `None` while it is unknown.
    pub(super) fn accepting(&self) -> Option<NewCondition> {
        let (yes, no) = (
            Reason::DatabaseAcceptingConnectionRequest,
            Reason::DatabaseNotAcceptingConnectionRequest,
        );
        let ready: Vec<_> = self.wanted().filter(|pod| pod.ready).collect();
        let login = |pod: &PodFacts| Some(&self.pod_health.get(&pod.uid)?.login);
        if ready.iter().any(|pod| login(pod).is_some_and(Login::is_usable)) {
            return Some(NewCondition::new(
                true,
                yes,
                "A login and a query through the pool succeeded",
            ));
        }
        if self.unanswered().next().is_some() {
            return None;
        }
        let refusal = self.wanted().find_map(|pod| Some((pod, login(pod)?.problem()?)));
        Some(match refusal {
            Some((pod, message)) => {
                NewCondition::new(false, no, format!("Pod {}{}: {message}", self.title, pod.name))
            }
            None => NewCondition::new(Status::Unknown, no, "No pod is ready to be probed yet"),
        })
    }

    /// Condition `Ready`; `None` while it is unknown.
    pub(super) fn ready(&self) -> Option<NewCondition> {
        let no = |reason, message: String| Some(NewCondition::new(false, reason, message));
        if !self.all_ready() {
            return no(
                Reason::ReadinessCheckFailed,
                "Not all pods are ready, see condition ReplicaReady".to_owned(),
            );
        }
        if self.unanswered().next().is_some() {
            return None;
        }
        for pod in self.wanted() {
            let Some(health) = self.pod_health.get(&pod.uid) else {
                continue;
            };
            if let Some(message) = health.login.problem() {
                return no(
                    health.login.reason().unwrap_or(Reason::ReadinessCheckFailed),
                    format!("Pod {}{}: {message}", self.title, pod.name),
                );
            }
            if let Some(message) = self.leaves.wrong(pod, health) {
                return no(
                    Reason::PodsNotServing,
                    format!("Pod {}{}: {message}", self.title, pod.name),
                );
            }
        }
        let message = if self.wanted().all(|pod| pod.certificate_revision().is_some()) {
            "Every pod accepts logins and serves its certificate"
        } else {
            "Every pod accepts logins"
        };
        Some(NewCondition::new(true, Reason::ReadinessCheckSucceeded, message))
    }

    /// The pods in the status. One that is not probed yet is not worth a write.
    pub(super) fn pods(&self) -> Vec<PodStatus> {
        self.pods.iter().filter_map(|pod| self.pod(pod)).collect()
    }

    fn pod(&self, pod: &PodFacts) -> Option<PodStatus> {
        let name = pod.name.clone();
        let Some(health) = self.pod_health.get(&pod.uid) else {
            let before = self.before.iter().flat_map(|status| &status.pods);
            // A pod that cannot be probed now: keep the last known result.
            let seen = before.filter(|_| pod.ready).find(|it| it.name == name);
            let troubled = |trouble: &String| PodStatus {
                name,
                message: Some(cut(trouble.clone())),
                ..PodStatus::default()
            };
            return seen.cloned().or_else(|| pod.trouble.as_ref().map(troubled));
        };
        let message = health
            .login
            .problem()
            .map(str::to_owned)
            .or_else(|| self.leaves.wrong(pod, health));
        Some(PodStatus {
            name,
            ready: pod.ready && message.is_none(),
            served_fingerprint: health
                .served
                .as_ref()
                .map(|served| served.fingerprint.to_string()),
            served_not_after: health
                .served
                .as_ref()
                .and_then(|served| served.not_after)
                .map(Time),
            message: message.or_else(|| pod.trouble.clone()).map(cut),
        })
    }
}
