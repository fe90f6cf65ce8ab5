//! What matters of a pod, and how its cache is kept small. Pure.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use kube::ResourceExt;
use shared_types::names;
use shared_types::reserved::VOLUME_CERTS as CERTIFICATES;

use super::sizes::Sizes;

#[cfg(test)]
mod tests;

/// Label that the controller of the workload puts on a pod: the revision it was made from, or has been brought to.
pub(crate) const REVISION: &str = "controller-revision-hash";

/// States that a container is in on its way up.
const HARMLESS: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// The kubelet alternates between these while an image cannot be had.
const PULLING: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

/// What matters of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodFacts {
    /// Its name.
    pub(crate) name: String,
    /// Its place among the pods.
    pub(crate) ordinal: i32,
    /// Its UID.
    pub(crate) uid: String,
    /// Where it can be reached.
    pub(crate) ip: Option<IpAddr>,
    /// Whether it is ready and not on its way out.
    pub(crate) ready: bool,
    /// The revision of the workload that it was made from.
    pub(crate) revision: Option<String>,
    /// The Secret with the certificates that it serves.
    pub(crate) certificates: Option<String>,
    /// When it was created.
    pub(crate) created: Option<Timestamp>,
    /// Since when it is not ready; `None` while it is.
    pub(crate) unready_since: Option<Timestamp>,
    /// The note of the Secrets that it was last told of.
    pub(crate) told: Option<String>,
    /// When it was, by the clock of the API server.
    pub(crate) told_at: Option<Timestamp>,
    /// What keeps it from running, in the words of Kubernetes.
    pub(crate) trouble: Option<String>,
    /// Its CPU and memory.
    pub(crate) resize: ResizeFacts,
}

/// What matters for changing the CPU and memory of a pod while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResizeFacts {
    /// What it was made from, apart from CPU and memory.
    pub(crate) mould: Option<String>,
    /// What its spec asks for.
    pub(crate) asked: Sizes,
    /// What its kubelet has given.
    pub(crate) given: Sizes,
    /// What its kubelet says of the present spec, while that has not come about.
    pub(crate) underway: Option<Underway>,
    /// Whether the API server has refused to resize it.
    pub(crate) refused: bool,
}

/// What a kubelet says of a pod that is to be resized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Underway {
    /// It is at work, or waits for room; in its words.
    Waits(String),
    /// Its node can never give as much.
    Infeasible,
}

/// Picks what matters out of a pod.
pub(crate) fn facts(pod: &Pod, ordinal: i32) -> PodFacts {
    let status = pod.status.as_ref();
    let going = pod.metadata.deletion_timestamp.is_some();
    let condition =
        |kind: &str| status.and_then(|status| status.conditions.as_ref()?.iter().find(|it| it.type_ == kind));
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    let certs = volumes
        .into_iter()
        .flatten()
        .find(|volume| volume.name == CERTIFICATES);
    let trouble = || {
        let placed = condition("PodScheduled").filter(|it| it.status == "False");
        placed
            .map(|it| {
                it.message
                    .clone()
                    .unwrap_or_else(|| "it cannot be scheduled".to_owned())
            })
            .or_else(|| {
                let containers = status?
                    .init_container_statuses
                    .iter()
                    .chain(&status?.container_statuses)
                    .flatten();
                containers.into_iter().find_map(halted)
            })
    };
    let ready = !going && condition("Ready").is_some_and(|it| it.status == "True");
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let turned = condition("Ready").filter(|it| it.status != "True");
    let turned = turned
        .and_then(|it| it.last_transition_time.as_ref())
        .map(|time| time.0);
    PodFacts {
        name: pod.name_any(),
        ordinal,
        uid: pod.uid().unwrap_or_default(),
        ip: status
            .and_then(|status| status.pod_ip.as_ref()?.parse().ok())
            .filter(|_| !going),
        ready,
        revision: pod.labels().get(REVISION).cloned(),
        certificates: certs.and_then(|volume| volume.secret.as_ref()?.secret_name.clone()),
        created,
        unready_since: turned.or(created).filter(|_| !ready),
        told: pod.annotations().get(names::ANNOTATION_MOUNTED_SECRETS).cloned(),
        told_at: told_at(pod),
        trouble: trouble(),
        resize: resize_facts(pod),
    }
}

