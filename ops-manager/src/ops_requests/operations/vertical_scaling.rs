//! `VerticalScaling`: other resources of the container `pgpool`, or other nodes.
//!
//! The provisioner changes CPU and memory of running pods where nothing else of them changes. So a restart is requested with
//! an annotation of its own, as in the operation `Restart`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Toleration};
use shared_types::conditions::OpsCondition;
use shared_types::ops_request::{NodeResources, VerticalScalingMode};
use shared_types::pgpool::PodSpec;
use shared_types::{PgpoolOpsRequest, PgpoolSpec};

use super::restart::restart_pods;
use super::{Goal, Operation, Step, edit, wait_for};

/// The name of pgpool's container.
const PGPOOL: &str = "pgpool";

pub(super) struct VerticalScaling;

impl Operation for VerticalScaling {
    fn steps(&self, request: &PgpoolOpsRequest) -> Vec<Step> {
        let condition = if is_in_place(request) {
            OpsCondition::ResizePods
        } else {
            OpsCondition::RestartPods
        };
        vec![edit(), wait_for(Goal::Ready, condition)]
    }

    fn change(&self, request: &PgpoolOpsRequest, start: Timestamp, spec: &mut PgpoolSpec) {
        let Some(node) = node(request) else {
            return;
        };
        let template = spec.pod_template.get_or_insert_default();
        let pod = template.spec.get_or_insert_default();
        let container = container(pod);
        let differs = node.resources.is_some() && container.resources != node.resources;
        if differs {
            container.resources.clone_from(&node.resources);
        }
        place(node, pod);
        if differs && !is_in_place(request) {
            restart_pods(request, start, spec);
        }
    }

    fn remark(&self, request: &PgpoolOpsRequest) -> &'static str {
        if is_in_place(request) && node(request).is_some_and(moves) {
            "; the node selection changes too, which is not possible for a running pod: pods are replaced one by one"
        } else {
            ""
        }
    }
}

fn node(request: &PgpoolOpsRequest) -> Option<&NodeResources> {
    request.spec.vertical_scaling.as_ref()?.node.as_ref()
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

fn container(pod: &mut PodSpec) -> &mut Container {
    let at = pod
        .containers
        .iter()
        .position(|container| container.name == PGPOOL);
    let at = at.unwrap_or(pod.containers.len());
    if at == pod.containers.len() {
        pod.containers.push(Container {
            name: PGPOOL.to_owned(),
            ..Container::default()
        });
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "the container is there: it was found or added"
    )]
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
