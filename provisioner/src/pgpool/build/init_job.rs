//! The Job that runs the user's scripts once. Its pod has its own pgpool, configured as in the workload, so that scripts reach
//! it at `localhost:9999`, independently of the pods of the pool.
//!
//! pgpool runs as a sidecar: the kubelet starts the scripts when it answers, and stops it when they have ended.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, PodSpec, PodTemplateSpec, ResourceRequirements,
    SecretKeySelector, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shared_types::reserved::{CONTAINER, VOLUME_CERTS, VOLUME_SCRIPTS, VOLUME_TMP};
use shared_types::{names, ports};

use super::workload::container::restricted;
use super::workload::probes;
use super::{metadata, paths, workload};
use crate::pgpool::observe::CertificateRevision;
use crate::pgpool::validate::{GIT_SECRET, Git, Init, Source, Validated};

/// The container that runs the scripts and logs their output.
pub(crate) const SCRIPTS: &str = "init-script";
/// The container that fetches a repository.
const GIT_SYNC: &str = "git-sync";
/// Retries of a failed script, after 10, 20, 40 seconds: PostgreSQL may be unavailable for a moment.
const RETRIES: i32 = 3;
/// The variable with the path that the runner runs.
const WHAT: &str = "PGPOOL_INIT_SCRIPTS";
/// The folder of the client certificate.
const CLIENT: &str = "/init-client";
const VOLUME_CLIENT: &str = "init-client";
const VOLUME_GIT_SECRET: &str = "init-git-secret";

