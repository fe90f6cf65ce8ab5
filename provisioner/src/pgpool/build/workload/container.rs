//! Container `pgpool`: the user's settings, overridden by what pgpool needs.

use k8s_openapi::api::core::v1::{Capabilities, Container, ContainerPort, SecurityContext, VolumeMount};
use shared_types::ports;

use super::{probes, runtime_default, start, stop, volumes};
use crate::pgpool::validate::Validated;

/// Builds the container.
pub(super) fn pgpool(validated: &Validated) -> Container {
    let asked = validated.pod.pgpool.clone();
    Container {
        name: "pgpool".to_owned(),
        image: Some(validated.release.image.clone()),
        command: Some(["sh", "-c"].map(str::to_owned).into()),
        args: Some(vec![start::script()]),
        lifecycle: Some(stop::lifecycle(asked.lifecycle, super::grace(validated))),
        liveness_probe: Some(probes::merged(asked.liveness_probe, probes::liveness())),
        ports: Some(container_ports(asked.ports.unwrap_or_default())),
        readiness_probe: Some(probes::merged(
            asked.readiness_probe,
            probes::readiness(validated),
        )),
        security_context: Some(security_context(
            validated,
            asked.security_context.unwrap_or_default(),
        )),
        startup_probe: Some(probes::merged(asked.startup_probe, probes::startup())),
        volume_mounts: Some(mounts(validated, asked.volume_mounts.unwrap_or_default())),
        ..asked
    }
}

/// pgpool's port with the user's settings for it, then the user's other ports.
fn container_ports(asked: Vec<ContainerPort>) -> Vec<ContainerPort> {
    let is_tcp = |port: &ContainerPort| port.protocol.as_deref().is_none_or(|it| it == "TCP");
    let (ours, others) = asked
        .into_iter()
        .partition::<Vec<_>, _>(|port| port.container_port == i32::from(ports::PGPOOL) && is_tcp(port));
    let ours = ContainerPort {
        name: Some(ports::PGPOOL_NAME.to_owned()),
        container_port: i32::from(ports::PGPOOL),
        protocol: Some("TCP".to_owned()),
        ..ours.into_iter().next().unwrap_or_default()
    };
    std::iter::once(ours).chain(others).collect()
}

/// The mounts of pgpool and of the user; at `/tmp` the user's mount replaces ours.
fn mounts(validated: &Validated, asked: Vec<VolumeMount>) -> Vec<VolumeMount> {
    let mut mounts = volumes::mounts(validated);
    let is_free = |path: &str| asked.iter().all(|it| it.mount_path.trim_end_matches('/') != path);
    mounts.retain(|ours| is_free(&ours.mount_path));
    mounts.extend(asked);
    mounts
}

pub(in crate::pgpool::build) fn security_context(
    validated: &Validated,
    asked: SecurityContext,
) -> SecurityContext {
    let user = validated.release.run_as_user;
    SecurityContext {
        run_as_group: asked.run_as_group.or(Some(user)),
        run_as_user: asked.run_as_user.or(Some(user)),
        ..restricted(asked)
    }
}

/// Restricts what the user does not set: the pod passes the `restricted` level of Pod Security.
pub(in super::super) fn restricted(asked: SecurityContext) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: asked.allow_privilege_escalation.or(Some(false)),
        capabilities: asked.capabilities.or_else(|| {
            Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            })
        }),
        read_only_root_filesystem: asked.read_only_root_filesystem.or(Some(true)),
        run_as_non_root: asked.run_as_non_root.or(Some(true)),
        seccomp_profile: asked.seccomp_profile.or_else(|| Some(runtime_default())),
        ..asked
    }
}