/// See the conditions of pods in the documentation of Kubernetes, "Resize CPU and Memory Resources assigned to Containers".
fn resize_facts(pod: &Pod) -> ResizeFacts {
    let generation = pod.metadata.generation;
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    // One that was written about an earlier spec says nothing any more.
    let present =
        |it: &&PodCondition| it.observed_generation.is_none() || it.observed_generation >= generation;
    let condition = |kind: &str| {
        let mut conditions = conditions.into_iter().flatten().filter(present);
        conditions.find(|it| it.type_ == kind && it.status == "True")
    };
    let words = |it: &PodCondition| {
        let words = [it.reason.as_deref(), it.message.as_deref()];
        words.into_iter().flatten().collect::<Vec<_>>().join(": ")
    };
    let pending = condition("PodResizePending");
    let underway = match pending {
        Some(it) if it.reason.as_deref() == Some("Infeasible") => Some(Underway::Infeasible),
        _ => pending
            .or_else(|| condition("PodResizeInProgress"))
            .map(|it| Underway::Waits(words(it))),
    };
    ResizeFacts {
        mould: pod
            .annotations()
            .get(names::ANNOTATION_TEMPLATE_BASE_HASH)
            .cloned(),
        asked: pod.spec.as_ref().map(Sizes::asked).unwrap_or_default(),
        given: pod.status.as_ref().map(Sizes::given).unwrap_or_default(),
        underway,
        refused: false,
    }
}

/// When we last changed a pod, which is never but to tell it. Nobody else is asked: the kubelet writes all the time.
fn told_at(pod: &Pod) -> Option<Timestamp> {
    let ours = |entry: &&ManagedFieldsEntry| {
        let manager = entry.manager.as_deref();
        // As `trim` leaves them, they name nobody.
        manager.is_none_or(|manager| manager == names::PROVISIONER)
    };
    let entries = pod.metadata.managed_fields.iter().flatten().filter(ours);
    entries.filter_map(|entry| Some(entry.time.as_ref()?.0)).max()
}

/// Why a container does not run. Kubernetes counts seconds and tries in its messages and changes its words from try to
/// try (pulling and waiting to pull, running and waiting to run), so what lies behind them is told: a status must not
/// change because time passes.
fn halted(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let waiting = waiting.and_then(|waiting| waiting.reason.as_deref());
    let title = format!("container {} ({})", container.name, container.image);
    if waiting.is_some_and(|reason| PULLING.contains(&reason)) {
        return Some(format!("{title}: its image cannot be pulled (ImagePullBackOff)"));
    }
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let ended = last.filter(|_| !container.ready && container.restart_count > 0);
    if let Some(ended) = ended {
        let reason = ended.reason.as_deref().unwrap_or("Error");
        let code = ended.exit_code;
        return Some(format!(
            "{title} does not stay up, it ended with {reason} (exit code {code})"
        ));
    }
    let reason = waiting.filter(|reason| !HARMLESS.contains(reason))?;
    Some(format!("{title} is in {reason}"))
}

/// Drops what nobody here reads before a pod enters the cache.
pub(crate) fn trim(pod: &mut Pod) {
    let keep = [
        names::LABEL_NAME,
        names::LABEL_INSTANCE,
        names::LABEL_MANAGED_BY,
        names::LABEL_CONFIG_CHECK_OF,
        REVISION,
    ];
    if let Some(labels) = &mut pod.metadata.labels {
        labels.retain(|key, _| keep.contains(&key.as_str()));
    }
    let read = [
        names::ANNOTATION_MOUNTED_SECRETS,
        names::ANNOTATION_TEMPLATE_BASE_HASH,
    ];
    pod.metadata.annotations = pod.metadata.annotations.take().and_then(|mut annotations| {
        annotations.retain(|key, _| read.contains(&key.as_str()));
        (!annotations.is_empty()).then_some(annotations)
    });
    pod.metadata.managed_fields = told_at(pod).map(|time| {
        vec![ManagedFieldsEntry {
            time: Some(Time(time)),
            ..ManagedFieldsEntry::default()
        }]
    });
    pod.metadata.owner_references = None;
    if let Some(spec) = pod.spec.take() {
        let mut volumes = spec.volumes;
        if let Some(volumes) = &mut volumes {
            volumes.retain(|volume| volume.name == CERTIFICATES);
        }
        let containers = spec.containers.into_iter().map(|container| Container {
            name: container.name,
            resources: container.resources,
            ..Container::default()
        });
        pod.spec = Some(PodSpec {
            containers: containers.collect(),
            volumes,
            ..PodSpec::default()
        });
    }
    if let Some(status) = pod.status.take() {
        pod.status = Some(PodStatus {
            conditions: status.conditions,
            pod_ip: status.pod_ip,
            phase: status.phase,
            init_container_statuses: status.init_container_statuses,
            container_statuses: status.container_statuses,
            ..PodStatus::default()
        });
    }
}
