//! `spec.podTemplate`: what the pods inherit, and what would break them.

use k8s_openapi::api::core::v1::{Container, PodSpec as CorePodSpec};
use operator_runtime::error_chain;
use shared_types::explanation::Blocked;
use shared_types::pgpool::PodSpec;
use shared_types::reserved::{CONTAINER, EXPORTER, GENERATED_CONTAINERS};
use shared_types::{Pgpool, names};

use super::env_users::{self, Environment};
use super::explain::invalid_pod_template as invalid;
use super::resources::resources;
use super::{Inputs, PodOverrides, normalize, reserved};

/// The user's changes to pods, and the pool users in the environment.
pub(super) fn pod_template(pgpool: &Pgpool, inputs: &Inputs) -> Result<(PodOverrides, Environment), Blocked> {
    let template = pgpool.spec.pod_template.clone().unwrap_or_default();
    let mut requested = template.spec.unwrap_or_default();
    reserved::check(&requested).map_err(|problem| invalid(&problem))?;
    let accounts = [&requested.service_account_name, &requested.service_account];
    let own_service_account = accounts.into_iter().flatten().any(|name| !name.is_empty());
    let users = users_of(pgpool, &mut requested.containers, inputs)?;
    let mut spec = core(requested)?;
    let (ours, others) = spec
        .containers
        .into_iter()
        .partition::<Vec<_>, _>(|container| container.name == CONTAINER);
    spec.containers = others;
    let shape = |container: &Container| container.name == EXPORTER && container.image.is_none();
    let exporter = spec.containers.iter().position(shape);
    let exporter = exporter.map(|at| spec.containers.remove(at));
    let mut container = ours.into_iter().next().unwrap_or_default();
    container.resources = Some(resources(container.resources.take().unwrap_or_default()).map_err(
        |text| {
            invalid(&format!(
                "has the amount {text:?} in `resources` of container `pgpool`: correct it"
            ))
        },
    )?);
    let metadata = template.metadata.unwrap_or_default();
    let controller = template.controller.unwrap_or_default();
    let overrides = PodOverrides {
        labels: names::propagated(&metadata.labels).collect(),
        annotations: metadata.annotations,
        controller_labels: names::propagated(&controller.labels).collect(),
        controller_annotations: controller.annotations,
        pgpool: container,
        exporter,
        spec,
        own_service_account,
    };
    Ok((overrides, users))
}

/// The pod in the types of the API server, without what a StatefulSet does not support: it restarts its pods always, and has
/// no ephemeral containers.
fn core(requested: PodSpec) -> Result<CorePodSpec, Blocked> {
    let kept = PodSpec {
        active_deadline_seconds: None,
        ephemeral_containers: Vec::new(),
        pod_placement_policy: None,
        restart_policy: None,
        ..requested
    };
    let no_pod = |error: serde_json::Error| invalid(&format!("is not a valid pod: {}", error_chain(&error)));
    let mut json = serde_json::to_value(kept).map_err(no_pod)?;
    normalize::remove_empty(&mut json);
    normalize::reject_duplicates(&json).map_err(|problem| invalid(&problem))?;
    let mut spec: CorePodSpec = serde_json::from_value(json).map_err(no_pod)?;
    let whole = |container: &Container| {
        container.image.is_some() || !GENERATED_CONTAINERS.contains(&container.name.as_str())
    };
    // The entry that shapes the exporter is used where the exporter is built.
    spec.containers
        .retain(|container| container.name == EXPORTER || whole(container));
    for container in spec.init_containers.iter_mut().flatten() {
        // The API server rejects it in init containers that end before the pod runs, as these cannot be resized.
        if container.restart_policy.is_none() {
            container.resize_policy = None;
        }
    }
    if let Some(containers) = &mut spec.init_containers {
        containers.retain(whole);
    }
    Ok(spec)
}

fn users_of(pgpool: &Pgpool, containers: &mut [Container], inputs: &Inputs) -> Result<Environment, Blocked> {
    let ours = containers
        .iter_mut()
        .find(|container| container.name == CONTAINER);
    let Some(container) = ours else {
        return Ok(Environment::default());
    };
    let (users, env) = env_users::users(pgpool, container.env.take().unwrap_or_default(), inputs)?;
    container.env = (!env.is_empty()).then_some(env);
    Ok(users)
}
