//! `spec.podTemplate`: what is taken over into the pods, and what would break them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec as CorePodSpec};
use serde_json::Value;
use shared_types::conditions::Reason;
use shared_types::pgpool::PodSpec;
use shared_types::{Pgpool, names};

use super::credentials::credential;
use super::resources::resources;
use super::{Credential, PodOverrides, Unmet};

/// The container that is ours.
const PGPOOL: &str = "pgpool";
/// Containers that other parts of the spec bring along; a template without an image only shapes them.
const GENERATED: [&str; 2] = ["exporter", "git-sync"];
/// `KubeDB` sets these; a user's value would be at odds with the generated configuration.
const RESERVED_ENV: [&str; 7] = [
    "POSTGRES_USERNAME",
    "POSTGRES_PASSWORD",
    "PGPOOL_PCP_USER",
    "PGPOOL_PCP_PASSWORD",
    "PGPOOL_PASSWORD_ENCRYPTION_METHOD",
    "PGPOOL_ENABLE_POOL_PASSWD",
    "PGPOOL_SKIP_PASSWORD_ENCRYPTION",
];
const RESERVED_VOLUMES: [&str; 7] = [
    "pgpool-config",
    "certs",
    "run",
    "tmp",
    "pgpool-pcp-config",
    "exporter-certs",
    "init-scripts",
];
/// Refused in every container.
const RESERVED_PATHS: [&str; 1] = ["/config"];
/// Refused in container `pgpool`, where they are mounted already.
const PGPOOL_PATHS: [&str; 3] = ["/opt/pgpool-II/etc", "/opt/pgpool-II/tls", "/run/pgpool"];

/// Fields of a pod, its containers, mounts and volumes in which the API server drops a `false`. Others differ when
/// absent, as `automountServiceAccountToken` does.
const OFF_WHEN_ABSENT: [&str; 9] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "chapAuthDiscovery",
    "chapAuthSession",
];

/// The user's wishes for pods, and the users whose passwords he gave in the environment.
pub(super) fn pod_template(pgpool: &Pgpool) -> Result<(PodOverrides, Vec<Credential>), Unmet> {
    let template = pgpool.spec.pod_template.clone().unwrap_or_default();
    let asked = template.spec.unwrap_or_default();
    check(&asked).map_err(|complaint| invalid(&complaint))?;
    let accounts = [&asked.service_account_name, &asked.service_account];
    let own_service_account = accounts.into_iter().flatten().any(|name| !name.is_empty());
    let mut spec = core(asked)?;
    let (ours, others) = spec
        .containers
        .into_iter()
        .partition::<Vec<_>, _>(|container| container.name == PGPOOL);
    spec.containers = others;
    let mut container = ours.into_iter().next().unwrap_or_default();
    container.resources = Some(resources(container.resources.take().unwrap_or_default()).map_err(
        |text| {
            invalid(&format!(
                "has the amount {text:?} in `resources` of container `pgpool`: correct it"
            ))
        },
    )?);
    let (users, env) =
        users(container.env.take().unwrap_or_default()).map_err(|complaint| invalid(&complaint))?;
    container.env = (!env.is_empty()).then_some(env);
    let metadata = template.metadata.unwrap_or_default();
    let controller = template.controller.unwrap_or_default();
    let overrides = PodOverrides {
        labels: names::propagated(&metadata.labels).collect(),
        annotations: metadata.annotations,
        controller_labels: names::propagated(&controller.labels).collect(),
        controller_annotations: controller.annotations,
        pgpool: container,
        spec,
        own_service_account,
    };
    Ok((overrides, users))
}

fn invalid(complaint: &str) -> Unmet {
    Unmet::rejected(
        Reason::ConfigurationInvalid,
        format!("`spec.podTemplate` {complaint}."),
    )
}

