//! What the pods' readiness and the logins to them add up to.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use shared_types::conditions::{Reason, Status};
use shared_types::pgpool::PodStatus;
use shared_types::{Pgpool, PgpoolStatus};

use super::Said;
use crate::health::{Login, PodHealth};
use crate::pgpool::apply::{Done, Progress};
use crate::pgpool::observe::Observed;
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::rollout::Leaves;

/// The pods, and what is known of each.
pub(super) struct Checks<'a> {
    replicas: i32,
    title: String,
    /// Whether the pods are asked: without a login nobody can.
    asked: bool,
    before: Option<&'a PgpoolStatus>,
    pods: &'a [PodFacts],
    standings: &'a BTreeMap<String, PodHealth>,
    leaves: Leaves<'a>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(pgpool: &'a Pgpool, observed: &'a Observed, applied: &Done, asked: bool) -> Self {
        Self {
            replicas: pgpool.spec.replicas(),
            title: format!("{}/", pgpool.namespace().unwrap_or_default()),
            asked: asked && !matches!(applied.progress, Progress::Stopped(_)),
            before: pgpool.status.as_ref(),
            pods: &observed.pods,
            standings: &observed.standings,
            leaves: Leaves::of(&observed.live.tls_copies),
        }
    }

    /// A ready pod has not answered yet, but is being asked.
    pub(super) fn answers_are_coming(&self) -> bool {
        self.asked && self.unanswered().next().is_some()
    }

    fn wanted(&self) -> impl Iterator<Item = &'a PodFacts> {
        self.pods.iter().filter(|pod| pod.ordinal < self.replicas)
    }

    fn unanswered(&self) -> impl Iterator<Item = &'a PodFacts> {
        self.wanted()
            .filter(|pod| pod.ready && !self.standings.contains_key(&pod.uid))
    }

    fn all_ready(&self) -> bool {
        let ready = self.wanted().filter(|pod| pod.ready).count();
        i32::try_from(ready).is_ok_and(|ready| ready >= self.replicas)
    }

    pub(super) fn replicas_ready(&self) -> Said {
        if self.all_ready() {
            return Said::new(true, Reason::AllReplicasReady, "All pods are ready");
        }
        let ready = self.wanted().filter(|pod| pod.ready).count();
        let trouble = self.wanted().find_map(|pod| Some((pod, pod.trouble.as_ref()?)));
        let trouble = trouble.map(|(pod, trouble)| format!("; pod {}{}: {trouble}", self.title, pod.name));
        let message = format!(
            "{ready} of {} pods are ready{}",
            self.replicas,
            trouble.unwrap_or_default()
        );
        Said::new(false, Reason::SomeReplicasNotReady, message)
    }

    /// Condition `AcceptingConnection`; `None` when nobody can tell.
    pub(super) fn accepting(&self) -> Option<Said> {
        let (yes, no) = (
            Reason::DatabaseAcceptingConnectionRequest,
            Reason::DatabaseNotAcceptingConnectionRequest,
        );
        let ready: Vec<_> = self.wanted().filter(|pod| pod.ready).collect();
        let login = |pod: &PodFacts| Some(&self.standings.get(&pod.uid)?.login);
        if ready.iter().any(|pod| login(pod).is_some_and(Login::is_usable)) {
            return Some(Said::new(
                true,
                yes,
                "A login and a query through the pool went through",
            ));
        }
        if self.unanswered().next().is_some() {
            return None;
        }
        let refusal = self.wanted().find_map(|pod| Some((pod, login(pod)?.problem()?)));
        Some(match refusal {
            Some((pod, message)) => {
                Said::new(false, no, format!("Pod {}{}: {message}", self.title, pod.name))
            }
            None => Said::new(Status::Unknown, no, "No pod is ready to be asked yet"),
        })
    }

    /// Condition `Ready`; `None` when nobody can tell.
    pub(super) fn ready(&self) -> Option<Said> {
        let no = |reason, message: String| Some(Said::new(false, reason, message));
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
            let Some(standing) = self.standings.get(&pod.uid) else {
                continue;
            };
            if let Some(message) = standing.login.problem() {
                return no(
                    standing.login.reason().unwrap_or(Reason::ReadinessCheckFailed),
                    format!("Pod {}{}: {message}", self.title, pod.name),
                );
            }
            if let Some(message) = self.leaves.wrong(pod, standing) {
                return no(
                    Reason::PodsNotServing,
                    format!("Pod {}{}: {message}", self.title, pod.name),
                );
            }
        }
        let message = if self.wanted().all(|pod| pod.certificates.is_some()) {
            "Every pod accepts logins and serves its certificate"
        } else {
            "Every pod accepts logins"
        };
        Some(Said::new(true, Reason::ReadinessCheckSucceeded, message))
    }

    /// The pods as the status tells them. One of which nothing is known yet is not worth a write.
    pub(super) fn pods(&self) -> Vec<PodStatus> {
        self.pods.iter().filter_map(|pod| self.pod(pod)).collect()
    }

    fn pod(&self, pod: &PodFacts) -> Option<PodStatus> {
        let name = pod.name.clone();
        let Some(standing) = self.standings.get(&pod.uid) else {
            let before = self.before.iter().flat_map(|status| &status.pods);
            // A pod that cannot be asked now: what was seen last is the best there is.
            let seen = before.filter(|_| pod.ready).find(|it| it.name == name);
            let troubled = |trouble: &String| PodStatus {
                name,
                message: Some(trouble.clone()),
                ..PodStatus::default()
            };
            return seen.cloned().or_else(|| pod.trouble.as_ref().map(troubled));
        };
        let message = standing
            .login
            .problem()
            .map(str::to_owned)
            .or_else(|| self.leaves.wrong(pod, standing));
        Some(PodStatus {
            name,
            ready: pod.ready && message.is_none(),
            served_fingerprint: standing
                .served
                .as_ref()
                .map(|served| served.fingerprint.to_string()),
            served_not_after: standing
                .served
                .as_ref()
                .and_then(|served| served.not_after)
                .map(Time),
            message: message.or_else(|| pod.trouble.clone()),
        })
    }
}
