//! `spec.monitor`: the agent that scrapes, and the exporter beside pgpool.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar};
use operator_runtime::error_chain;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::pgpool::{Exporter, ServiceAlias};
use shared_types::reserved::{EXPORTER, EXPORTER_ENV, EXPORTER_FLAGS};
use shared_types::{Pgpool, SslMode, names, ports};

use super::explain::invalid;
use super::resources::{SidecarDefaults, with_defaults};
use super::{Monitoring, Release, normalize, service_template};

/// Of container `exporter`, where the user sets none.
const RESOURCES: SidecarDefaults = SidecarDefaults {
    cpu_request: "10m",
    memory_request: "32Mi",
    memory_limit: "128Mi",
};

/// Checks the spec itself.
///
/// # Errors
/// A missing agent, and settings of the exporter that would replace generated ones.
pub(super) fn check(pgpool: &Pgpool) -> Result<(), Blocked> {
    let Some(monitor) = &pgpool.spec.monitor else {
        return Ok(());
    };
    if monitor.agent.is_none() {
        return Err(invalid(
            "`spec.monitor` has no agent: set `spec.monitor.agent` to `prometheus.io/operator` or \
             `prometheus.io/builtin`, or remove `spec.monitor`.",
        ));
    }
    let port = monitor.port();
    let taken = [ports::PGPOOL, ports::PCP].map(i32::from).contains(&port);
    if taken || !(1..=i32::from(u16::MAX)).contains(&port) {
        return Err(invalid(&format!(
            "`spec.monitor.prometheus.exporter.port` is {port}: set it to a port from 1 to 65535 that pgpool does not \
             listen on, or remove it for {}.",
            ports::METRICS
        )));
    }
    let exporter = exporter(pgpool);
    let flag = |arg: &&String| EXPORTER_FLAGS.iter().any(|flag| arg.starts_with(flag));
    if let Some(arg) = exporter.args.iter().find(flag) {
        return Err(invalid(&format!(
            "`spec.monitor.prometheus.exporter.args` holds `{arg}`: remove it, the port is \
             `spec.monitor.prometheus.exporter.port` and the path is the one that is scraped."
        )));
    }
    check_env(&exporter.env, "spec.monitor.prometheus.exporter.env")?;
    template(pgpool).map_or(Ok(()), |requested| check_template(&requested))
}

fn check_template(requested: &Container) -> Result<(), Blocked> {
    let fixed = [
        ("image", requested.image.is_some(), "the PgpoolVersion names it"),
        (
            "command",
            requested.command.is_some(),
            "it follows from `spec.monitor`",
        ),
        (
            "args",
            requested.args.is_some(),
            "write them to `spec.monitor.prometheus.exporter.args`",
        ),
    ];
    if let Some((field, _, how_to_fix)) = fixed.iter().find(|(_, set, _)| *set) {
        return Err(invalid(&format!(
            "`spec.podTemplate` sets `{field}` of container `{EXPORTER}`, which `spec.monitor` generates: remove it, \
             {how_to_fix}."
        )));
    }
    check_env(
        requested.env.as_deref().unwrap_or_default(),
        "spec.podTemplate` of container `exporter",
    )
}

fn check_env(env: &[EnvVar], place: &str) -> Result<(), Blocked> {
    let reserved = |variable: &&EnvVar| EXPORTER_ENV.contains(&variable.name.as_str());
    env.iter().find(reserved).map_or(Ok(()), |variable| {
        Err(invalid(&format!(
            "`{place}` sets `{}`, which is reserved: remove it. The operator sets how the exporter connects.",
            variable.name
        )))
    })
}

/// The exporter with defaults resolved; `None` without monitoring. `shape` is container `exporter` of the pod template.
///
/// # Errors
/// When the catalog has no image of an exporter.
pub(super) fn monitoring(
    pgpool: &Pgpool,
    release: &Release,
    shape: Option<Container>,
) -> Result<Option<Monitoring>, Blocked> {
    let Some((monitor, agent)) = pgpool.spec.monitor.as_ref().and_then(|it| Some((it, it.agent?))) else {
        return Ok(None);
    };
    let version = &pgpool.spec.version;
    let image = release.exporter.clone().ok_or_else(|| {
        Blocked::stuck(
            Reason::NotSupported,
            format!(
                "PgpoolVersion `{version}` names no image of an exporter: set its `spec.exporter.image`, or remove \
                 `spec.monitor`."
            ),
        )
    })?;
    let port = u16::try_from(monitor.port()).unwrap_or(ports::METRICS);
    let requested = exporter(pgpool);
    let shape = shape.unwrap_or_default();
    let prometheus = monitor.prometheus.clone().unwrap_or_default();
    Ok(Some(Monitoring {
        agent,
        image,
        port,
        verifies: matches!(pgpool.spec.ssl_mode(), SslMode::VerifyCa | SslMode::VerifyFull),
        verifies_name: pgpool.spec.ssl_mode() == SslMode::VerifyFull,
        args: requested.args,
        container: as_stored(Container {
            env: merged(shape.env.unwrap_or_default(), requested.env),
            resources: Some(with_defaults(requested.resources.or(shape.resources), RESOURCES)),
            security_context: requested.security_context.or(shape.security_context),
            ..shape
        })?,
        service: service_template::overrides(
            &pgpool.spec.service_templates,
            ServiceAlias::Stats,
            ports::METRICS_NAME,
            port,
        ),
        service_monitor: prometheus.service_monitor.unwrap_or_default(),
        stats_service: names::stats_service(pgpool),
        login_secret: names::exporter_secret(pgpool),
    }))
}

/// The container without empty values, which the API server would not store.
fn as_stored(container: Container) -> Result<Container, Blocked> {
    let no_container = |error: serde_json::Error| {
        invalid(&format!(
            "`spec.monitor.prometheus.exporter` is not a valid container: {}.",
            error_chain(&error)
        ))
    };
    let mut json = serde_json::to_value(container).map_err(no_container)?;
    normalize::remove_empty(&mut json);
    serde_json::from_value(json).map_err(no_container)
}

/// Merges two lists of variables; the second one wins.
fn merged(first: Vec<EnvVar>, second: Vec<EnvVar>) -> Option<Vec<EnvVar>> {
    let mut places = BTreeMap::new();
    let mut all: Vec<EnvVar> = Vec::new();
    for variable in first.into_iter().chain(second) {
        let known = places.get(&variable.name);
        if let Some(place) = known.and_then(|place: &usize| all.get_mut(*place)) {
            *place = variable;
        } else {
            places.insert(variable.name.clone(), all.len());
            all.push(variable);
        }
    }
    (!all.is_empty()).then_some(all)
}

fn exporter(pgpool: &Pgpool) -> Exporter {
    let prometheus = pgpool.spec.monitor.as_ref().and_then(|it| it.prometheus.as_ref());
    prometheus
        .and_then(|prometheus| prometheus.exporter.clone())
        .unwrap_or_default()
}

fn template(pgpool: &Pgpool) -> Option<Container> {
    let pod = pgpool.spec.pod_template.as_ref()?.spec.as_ref()?;
    pod.containers.iter().find(|it| it.name == EXPORTER).cloned()
}
