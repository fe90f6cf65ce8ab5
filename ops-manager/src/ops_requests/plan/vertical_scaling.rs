//! `VerticalScaling`: other resources of the container `pgpool`, or other nodes.
//!
//! The provisioner gives pods other CPU and memory while they run, wherever nothing else of them changes. A restart is
//! therefore asked for by a mark of its own, as in the operation `Restart`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Toleration};
use shared_types::conditions::OpsCondition;
use shared_types::ops_request::{NodeResources, VerticalScalingMode};
use shared_types::pgpool::PodSpec;
use shared_types::{PgpoolOpsRequest, PgpoolSpec};

use super::{Goal, Step, edit, restart, until};

/// The container whose resources are meant.
const PGPOOL: &str = "pgpool";

pub(super) fn steps(request: &PgpoolOpsRequest) -> Vec<Step> {
    let milestone = if is_in_place(request) {
        OpsCondition::ResizePods
    } else {
        OpsCondition::RestartPods
    };
    vec![edit(), until(Goal::Ready, milestone)]
}

pub(super) fn remark(request: &PgpoolOpsRequest) -> &'static str {
    let asked = request.spec.vertical_scaling.as_ref();
    let asked = asked.and_then(|scaling| scaling.node.as_ref());
    if is_in_place(request) && asked.is_some_and(moves) {
        "; the choice of nodes changes too, which no pod can while it runs: pods are replaced one by one"
    } else {
        ""
    }
}

fn is_in_place(request: &PgpoolOpsRequest) -> bool {
    let scaling = request.spec.vertical_scaling.as_ref();
    scaling.and_then(|scaling| scaling.mode) == Some(VerticalScalingMode::InPlace)
}

fn moves(asked: &NodeResources) -> bool {
    let topology = asked.topology.as_ref();
    let key = topology.and_then(|topology| topology.key.as_ref());
    let chosen = matches!(
        asked.node_selection_policy.as_deref(),
        Some("LabelSelector" | "Taint")
    );
    chosen && key.is_some_and(|key| !key.is_empty())
}

pub(super) fn change(request: &PgpoolOpsRequest, begin: Timestamp, spec: &mut PgpoolSpec) {
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
    let resources = asked.resources.as_ref();
    let differs = resources.is_some_and(|resources| container(pod).resources.as_ref() != Some(resources));
    if differs {
        container(pod).resources = resources.cloned();
    }
    place(asked, pod);
    if differs && !is_in_place(request) {
        restart::change(request, begin, spec);
    }
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
    let Some(key) = topology.key.filter(|_| moves(asked)) else {
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
