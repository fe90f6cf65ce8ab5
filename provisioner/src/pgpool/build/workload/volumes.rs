//! The volumes of the pod. Files are mounted where pgpool reads them; nothing is copied at start.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, KeyToPath, ProjectedVolumeSource, SecretProjection, SecretVolumeSource, Volume,
    VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use shared_types::reserved::{
    VOLUME_CERTS as CERTS, VOLUME_CONFIG as CONFIG, VOLUME_EXPORTER_CERTS, VOLUME_EXPORTER_LOGIN,
    VOLUME_EXPORTER_RUN, VOLUME_RUN as RUN, VOLUME_TMP as TMP,
};

use super::super::{config_secret, paths};
use crate::pgpool::observe::CertificateRevision;
use crate::pgpool::validate::Validated;

/// Readable only by root and the group of the pod: pgpool accepts a key of root with this mode.
const MODE: i32 = 0o440;

/// Limit of volumes with a few small files: one that fills up evicts its pod before it fills the disk of the node.
const SCRATCH_SIZE: &str = "64Mi";

/// A pod that needs certificates and has no TLS copy waits for a Secret without a name, instead of running without TLS.
pub(super) fn volumes(validated: &Validated, certificates: Option<&CertificateRevision>) -> Vec<Volume> {
    let mut volumes = vec![config(validated)];
    if validated.serves_tls() {
        // pgpool does not need the key pair of the exporter, which is in the same Secret.
        let ours = [paths::CERTIFICATE, paths::KEY, paths::CA, paths::SERVER_CA];
        let ours = ours.into_iter().map(|file| key_to_path(file, file));
        let items = validated.exporter_shows_certificate().then(|| ours.collect());
        volumes.push(secret(CERTS, secret_name(certificates), items));
    }
    volumes.extend([RUN, TMP].map(|name| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(SCRATCH_SIZE.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }));
    volumes
}

/// The volumes of container `exporter`; none without monitoring.
pub(super) fn exporter(validated: &Validated, certificates: Option<&CertificateRevision>) -> Vec<Volume> {
    let Some(monitoring) = &validated.monitoring else {
        return Vec::new();
    };
    let shows = validated.exporter_shows_certificate();
    let mut volumes = Vec::new();
    if shows || validated.exporter_verifies() {
        let mut items = Vec::new();
        if validated.exporter_verifies() {
            items.push(key_to_path(paths::SERVER_CA, paths::CA));
        }
        if shows {
            items.push(key_to_path(paths::EXPORTER_CERTIFICATE, paths::CERTIFICATE));
            items.push(key_to_path(paths::EXPORTER_KEY, paths::KEY));
        }
        volumes.push(secret(
            VOLUME_EXPORTER_CERTS,
            secret_name(certificates),
            Some(items),
        ));
    }
    if shows {
        volumes.push(Volume {
            name: VOLUME_EXPORTER_RUN.to_owned(),
            // Contains a key, which must not reach a disk.
            empty_dir: Some(EmptyDirVolumeSource {
                medium: Some("Memory".to_owned()),
                size_limit: Some(Quantity("1Mi".to_owned())),
            }),
            ..Volume::default()
        });
    } else {
        volumes.push(secret(VOLUME_EXPORTER_LOGIN, &monitoring.login_secret, None));
    }
    volumes
}

fn secret(volume: &str, name: &str, items: Option<Vec<KeyToPath>>) -> Volume {
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.to_owned()),
            default_mode: Some(MODE),
            items,
            optional: None,
        }),
        ..Volume::default()
    }
}

fn key_to_path(key: &str, path: &str) -> KeyToPath {
    KeyToPath {
        key: key.to_owned(),
        path: path.to_owned(),
        mode: None,
    }
}

/// Three Secrets in one directory: settings, users of the control port, and users of the pool, which change independently.
fn config(validated: &Validated) -> Volume {
    let files = config_secret::mounted(validated);
    let names = &validated.names;
    let sources = vec![
        projection(&names.config_secret, files.iter().map(String::as_str)),
        projection(&names.pcp_secret, [paths::PCP_CONF]),
        projection(&names.users_secret, [paths::POOL_PASSWD]),
    ];
    Volume {
        name: CONFIG.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(MODE),
            sources: Some(sources),
        }),
        ..Volume::default()
    }
}

fn projection<'a>(secret: &str, files: impl IntoIterator<Item = &'a str>) -> VolumeProjection {
    let item = |file: &str| key_to_path(file, file);
    VolumeProjection {
        secret: Some(SecretProjection {
            name: secret.to_owned(),
            items: Some(files.into_iter().map(item).collect()),
            optional: None,
        }),
        ..VolumeProjection::default()
    }
}

/// The mounts of container `pgpool`.
pub(super) fn mounts(validated: &Validated) -> Vec<VolumeMount> {
    let mut mounts = vec![mount(CONFIG, paths::ETC, true)];
    if validated.serves_tls() {
        mounts.push(mount(CERTS, paths::TLS, true));
    }
    mounts.extend([mount(RUN, paths::RUN, false), mount(TMP, "/tmp", false)]);
    mounts
}

/// A mount of a whole volume.
pub(super) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn secret_name(certificates: Option<&CertificateRevision>) -> &str {
    certificates.map_or("", CertificateRevision::secret_name)
}
