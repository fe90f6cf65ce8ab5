//! Builds the settings to check and the pod that checks them: the image of the pool reads the file as a reload would,
//! which takes milliseconds and needs no network, and exits.
//!
//! The pod has the account, placement and security settings of the pods of a pool, but not the labels that Services, the
//! budget and the workload select by.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, KeyToPath, Pod, PodSpec, ResourceRequirements, Secret,
    SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};
use shared_types::names;

use super::config::{effective_content, pgpool_conf};
use super::{ConfigCheck, metadata, opaque, paths, workload};
use crate::hex::first_digits;
use crate::pgpool::decide::config_check::{CONTAINER, REJECTED};
use crate::pgpool::validate::Validated;
use crate::pgpool::validate::settings_catalog::is_secret;

const CONFIG: &str = "pgpool-config";
const RUN: &str = "run";
const MODE: i32 = 0o440;
/// Hexadecimal digits of the hash in names.
const NAME_LENGTH: usize = 10;
/// Hexadecimal digits of the hash.
const HASH_LENGTH: usize = 32;
/// Replaces each password: pgpool takes any text, so none needs to leave its Secret.
const MASK: &str = "'masked'";

/// Builds both.
pub(super) fn config_check(validated: &Validated) -> ConfigCheck {
    let conf = masked(&pgpool_conf::render(validated));
    let hash = hash(&validated.release.image, &conf);
    let name = names::config_check(&validated.name, hash.get(..NAME_LENGTH).unwrap_or(&hash));
    let files = BTreeMap::from([(paths::PGPOOL_CONF.to_owned(), conf)]);
    let secret = Secret {
        immutable: Some(true),
        ..opaque(metadata::owned(validated, &name), files)
    };
    ConfigCheck {
        pod: pod(validated, &name),
        hash,
        secret,
    }
}

fn masked(conf: &str) -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some((name, value)) if is_secret(name) && value != "''" => format!("{name} = {MASK}\n"),
        _ => format!("{line}\n"),
    };
    conf.lines().map(line).collect()
}

fn hash(image: &str, conf: &str) -> String {
    let mut hash = Sha256::new();
    let settings = effective_content::settings(conf);
    let parts = settings.iter().flat_map(|(name, value)| [*name, *value]);
    for part in std::iter::once(image).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    first_digits(&hash.finalize(), HASH_LENGTH)
}

fn pod(validated: &Validated, name: &str) -> Pod {
    let asked = validated.pod.spec.clone();
    Pod {
        metadata: ObjectMeta {
            labels: Some(labels(validated)),
            ..metadata::owned(validated, name)
        },
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![container(validated)],
            enable_service_links: Some(false),
            image_pull_secrets: asked.image_pull_secrets,
            node_name: asked.node_name,
            node_selector: asked.node_selector,
            priority_class_name: asked.priority_class_name,
            restart_policy: Some("Never".to_owned()),
            runtime_class_name: asked.runtime_class_name,
            scheduler_name: asked.scheduler_name,
            security_context: Some(workload::security_context(
                validated,
                asked.security_context.unwrap_or_default(),
            )),
            service_account_name: Some(validated.names.service_account.clone()),
            termination_grace_period_seconds: Some(1),
            tolerations: asked.tolerations,
            volumes: Some(volumes(name)),
            ..PodSpec::default()
        }),
        status: None,
    }
}

fn labels(validated: &Validated) -> BTreeMap<String, String> {
    [
        (names::LABEL_NAME, names::APPLICATION),
        (names::LABEL_MANAGED_BY, names::MANAGER),
        (names::LABEL_CONFIG_CHECK_OF, &validated.name),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn container(validated: &Validated) -> Container {
    let asked = &validated.pod.pgpool;
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let amounts = |pairs: [(&str, &str); 2]| {
        let amount = |(key, amount): (&str, &str)| (key.to_owned(), Quantity(amount.to_owned()));
        Some(pairs.map(amount).into())
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(validated.release.image.clone()),
        image_pull_policy: asked.image_pull_policy.clone(),
        command: Some(["sh", "-c"].map(str::to_owned).into()),
        args: Some(vec![script()]),
        resources: Some(ResourceRequirements {
            requests: amounts([("cpu", "10m"), ("memory", "32Mi")]),
            limits: amounts([("cpu", "500m"), ("memory", "128Mi")]),
            ..ResourceRequirements::default()
        }),
        security_context: Some(workload::container_security_context(
            validated,
            asked.security_context.clone().unwrap_or_default(),
        )),
        volume_mounts: Some(vec![
            mount(CONFIG, paths::ETC, true),
            mount(RUN, paths::RUN, false),
        ]),
        ..Container::default()
    }
}

/// `pgpool reload` reads the whole file before it looks for the process to signal, here the shell itself. A pattern
/// that is not a regular expression only causes a warning, and pgpool ignores it. The exit code separates a rejection
/// from a pgpool that is not there.
fn script() -> String {
    let (run, conf) = (paths::RUN, format!("{}/{}", paths::ETC, paths::PGPOOL_CONF));
    format!(
        "trap '' HUP; echo $$ > {run}/pgpool.pid; PATH=\"$PATH:/opt/pgpool-II/bin\"; \
         said=$(pgpool -f {conf} reload 2>&1); code=$?; \
         case \"$said\" in *'regex pattern'*) code=1;; esac; \
         printf '%s\\n' \"$said\"; printf '%s\\n' \"$said\" > /dev/termination-log; \
         case $code in 0|126|127) exit $code;; *) exit {REJECTED};; esac"
    )
}

fn volumes(name: &str) -> Vec<Volume> {
    let settings = SecretVolumeSource {
        secret_name: Some(name.to_owned()),
        default_mode: Some(MODE),
        items: Some(vec![KeyToPath {
            key: paths::PGPOOL_CONF.to_owned(),
            path: paths::PGPOOL_CONF.to_owned(),
            mode: None,
        }]),
        optional: None,
    };
    vec![
        Volume {
            name: CONFIG.to_owned(),
            secret: Some(settings),
            ..Volume::default()
        },
        Volume {
            name: RUN.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    ]
}
