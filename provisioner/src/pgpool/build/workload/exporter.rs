//! Container `exporter`: reads pgpool's statistics and exposes them to Prometheus.
//!
//! It must never remove a pod from the Service, and a pod is ready only while all of its containers run. So the exporter runs
//! under a shell that never exits, which restarts it after a pause. The same shell reads the login from files and restarts
//! the exporter when it changes, so that a new password restarts no pod. It also copies the key into a file of its own, since
//! the driver rejects a key that its group can read, and the group of a pod can read all of its Secrets.
//!
//! The image must contain `sh`, `sleep`, `cat`, and `pgpool2_exporter` in PATH or in `/bin/pgpool2_exporter/`, as the image of
//! the project does.

use std::fmt::Write;

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, VolumeMount};
use shared_types::certificates::{CLIENT_USER, EXPORTER_HOST};
use shared_types::reserved::{EXPORTER, VOLUME_EXPORTER_CERTS, VOLUME_EXPORTER_LOGIN, VOLUME_EXPORTER_RUN};
use shared_types::{SslMode, ports};

use super::super::paths;
use super::super::services::METRICS_PATH;
use super::{container, volumes};
use crate::pgpool::validate::{Monitoring, Validated};

/// Seconds between an exit of the exporter and its restart, and between two checks of the login.
const PAUSE: u8 = 5;
/// Seconds until a connection attempt fails: a pgpool whose children are all busy does not answer.
const CONNECT_TIMEOUT: u8 = 10;

/// `None` without monitoring.
pub(super) fn exporter(validated: &Validated) -> Option<Container> {
    let monitoring = validated.monitoring.as_ref()?;
    let asked = monitoring.container.clone();
    let mut env = environment(validated);
    env.extend(asked.env.unwrap_or_default());
    let mut mounts = mounts(validated);
    mounts.extend(asked.volume_mounts.unwrap_or_default());
    let script = script(validated);
    Some(Container {
        name: EXPORTER.to_owned(),
        image: Some(monitoring.image.clone()),
        // The last element is `$0`.
        command: Some(vec![
            "sh".to_owned(),
            "-c".to_owned(),
            script,
            EXPORTER.to_owned(),
        ]),
        args: Some(arguments(monitoring)),
        env: Some(env),
        ports: Some(container_ports(monitoring, asked.ports.unwrap_or_default())),
        security_context: Some(container::security_context(
            validated,
            asked.security_context.unwrap_or_default(),
        )),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..asked
    })
}

fn arguments(monitoring: &Monitoring) -> Vec<String> {
    let ours = [
        format!("--web.listen-address=:{}", monitoring.port),
        format!("--web.telemetry-path={METRICS_PATH}"),
    ];
    ours.into_iter().chain(monitoring.args.iter().cloned()).collect()
}

fn container_ports(monitoring: &Monitoring, asked: Vec<ContainerPort>) -> Vec<ContainerPort> {
    let number = i32::from(monitoring.port);
    let others = asked
        .into_iter()
        .filter(|port| port.container_port != number && port.name.as_deref() != Some(ports::METRICS_NAME));
    let ours = ContainerPort {
        name: Some(ports::METRICS_NAME.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    std::iter::once(ours).chain(others).collect()
}

fn environment(validated: &Validated) -> Vec<EnvVar> {
    let plain = |name: &str, value: String| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    };
    let mut env = vec![plain("DATA_SOURCE_URI", data_source(validated))];
    if validated.exporter_shows_certificate() {
        env.push(plain("DATA_SOURCE_USER", CLIENT_USER.to_owned()));
    }
    env
}

/// The address of pgpool, and how strictly its certificate is verified: as `spec.sslMode` demands of clients. The driver has no
/// `allow` and no `prefer`, and treats `require` with a CA as `verify-ca`. Without a CA it is `require`: the connection does not
/// leave the pod. Contains no secret.
fn data_source(validated: &Validated) -> String {
    let mode = match validated.ssl_mode {
        SslMode::Disable => "disable",
        SslMode::VerifyCa | SslMode::VerifyFull if validated.exporter_verifies() => {
            let verifies_name = validated.monitoring.as_ref().is_some_and(|it| it.verifies_name);
            // The connection stays in the pod, so that the name would prove nothing more.
            if verifies_name { "verify-full" } else { "verify-ca" }
        }
        SslMode::Allow | SslMode::Prefer | SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            "require"
        }
    };
    let mut uri = format!(
        "{EXPORTER_HOST}:{}/postgres?sslmode={mode}&connect_timeout={CONNECT_TIMEOUT}",
        ports::PGPOOL
    );
    let (certs, run) = (paths::EXPORTER_CERTS, paths::EXPORTER_RUN);
    if validated.exporter_verifies() {
        let _ = write!(uri, "&sslrootcert={certs}/{}", paths::CA);
    }
    if validated.exporter_shows_certificate() {
        let _ = write!(
            uri,
            "&sslcert={certs}/{}&sslkey={run}/{}",
            paths::CERTIFICATE,
            paths::KEY
        );
    }
    uri
}

/// A signal interrupts `wait`, but not `sleep`: so the pod terminates without delay.
fn script(validated: &Validated) -> String {
    let run = "pgpool2_exporter \"$@\" & child=$!";
    let (before, run) = if validated.exporter_shows_certificate() {
        let (certs, own, key) = (paths::EXPORTER_CERTS, paths::EXPORTER_RUN, paths::KEY);
        let copy = format!("cat {certs}/{key} >{own}/{key}");
        (copy, format!("{run}\n  wait \"$child\"; rest"))
    } else {
        let (folder, user, password) = (paths::LOGIN, paths::LOGIN_USER, paths::LOGIN_PASSWORD);
        let login = format!(
            "login() {{ {{ IFS= read -r user <{folder}/{user}; IFS= read -r password <{folder}/{password}; }} 2>/dev/null; }}"
        );
        let followed = format!(
            "login; export DATA_SOURCE_USER=\"$user\" DATA_SOURCE_PASS=\"$password\"\n  \
             {run}\n  \
             rest\n  \
             while kill -0 \"$child\" 2>/dev/null; do\n    \
               login\n    \
               [ \"$user:$password\" = \"$DATA_SOURCE_USER:$DATA_SOURCE_PASS\" ] || kill \"$child\"\n    \
               rest\n  \
             done"
        );
        (login, followed)
    };
    format!(
        "PATH=\"$PATH:/bin/pgpool2_exporter\"; umask 077; child=\n\
         trap 'kill $child 2>/dev/null; exit 0' TERM INT\n\
         rest() {{ sleep {PAUSE} & wait \"$!\"; }}\n\
         {before}\n\
         while :; do\n  {run}\ndone\n"
    )
}

fn mounts(validated: &Validated) -> Vec<VolumeMount> {
    let mut mounts = Vec::new();
    if validated.exporter_verifies() || validated.exporter_shows_certificate() {
        mounts.push(volumes::mount(VOLUME_EXPORTER_CERTS, paths::EXPORTER_CERTS, true));
    }
    if validated.exporter_shows_certificate() {
        mounts.push(volumes::mount(VOLUME_EXPORTER_RUN, paths::EXPORTER_RUN, false));
    } else {
        mounts.push(volumes::mount(VOLUME_EXPORTER_LOGIN, paths::LOGIN, true));
    }
    mounts
}
