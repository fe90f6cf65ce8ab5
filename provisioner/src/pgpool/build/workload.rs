//! The workload: a `StatefulSet` whose pods mount verified certificates; only users, rules and settings that a reload puts into
//! effect change while they run.

pub(super) mod container;
mod exporter;
mod heal;
pub(super) mod probes;
mod start;
mod stop;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, Sysctl, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};
use shared_types::names;

pub(super) use self::container::security_context as container_security_context;
use super::{config_secret, metadata};
use crate::hex::first_digits;
use crate::pgpool::decide::Workload;
use crate::pgpool::observe::CertificateRevision;
use crate::pgpool::observe::container_resources;
use crate::pgpool::validate::{Monitoring, Validated};

/// Hexadecimal digits that distinguish two templates.
const HASH_LENGTH: usize = 16;

/// Builds the `StatefulSet`. Pods start together, since none needs another. The step says which
/// of them may be of its revision.
pub(super) fn workload(validated: &Validated, decided: &Workload) -> StatefulSet {
    let Some(exporter) = &validated.monitoring else {
        return stateful_set(validated, decided);
    };
    let verifies = exporter.verifies && decided.server_ca;
    let verifies_name = exporter.verifies_name && decided.names_exporter_host;
    if decided.exporter && (verifies, verifies_name) == (exporter.verifies, exporter.verifies_name) {
        return stateful_set(validated, decided);
    }
    let possible = decided.exporter.then(|| Monitoring {
        verifies,
        verifies_name,
        ..exporter.clone()
    });
    let reduced = Validated {
        monitoring: possible,
        ..validated.clone()
    };
    stateful_set(&reduced, decided)
}

fn stateful_set(validated: &Validated, decided: &Workload) -> StatefulSet {
    let mut metadata = metadata::owned(validated, &validated.name);
    metadata.labels = Some(metadata::labels(validated, &validated.pod.controller_labels));
    let template = PodTemplateSpec {
        metadata: Some(pod_metadata(validated, decided)),
        spec: Some(pod(validated, decided.certificates.as_ref())),
    };
    metadata.annotations = Some(annotations(validated));
    let mut workload = StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            pod_management_policy: Some("Parallel".to_owned()),
            replicas: Some(validated.replicas),
            revision_history_limit: Some(2),
            selector: metadata::selector(validated),
            service_name: Some(validated.names.governing_service.clone()),
            template,
            update_strategy: Some(down_to(decided.step.partition)),
            ..StatefulSetSpec::default()
        }),
        status: None,
    };
    stamp(&mut workload);
    workload
}

/// Those of the user, and which guarded fields were accepted. A user cannot claim that.
fn annotations(validated: &Validated) -> BTreeMap<String, String> {
    let mut annotations = validated.pod.controller_annotations.clone();
    annotations.remove(names::ANNOTATION_CHECKED_RIGHTS);
    let checked = validated.checked_rights.clone();
    annotations.extend(checked.map(|hash| (names::ANNOTATION_CHECKED_RIGHTS.to_owned(), hash)));
    annotations
}

/// Annotates the hash of the template and the template base hash; to be repeated after a change.
fn stamp(workload: &mut StatefulSet) {
    let Some(spec) = &mut workload.spec else {
        return;
    };
    let template_base_hash = template_base_hash(spec.template.clone());
    let pods = spec.template.metadata.get_or_insert_default();
    let pods = pods.annotations.get_or_insert_default();
    pods.insert(
        names::ANNOTATION_TEMPLATE_BASE_HASH.to_owned(),
        template_base_hash,
    );
    let hash = hash(&spec.template);
    let annotations = workload.metadata.annotations.get_or_insert_default();
    annotations.insert(names::ANNOTATION_TEMPLATE_HASH.to_owned(), hash);
}

/// The hash of the template without what a running pod can change.
fn template_base_hash(mut template: PodTemplateSpec) -> String {
    if let Some(annotations) = template
        .metadata
        .as_mut()
        .and_then(|pods| pods.annotations.as_mut())
    {
        annotations.remove(names::ANNOTATION_TEMPLATE_BASE_HASH);
    }
    for container in template.spec.iter_mut().flat_map(|pod| &mut pod.containers) {
        if let Some(resources) = &mut container.resources {
            container_resources::leave_out(resources);
        }
    }
    hash(&template)
}