fn check(asked: &PodSpec) -> Result<(), String> {
    for volume in &asked.volumes {
        if RESERVED_VOLUMES.contains(&volume.name.as_str()) {
            return Err(format!(
                "has a volume `{}`, a name that is taken: rename it",
                volume.name
            ));
        }
    }
    for container in asked.containers.iter().chain(&asked.init_containers) {
        let own: &[&str] = if container.name == PGPOOL {
            &PGPOOL_PATHS
        } else {
            &[]
        };
        for mount in container.volume_mounts.iter().flatten() {
            let inside = |reserved: &&&str| is_inside(&mount.mount_path, reserved);
            if let Some(reserved) = RESERVED_PATHS.iter().chain(own).find(inside) {
                return Err(format!(
                    "mounts a volume at `{}` in container `{}`: `{reserved}` is taken, mount it elsewhere",
                    mount.mount_path, container.name
                ));
            }
        }
    }
    asked
        .containers
        .iter()
        .filter(|container| container.name == PGPOOL)
        .try_for_each(check_pgpool)
}

fn check_pgpool(container: &Container) -> Result<(), String> {
    let fixed = [
        ("image", container.image.is_some()),
        ("command", container.command.is_some()),
        ("args", container.args.is_some()),
    ];
    if let Some((field, _)) = fixed.iter().find(|(_, set)| *set) {
        return Err(format!(
            "sets `{field}` of container `pgpool`: remove it, `spec.version` names the image and its command follows"
        ));
    }
    let mut env = container.env.iter().flatten();
    match env.find(|variable| RESERVED_ENV.contains(&variable.name.as_str())) {
        Some(variable) => Err(format!(
            "sets `{}` of container `pgpool`, which is reserved: remove it",
            variable.name
        )),
        None => Ok(()),
    }
}

/// Whether a path is the reserved one or below it, however it is written.
fn is_inside(path: &str, reserved: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    reserved
        .split('/')
        .filter(|part| !part.is_empty())
        .all(|part| parts.next() == Some(part))
}

/// The pod in the types of the API server, less what a workload does not know.
fn core(asked: PodSpec) -> Result<CorePodSpec, Unmet> {
    let kept = PodSpec {
        active_deadline_seconds: None,
        ephemeral_containers: Vec::new(),
        pod_placement_policy: None,
        restart_policy: None,
        ..asked
    };
    let plain = serde_json::to_value(kept).map(|mut spec| {
        forget_falses(&mut spec);
        spec
    });
    let mut spec: CorePodSpec = plain
        .and_then(serde_json::from_value)
        .map_err(|error| invalid(&format!("is no pod: {error}")))?;
    let whole =
        |container: &Container| container.image.is_some() || !GENERATED.contains(&container.name.as_str());
    spec.containers.retain(whole);
    if let Some(containers) = &mut spec.init_containers {
        containers.retain(whole);
    }
    Ok(spec)
}

/// Takes out what says the same as nothing. The API server keeps no `false` in these fields, so an object with one
/// would never stand as asked.
fn forget_falses(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                *value != Value::Bool(false) || !OFF_WHEN_ABSENT.contains(&name.as_str())
            });
            fields.values_mut().for_each(forget_falses);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_falses),
        _ => {}
    }
}

/// Takes the pairs `X_USERNAME` and `X_PASSWORD` out of the environment: they become lines of the password file, and
/// have no place in a pod spec.
fn users(env: Vec<EnvVar>) -> Result<(Vec<Credential>, Vec<EnvVar>), String> {
    let literal: BTreeMap<&str, &str> = env
        .iter()
        .filter_map(|variable| Some((variable.name.as_str(), variable.value.as_deref()?)))
        .collect();
    let mut users = Vec::new();
    let mut taken = Vec::new();
    for (name, user) in &literal {
        let Some(prefix) = name.strip_suffix("_USERNAME").filter(|prefix| !prefix.is_empty()) else {
            continue;
        };
        let partner = format!("{prefix}_PASSWORD");
        if let Some(password) = literal.get(partner.as_str()) {
            let pair = credential(user, password).map_err(|complaint| {
                format!("{complaint} in `{name}` and `{partner}` of container `pgpool`: correct it")
            })?;
            users.push(pair);
            taken.extend([(*name).to_owned(), partner]);
        }
    }
    let rest = env
        .into_iter()
        .filter(|variable| !taken.contains(&variable.name))
        .collect();
    Ok((users, rest))
}
