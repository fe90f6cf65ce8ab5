//! `VerticalScaling`: other resources of the container `pgpool`, or other nodes.
//!
//! In place is done as with a restart: the template of the workload has to say the same as its pods, or the next pod that
//! starts has the old resources, and a change of the template replaces every pod.

use k8s_openapi::api::core::v1::{Container, Toleration};
use shared_types::conditions::OpsCondition;
use shared_types::ops_request::{NodeResources, VerticalScalingMode};
use shared_types::pgpool::PodSpec;
use shared_types::{PgpoolOpsRequest, PgpoolSpec};

use super::{Goal, Step, edit, until};

/// The container whose resources are meant.
const PGPOOL: &str = "pgpool";

pub(super) fn steps() -> Vec<Step> {
    vec![edit(), until(Goal::Ready, OpsCondition::RestartPods)]
}

pub(super) fn remark(request: &PgpoolOpsRequest) -> &'static str {
    let mode = request
        .spec
        .vertical_scaling
        .as_ref()
        .and_then(|scaling| scaling.mode);
    match mode {
        Some(VerticalScalingMode::InPlace) => {
            "; mode InPlace is carried out as Restart, since the template of the workload changes too: pods are replaced one by one"
        }
        Some(VerticalScalingMode::Restart) | None => "",
    }
}

pub(super) fn change(request: &PgpoolOpsRequest, spec: &mut PgpoolSpec) {
    let asked = request
        .spec
        .vertical_scaling
        .as_ref()
        .and_then(|scaling| scaling.node.as_ref());
    let Some(asked) = asked else {
        return;
    };
    let pod = spec
        .pod_template
        .get_or_insert_default()
        .spec
        .get_or_insert_default();
    if let Some(resources) = &asked.resources {
        container(pod).resources = Some(resources.clone());
    }
    place(asked, pod);
}

fn container(pod: &mut PodSpec) -> &mut Container {
    let at = pod
        .containers
        .iter()
        .position(|container| container.name == PGPOOL);
    let at = at.unwrap_or_else(|| {
        pod.containers.push(Container {
            name: PGPOOL.to_owned(),
            ..Container::default()
        });
        pod.containers.len() - 1
    });
    &mut pod.containers[at]
}

fn place(asked: &NodeResources, pod: &mut PodSpec) {
    let topology = asked.topology.clone().unwrap_or_default();
    let Some(key) = topology.key.filter(|key| !key.is_empty()) else {
        return;
    };
    match asked.node_selection_policy.as_deref() {
        Some("LabelSelector") => {
            pod.node_selector.insert(key, topology.value.unwrap_or_default());
        }
        Some("Taint") => {
            let toleration = Toleration {
                key: Some(key),
                operator: Some("Equal".to_owned()),
                value: topology.value,
                effect: Some("NoSchedule".to_owned()),
                toleration_seconds: None,
            };
            if !pod.tolerations.contains(&toleration) {
                pod.tolerations.push(toleration);
            }
        }
        _ => {}
    }
}
