//! The settings and rules of pgpool.
//!
//! They change under running pods. One of the files names the revision: a hash of whatever only a restart puts into
//! effect. Pods are replaced when it changes, and a pod that still runs with an earlier one leaves the new files alone.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use sha2::{Digest, Sha256};
use shared_types::names;

use super::config::{essence, pgpool_conf, pool_hba};
use super::{hex, metadata, opaque, paths, tls_secret};
use crate::pgpool::decide::config_check::ConfigSecret;
use crate::pgpool::validate::catalog::needs_restart;
use crate::pgpool::validate::{Validated, is_ours};

/// Hexadecimal digits of a revision.
const REVISION_LENGTH: usize = 16;

/// `None` while the Secret that exists is not touched. Survives the `Pgpool` unless all is to be wiped out.
pub(super) fn config_secret(validated: &Validated, decided: &ConfigSecret) -> Option<Secret> {
    let ConfigSecret::Write { checked_hash } = decided else {
        return None;
    };
    let mut metadata = metadata::persistent(validated, &validated.names.config_secret);
    if let Some(hash) = checked_hash {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(names::ANNOTATION_VALIDATED_CONFIG_HASH.to_owned(), hash.clone());
    }
    Some(opaque(metadata, files(validated)))
}

/// The files by name.
pub(super) fn files(validated: &Validated) -> BTreeMap<String, String> {
    let mut files = settings(validated);
    files.insert(paths::REVISION.to_owned(), format!("{}\n", revision(validated)));
    files
}

/// The files that pods mount: all that they read.
pub(super) fn mounted(validated: &Validated) -> Vec<String> {
    let read = |name: &String| name != paths::BACKEND_CA || pgpool_conf::needs_backend_ca(validated);
    files(validated).into_keys().filter(read).collect()
}

/// What takes effect only by a restart, in short. The rest reaches running pods, as users and rules do; what only reads
/// differently is no change at all.
///
/// What goes in, and how, must not change: every pod of every pool would be replaced by a mere upgrade of the operator.
pub(super) fn revision(validated: &Validated) -> String {
    let conf = pgpool_conf::render(validated);
    let mut hash = Sha256::new();
    let settings = essence::settings(&conf);
    let restarts = settings.iter().filter(|(name, _)| needs_restart(name));
    for part in restarts.flat_map(|(name, value)| [*name, *value]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())[..REVISION_LENGTH].to_owned()
}

/// The revision that a Secret with these files names, if pods may go on with it: their rules are those that are asked for,
/// and so are the settings that no user makes. They decide on TLS, on how clients log in and on where PostgreSQL is, and
/// a workload which is built for others would not work with them.
pub(super) fn revision_in_force(
    validated: &Validated,
    files: &BTreeMap<String, ByteString>,
) -> Option<String> {
    let text = |name: &str| std::str::from_utf8(&files.get(name)?.0).ok();
    let asked = self::files(validated);
    let firm = |conf| -> Vec<_> {
        let settings = essence::settings(conf).into_iter();
        settings.filter(|(name, _)| is_ours(name)).collect()
    };
    let conf = asked.get(paths::PGPOOL_CONF)?;
    let fits = files.keys().eq(asked.keys())
        && text(paths::POOL_HBA) == asked.get(paths::POOL_HBA).map(String::as_str)
        && firm(text(paths::PGPOOL_CONF)?) == firm(conf);
    let revision = text(paths::REVISION)?.trim();
    fits.then(|| revision.to_owned())
}

/// The files that pgpool reads. The authorities of PostgreSQL are there even when certificates bring them along: a pod
/// from before mounts them from here until its turn comes, and its kubelet mounts nothing of a Secret that lacks a part.
fn settings(validated: &Validated) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([
        (paths::PGPOOL_CONF.to_owned(), pgpool_conf::render(validated)),
        (
            paths::POOL_HBA.to_owned(),
            pool_hba::render(validated.ssl_mode, validated.client_auth_mode),
        ),
    ]);
    if !validated.backend.ca.is_empty() {
        files.insert(
            paths::BACKEND_CA.to_owned(),
            tls_secret::pem(&validated.backend.ca),
        );
    }
    files
}
