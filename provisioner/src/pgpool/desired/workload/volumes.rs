//! What the pod mounts. Files are mounted where pgpool reads them; nothing is copied at start.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, KeyToPath, ProjectedVolumeSource, SecretProjection, SecretVolumeSource, Volume,
    VolumeMount, VolumeProjection,
};

use shared_types::reserved::{
    VOLUME_CERTS as CERTS, VOLUME_CONFIG as CONFIG, VOLUME_RUN as RUN, VOLUME_TMP as TMP,
};

use super::super::{config_secret, paths};
use crate::pgpool::validate::Validated;

/// Readable by the group of the pod and nobody else: pgpool accepts a key of root in this mode.
const MODE: i32 = 0o440;

/// The volumes. A pod that needs certificates and has no copy of them would wait for a Secret without a name, rather
/// than run without.
pub(super) fn volumes(validated: &Validated, tls_copy: Option<&str>) -> Vec<Volume> {
    let mut volumes = vec![config(validated)];
    if validated.serves_tls() {
        volumes.push(Volume {
            name: CERTS.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(tls_copy.unwrap_or_default().to_owned()),
                default_mode: Some(MODE),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    volumes.extend([RUN, TMP].map(|name| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }));
    volumes
}

/// Three Secrets in one directory: settings, the control port's users, and users, each changing on its own terms.
fn config(validated: &Validated) -> Volume {
    let files = config_secret::files(validated);
    let names = &validated.names;
    let sources = vec![
        projection(&names.config_secret, files.keys().map(String::as_str)),
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
    let item = |file: &str| KeyToPath {
        key: file.to_owned(),
        path: file.to_owned(),
        mode: None,
    };
    VolumeProjection {
        secret: Some(SecretProjection {
            name: secret.to_owned(),
            items: Some(files.into_iter().map(item).collect()),
            optional: None,
        }),
        ..VolumeProjection::default()
    }
}

/// Where container `pgpool` sees them.
pub(super) fn mounts(validated: &Validated) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount(CONFIG, paths::ETC, true)];
    if validated.serves_tls() {
        mounts.push(mount(CERTS, paths::TLS, true));
    }
    mounts.extend([mount(RUN, paths::RUN, false), mount(TMP, "/tmp", false)]);
    mounts
}
