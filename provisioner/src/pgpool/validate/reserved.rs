//! Rejects what in `spec.podTemplate` would replace something that the operator generates. The CRD has the same rules; an
//! object may be older than they are.

use k8s_openapi::api::core::v1::{Container, ContainerPort};
use shared_types::pgpool::PodSpec;
use shared_types::ports;
use shared_types::reserved::{
    CONTAINER, CONTAINER_MOUNT_PATHS, ENV, EXPORTER, EXPORTER_MOUNT_PATHS, GENERATED_CONTAINERS, MOUNT_PATHS,
    VOLUMES, is_at_or_below,
};

/// Returns what would break the pods, as the end of a sentence about `spec.podTemplate`.
pub(super) fn check(requested: &PodSpec) -> Result<(), String> {
    if let Some(volume) = requested
        .volumes
        .iter()
        .find(|volume| VOLUMES.contains(&volume.name.as_str()))
    {
        return Err(format!(
            "has a volume `{}`, a reserved name: rename it",
            volume.name
        ));
    }
    if requested
        .init_containers
        .iter()
        .any(|container| container.name == CONTAINER)
    {
        return Err(format!(
            "has an init container `{CONTAINER}`, a reserved name: rename it"
        ));
    }
    let mut containers = requested.containers.iter().chain(&requested.init_containers);
    containers.try_for_each(check_any)?;
    let mut containers = requested.containers.iter();
    containers
        .find(|it| it.name == CONTAINER)
        .map_or(Ok(()), check_pgpool)
}

fn check_any(container: &Container) -> Result<(), String> {
    let name = container.name.as_str();
    let is_ours = name == CONTAINER;
    let own: &[&str] = match name {
        CONTAINER => &CONTAINER_MOUNT_PATHS,
        EXPORTER => &EXPORTER_MOUNT_PATHS,
        _ => &[],
    };
    for mount in container.volume_mounts.iter().flatten() {
        let path = mount.mount_path.as_str();
        let taken = |reserved: &&&str| is_at_or_below(path, reserved);
        if let Some(reserved) = MOUNT_PATHS.iter().chain(own).find(taken) {
            return Err(format!(
                "mounts a volume at `{path}` in container `{name}`: `{reserved}` is reserved, mount it elsewhere"
            ));
        }
    }
    if container.image.is_none() && !is_ours && !GENERATED_CONTAINERS.contains(&name) {
        return Err(format!("has a container `{name}` without an image: give it one"));
    }
    Ok(())
}

fn check_pgpool(container: &Container) -> Result<(), String> {
    let fixed = [
        ("image", container.image.is_some()),
        ("command", container.command.is_some()),
        ("args", container.args.is_some()),
    ];
    if let Some((field, _)) = fixed.iter().find(|(_, set)| *set) {
        return Err(format!(
            "sets `{field}` of container `pgpool`: remove it, the image and its command follow from `spec.version`"
        ));
    }
    let mut env = container.env.iter().flatten();
    if let Some(variable) = env.find(|variable| ENV.contains(&variable.name.as_str())) {
        return Err(format!(
            "sets `{}` of container `pgpool`, which is reserved: remove it",
            variable.name
        ));
    }
    container.ports.iter().flatten().try_for_each(check_port)
}

/// Services and probes find pgpool by the name of its port.
fn check_port(port: &ContainerPort) -> Result<(), String> {
    let is_named = port.name.as_deref() == Some(ports::PGPOOL_NAME);
    let is_ours = port.container_port == i32::from(ports::PGPOOL);
    if is_named == is_ours || (is_ours && port.name.is_none()) {
        return Ok(());
    }
    Err(format!(
        "names port {} of container `pgpool` `{}`: `{}` is port {}, and no other",
        port.container_port,
        port.name.as_deref().unwrap_or_default(),
        ports::PGPOOL_NAME,
        ports::PGPOOL
    ))
}
