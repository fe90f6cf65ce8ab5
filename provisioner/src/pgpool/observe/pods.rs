//! The facts about a pod that decisions need, and how the cache of pods is kept small. Pure.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use kube::ResourceExt;
use shared_types::names;
use shared_types::reserved::VOLUME_CERTS as CERTIFICATES;

use super::certificate_revision::CertificateRevision;
use super::container_resources::Sizes;

#[cfg(test)]
mod tests;

/// Label of the StatefulSet controller: the revision that a pod was created from, or was resized to.
pub(crate) const REVISION: &str = "controller-revision-hash";

/// States of a container that starts normally.
const HARMLESS: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// The kubelet alternates between these while an image cannot be pulled.
const PULLING: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

/// The facts about one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodFacts {
    pub(crate) name: String,
    pub(crate) ordinal: i32,
    pub(crate) uid: String,
    /// `None` while it has none, or is being deleted.
    pub(crate) ip: Option<IpAddr>,
    /// Whether that is an address of its node.
    pub(crate) is_node_ip: bool,
    /// Whether its containers were started. The address of a pod that has ended may belong to another pod.
    pub(crate) running: bool,
    /// Ready, and not being deleted.
    pub(crate) ready: bool,
    /// The revision of the workload that it was created from.
    pub(crate) revision: Option<String>,
    /// See [`Self::certificate_revision`].
    pub(crate) mounted_certificates: Option<CertificateRevision>,
    pub(crate) created: Option<Timestamp>,
    /// Since when it is not ready; `None` while it is.
    pub(crate) unready_since: Option<Timestamp>,
    /// The versions of the Secrets that it was last synced with.
    pub(crate) synced_versions: Option<String>,
    /// When it was synced, by the clock of the API server.
    pub(crate) synced_at: Option<Timestamp>,
    /// What keeps it from running, as Kubernetes reports it.
    pub(crate) trouble: Option<String>,
    pub(crate) resize: ResizeFacts,
}

impl PodFacts {
    /// Which certificates it has; `None` without any.
    pub(crate) fn certificate_revision(&self) -> Option<&CertificateRevision> {
        self.mounted_certificates.as_ref()
    }
}

/// What matters for changing the CPU and memory of a pod while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResizeFacts {
    /// The hash of the template that it was created from, without CPU and memory.
    pub(crate) template_base_hash: Option<String>,
    pub(crate) requested: Sizes,
    pub(crate) allocated: Sizes,
    /// What its kubelet reports about the current spec, until that is allocated.
    pub(crate) in_progress: Option<ResizeState>,
    /// Whether the API server has rejected a resize.
    pub(crate) rejected: bool,
}

/// What a kubelet reports about a resize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResizeState {
    /// In progress, or deferred; with its message.
    Waiting(String),
    /// The node can never allocate as much.
    Infeasible,
}

/// Reads the facts about a pod.
pub(crate) fn facts(pod: &Pod, ordinal: i32) -> PodFacts {
    let status = pod.status.as_ref();
    let going = pod.metadata.deletion_timestamp.is_some();
    let condition =
        |kind: &str| status.and_then(|status| status.conditions.as_ref()?.iter().find(|it| it.type_ == kind));
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
    let ip = status
        .and_then(|status| status.pod_ip.as_ref()?.parse().ok())
        .filter(|_| !going);
    PodFacts {
        name: pod.name_any(),
        ordinal,
        uid: pod.uid().unwrap_or_default(),
        ip,
        is_node_ip: ip.is_some_and(|ip| is_node_ip(pod, ip)),
        running: status.and_then(|status| status.phase.as_deref()) == Some("Running"),
        ready,
        revision: pod.labels().get(REVISION).cloned(),
        mounted_certificates: pod.spec.as_ref().and_then(CertificateRevision::of_pod),
        created,
        unready_since: turned.or(created).filter(|_| !ready),
        synced_versions: pod.annotations().get(names::ANNOTATION_MOUNTED_SECRETS).cloned(),
        synced_at: synced_at(pod),
        trouble: trouble(),
        resize: resize_facts(pod),
    }
}

fn is_node_ip(pod: &Pod, ip: IpAddr) -> bool {
    let on_host = pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
    let node = pod.status.as_ref().and_then(|status| status.host_ip.as_ref());
    on_host || node.and_then(|node| node.parse().ok()) == Some(ip)
}

/// See the conditions of pods in the documentation of Kubernetes, "Resize CPU and Memory Resources assigned to Containers".
fn resize_facts(pod: &Pod) -> ResizeFacts {
    let generation = pod.metadata.generation;
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    // One that was written about an earlier spec is outdated.
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
    let in_progress = match pending {
        Some(it) if it.reason.as_deref() == Some("Infeasible") => Some(ResizeState::Infeasible),
        _ => pending
            .or_else(|| condition("PodResizeInProgress"))
            .map(|it| ResizeState::Waiting(words(it))),
    };
    ResizeFacts {
        template_base_hash: pod
            .annotations()
            .get(names::ANNOTATION_TEMPLATE_BASE_HASH)
            .cloned(),
        requested: pod.spec.as_ref().map(Sizes::requested).unwrap_or_default(),
        allocated: pod.status.as_ref().map(Sizes::allocated).unwrap_or_default(),
        in_progress,
        rejected: false,
    }
}

/// When we last changed a pod: we only ever annotate it. Other managers do not count: the kubelet writes all the time.
fn synced_at(pod: &Pod) -> Option<Timestamp> {
    let ours = |entry: &&ManagedFieldsEntry| {
        let manager = entry.manager.as_deref();
        // `trim` keeps only our entry, without its manager.
        manager.is_none_or(|manager| manager == names::PROVISIONER)
    };
    let entries = pod.metadata.managed_fields.iter().flatten().filter(ours);
    entries.filter_map(|entry| Some(entry.time.as_ref()?.0)).max()
}

/// Why a container does not run. Kubernetes counts seconds and attempts in its messages, and alternates between reasons
/// (pulling and waiting to pull, running and waiting to run), so the cause behind them is reported: a status must not
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
            "{title} keeps restarting; it last ended with {reason} (exit code {code})"
        ));
    }
    let reason = waiting.filter(|reason| !HARMLESS.contains(reason))?;
    Some(format!("{title} is in {reason}"))
}

/// Drops what is never read before a pod enters the cache.
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
    pod.metadata.managed_fields = synced_at(pod).map(|time| {
        vec![ManagedFieldsEntry {
            time: Some(Time(time)),
            ..ManagedFieldsEntry::default()
        }]
    });
    if let Some(owners) = &mut pod.metadata.owner_references {
        owners.retain(|owner| owner.controller == Some(true));
    }
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
            host_network: spec.host_network,
            volumes,
            ..PodSpec::default()
        });
    }
    if let Some(status) = pod.status.take() {
        pod.status = Some(PodStatus {
            conditions: status.conditions,
            pod_ip: status.pod_ip,
            host_ip: status.host_ip,
            phase: status.phase,
            init_container_statuses: status.init_container_statuses,
            container_statuses: status.container_statuses,
            ..PodStatus::default()
        });
    }
}