/// Only pods from this ordinal on get the current revision.
fn down_to(partition: i32) -> StatefulSetUpdateStrategy {
    StatefulSetUpdateStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateStatefulSetStrategy {
            partition: Some(partition),
            max_unavailable: None,
        }),
    }
}

fn hash(template: &PodTemplateSpec) -> String {
    let text = serde_json::to_vec(template).unwrap_or_default();
    first_digits(&Sha256::digest(text), HASH_LENGTH)
}

/// The revision of the settings is part of the template, so that pods are replaced when they need a restart.
fn pod_metadata(validated: &Validated, decided: &Workload) -> ObjectMeta {
    let mut annotations: BTreeMap<_, _> = validated.pod.annotations.clone();
    let kept = decided.kept_config_revision.clone();
    let revision = kept.unwrap_or_else(|| config_secret::revision(validated));
    annotations.insert(names::ANNOTATION_CONFIG_HASH.to_owned(), revision);
    ObjectMeta {
        labels: Some(metadata::labels(validated, &validated.pod.labels)),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

pub(super) fn pod(validated: &Validated, certificates: Option<&CertificateRevision>) -> PodSpec {
    let asked = validated.pod.spec.clone();
    let mut containers = vec![container::pgpool(validated)];
    containers.extend(exporter::exporter(validated));
    containers.extend(asked.containers);
    let mut volumes = volumes::volumes(validated, certificates);
    volumes.extend(volumes::exporter(validated, certificates));
    volumes.extend(asked.volumes.unwrap_or_default());
    let security_context = security_context(validated, asked.security_context.unwrap_or_default());
    PodSpec {
        // pgpool uses no API server, and needs no list of Services in its environment.
        automount_service_account_token: asked.automount_service_account_token.or(Some(false)),
        enable_service_links: asked.enable_service_links.or(Some(false)),
        containers,
        security_context: Some(PodSecurityContext {
            sysctls: sysctls(security_context.sysctls, asked.host_ipc == Some(true)),
            ..security_context
        }),
        service_account_name: Some(validated.names.service_account.clone()),
        service_account: None,
        termination_grace_period_seconds: Some(grace(validated)),
        topology_spread_constraints: Some(
            ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
                .map(|key| spread(validated, key))
                .into(),
        ),
        volumes: Some(volumes),
        ..asked
    }
}

/// The termination grace period in seconds.
fn grace(validated: &Validated) -> i64 {
    let asked = validated.pod.spec.termination_grace_period_seconds;
    asked.unwrap_or(stop::GRACE_SECONDS)
}

/// Defaults of the pod: the group that can read the key, and the runtime's seccomp profile.
pub(super) fn security_context(validated: &Validated, asked: PodSecurityContext) -> PodSecurityContext {
    PodSecurityContext {
        fs_group: asked.fs_group.or(Some(validated.release.run_as_user)),
        fs_group_change_policy: asked
            .fs_group_change_policy
            .or_else(|| Some("OnRootMismatch".to_owned())),
        seccomp_profile: asked.seccomp_profile.or_else(|| Some(runtime_default())),
        ..asked
    }
}

/// Those of the user, and one that frees shared memory when its last process has ended. The shared memory of a pgpool that was
/// killed otherwise stays as long as the pod and counts against its memory limit, so that after some kills no container can start
/// in it. Kubernetes allows this setting everywhere, but not for the IPC namespace of a node.
fn sysctls(asked: Option<Vec<Sysctl>>, shares_node_ipc: bool) -> Option<Vec<Sysctl>> {
    const FREE_MEMORY: &str = "kernel.shm_rmid_forced";
    let asked_for = |name: &str| asked.iter().flatten().any(|sysctl| sysctl.name == name);
    if shares_node_ipc || asked_for(FREE_MEMORY) {
        return asked;
    }
    let ours = Sysctl {
        name: FREE_MEMORY.to_owned(),
        value: "1".to_owned(),
    };
    Some(asked.into_iter().flatten().chain([ours]).collect())
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        localhost_profile: None,
    }
}

/// Spreads pods where possible; a small cluster still runs them all.
fn spread(validated: &Validated, topology_key: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        label_selector: Some(metadata::selector(validated)),
        max_skew: 1,
        topology_key: topology_key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    }
}