/// Runs one file, or the scripts of a folder. `psql` runs an SQL file and stops at its first error; other files are run by the
/// interpreter that their first line names, since files of a volume are not executable.
pub(crate) const RUNNER: &str = r#"PATH="$PATH:/opt/pgpool-II/bin"
run() {
  echo "init-script: runs $1"
  case "$1" in
    *.sql)
      command -v psql >/dev/null || { echo "init-script: the image has no psql, which $1 needs" >&2; return 127; }
      psql -X -v ON_ERROR_STOP=1 -f "$1" || return ;;
    *)
      IFS= read -r first <"$1" || :
      case "$first" in '#!'*) set -- "$1" ${first#??} ;; *) set -- "$1" sh ;; esac
      file=$1; shift; "$@" "$file" || return ;;
  esac
}
fail() { echo "init-script: $2" >&2; exit "$1"; }
what=$PGPOOL_INIT_SCRIPTS
if [ -d "$what" ]; then
  found=
  for each in "$what"/*; do
    case "$each" in *.sh | *.sql) ;; *) continue ;; esac
    [ -f "$each" ] || continue
    found=1
    run "$each" || fail $? "$each failed"
  done
  [ -n "$found" ] || fail 66 "there is no *.sh and no *.sql in $what"
elif [ -f "$what" ]; then
  run "$what" || fail $? "$what failed"
else
  fail 66 "$what does not exist: correct spec.init.script.scriptPath"
fi
echo "init-script: all done"
"#;

/// The Job is created once and never changed.
pub(super) fn init_job(
    validated: &Validated,
    init: &Init,
    certificates: Option<&CertificateRevision>,
) -> Job {
    Job {
        metadata: metadata::owned(validated, &init.job),
        spec: Some(JobSpec {
            backoff_limit: Some(RETRIES),
            completions: Some(1),
            parallelism: Some(1),
            // Never two attempts at the same time.
            pod_replacement_policy: Some("Failed".to_owned()),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(validated)),
                spec: Some(pod(validated, init, certificates)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn pod_metadata(validated: &Validated) -> ObjectMeta {
    let container = ("kubectl.kubernetes.io/default-container", SCRIPTS);
    ObjectMeta {
        labels: Some(names::init_labels(&validated.name)),
        annotations: Some(BTreeMap::from([(container.0.to_owned(), container.1.to_owned())])),
        ..ObjectMeta::default()
    }
}

/// The pod of the workload, with the scripts instead of the user's other containers.
fn pod(validated: &Validated, init: &Init, certificates: Option<&CertificateRevision>) -> PodSpec {
    let mut pod = workload::pod(validated, certificates);
    let pgpool = pod.containers.iter().find(|it| it.name == CONTAINER);
    let pgpool = sidecar(validated, pgpool.cloned().unwrap_or_default());
    let mut before = pod.init_containers.take().unwrap_or_default();
    if let Source::Git(git) = &init.source {
        before.push(git_sync(init, git));
    }
    let scripts = scripts(validated, init, &pgpool);
    before.push(pgpool);
    let mut volumes = pod.volumes.take().unwrap_or_default();
    volumes.extend(own_volumes(init));
    let containers = before.iter().chain([&scripts]);
    let mounts = containers.flat_map(|container| container.volume_mounts.iter().flatten());
    let used: Vec<_> = mounts.map(|mount| mount.name.clone()).collect();
    volumes.retain(|volume| used.contains(&volume.name));
    PodSpec {
        containers: vec![scripts],
        init_containers: Some(before),
        restart_policy: Some("Never".to_owned()),
        readiness_gates: None,
        topology_spread_constraints: None,
        volumes: Some(volumes),
        ..pod
    }
}

/// The pgpool sidecar: starts before the scripts, stops after them. With TLS the scripts wait for a verified handshake.
fn sidecar(validated: &Validated, pgpool: Container) -> Container {
    let answers = probes::readiness(validated);
    Container {
        liveness_probe: None,
        readiness_probe: None,
        restart_policy: Some("Always".to_owned()),
        startup_probe: Some(k8s_openapi::api::core::v1::Probe {
            exec: answers.exec,
            ..probes::startup()
        }),
        ..pgpool
    }
}

/// Runs the scripts in the image of pgpool, with the environment and the mounts that the user adds to that container.
fn scripts(validated: &Validated, init: &Init, pgpool: &Container) -> Container {
    let asked = validated.pod.pgpool.clone();
    let mut env = asked.env.unwrap_or_default();
    let ours = environment(validated, init);
    env.extend(
        ours.into_iter()
            .filter(|ours| asked_for(&validated.pod.pgpool, &ours.name).is_none()),
    );
    let mut mounts = vec![mount(VOLUME_SCRIPTS, &init.root)];
    if validated.serves_tls() {
        // Only the CA, empty if there is none: scripts do not need the key of the pool.
        mounts.push(VolumeMount {
            sub_path: Some(paths::SERVER_CA.to_owned()),
            ..mount(VOLUME_CERTS, &format!("{}/{}", paths::TLS, paths::CA))
        });
    }
    if init.client_secret.is_some() {
        mounts.push(mount(VOLUME_CLIENT, CLIENT));
    }
    let asked_mounts = asked.volume_mounts.unwrap_or_default();
    let is_tmp = |it: &VolumeMount| it.mount_path.trim_end_matches('/') == "/tmp";
    if !asked_mounts.iter().any(is_tmp) {
        mounts.push(VolumeMount {
            read_only: None,
            ..mount(VOLUME_TMP, "/tmp")
        });
    }
    mounts.extend(asked_mounts);
    Container {
        name: SCRIPTS.to_owned(),
        image: pgpool.image.clone(),
        image_pull_policy: pgpool.image_pull_policy.clone(),
        command: Some(["sh", "-c"].map(str::to_owned).into()),
        args: Some(vec![RUNNER.to_owned()]),
        env: Some(env),
        env_from: asked.env_from,
        resources: Some(resources(pgpool)),
        security_context: pgpool.security_context.clone(),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn asked_for<'a>(pgpool: &'a Container, name: &str) -> Option<&'a EnvVar> {
    pgpool.env.iter().flatten().find(|variable| variable.name == name)
}

/// The variables of libpq, so that a plain `psql` connects, and the two variables that scripts for KubeDB use. Connections stay
/// inside the pod, so `require` is enough; a script may verify more strictly with the CA in the mounted folder.
fn environment(validated: &Validated, init: &Init) -> Vec<EnvVar> {
    let plain = |name: &str, value: &str| EnvVar {
        name: name.to_owned(),
        // Escaped, since Kubernetes expands `$(NAME)` as a reference to another variable.
        value: Some(value.replace('$', "$$")),
        value_from: None,
    };
    let password = |name: &str| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: validated.names.users_secret.clone(),
                key: paths::INIT_PASSWORD.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    };
    let user = &validated.backend.login.user;
    let port = ports::PGPOOL.to_string();
    let tls = if validated.serves_tls() {
        "require"
    } else {
        "disable"
    };
    let mut variables = vec![
        plain(WHAT, &init.path),
        plain("PGHOST", "localhost"),
        plain("PGPORT", &port),
        plain("PGDATABASE", "postgres"),
        plain("PGUSER", user),
        plain("PGSSLMODE", tls),
        plain("POSTGRES_USERNAME", user),
        password("POSTGRES_PASSWORD"),
    ];
    if init.client_secret.is_some() {
        variables.push(plain("PGSSLCERT", &format!("{CLIENT}/{}", paths::CERTIFICATE)));
        variables.push(plain("PGSSLKEY", &format!("{CLIENT}/{}", paths::KEY)));
    } else {
        variables.push(password("PGPASSWORD"));
    }
    variables
}

/// Small requests; the limits are those of container `pgpool`, which the user can set.
fn resources(pgpool: &Container) -> ResourceRequirements {
    let asked = [("cpu", "10m"), ("memory", "32Mi")];
    let requests = asked.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())));
    ResourceRequirements {
        limits: pgpool
            .resources
            .as_ref()
            .and_then(|resources| resources.limits.clone()),
        requests: Some(requests.into()),
        claims: None,
    }
}

fn git_sync(init: &Init, git: &Git) -> Container {
    let mut mounts = vec![
        VolumeMount {
            read_only: None,
            ..mount(VOLUME_SCRIPTS, &init.root)
        },
        VolumeMount {
            read_only: None,
            ..mount(VOLUME_TMP, "/tmp")
        },
    ];
    if git.auth_secret.is_some() {
        mounts.push(mount(VOLUME_GIT_SECRET, GIT_SECRET));
    }
    Container {
        name: GIT_SYNC.to_owned(),
        image: Some(git.image.clone()),
        args: Some(git.args.clone()),
        env: (!git.env.is_empty()).then(|| git.env.clone()),
        resources: Some(git.resources.clone()),
        // Runs as the user of the image: it differs from that of pgpool, and ssh needs its name.
        security_context: Some(restricted(git.security_context.clone())),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn own_volumes(init: &Init) -> Vec<Volume> {
    let secret = |name: &str, secret: &str| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let scripts = match &init.source {
        Source::Volume(volume) => Volume::clone(volume),
        Source::Git(_) => Volume {
            name: VOLUME_SCRIPTS.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    };
    let client = init
        .client_secret
        .as_deref()
        .map(|name| secret(VOLUME_CLIENT, name));
    let git = match &init.source {
        Source::Git(git) => git.auth_secret.as_deref(),
        Source::Volume(_) => None,
    };
    let git = git.map(|name| secret(VOLUME_GIT_SECRET, name));
    std::iter::once(scripts).chain(client).chain(git).collect()
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}
