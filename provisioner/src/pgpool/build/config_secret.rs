//! The settings and rules of pgpool.
//!
//! They change while pods run. One of the files names the revision: a hash of the settings that take effect only after a
//! restart. Pods are replaced when it changes, and a pod that still runs with an earlier revision ignores the new files.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use sha2::{Digest, Sha256};
use shared_types::names;

use super::config::{effective_content, pgpool_conf, pool_hba};
use super::{metadata, opaque, paths, tls_copy};
use crate::hex::first_digits;
use crate::pgpool::decide::config_check::ConfigSecret;
use crate::pgpool::validate::settings_catalog::needs_restart;
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

/// Whether clients log in by certificate with the rules in a configuration Secret.
pub(super) fn demands_certificates(config_secret: &Secret) -> bool {
    let rules = config_secret
        .data
        .as_ref()
        .and_then(|data| data.get(paths::POOL_HBA));
    let rules = rules.and_then(|rules| std::str::from_utf8(&rules.0).ok());
    rules.is_some_and(pool_hba::demands_certificates)
}

/// The files that pods mount.
pub(super) fn mounted(validated: &Validated) -> Vec<String> {
    let read = |name: &String| name != paths::BACKEND_CA || pgpool_conf::needs_backend_ca(validated);
    files(validated).into_keys().filter(read).collect()
}

/// A hash of the settings that take effect only after a restart. Other settings reach running pods, as users and rules do;
/// comments and order do not count.
///
/// What is hashed, and how, must not change: an upgrade of the operator would replace every pod of every pool.
pub(super) fn revision(validated: &Validated) -> String {
    let conf = pgpool_conf::render(validated);
    let mut hash = Sha256::new();
    let settings = effective_content::settings(&conf);
    let restarts = settings.iter().filter(|(name, _)| needs_restart(name));
    for part in restarts.flat_map(|(name, value)| [*name, *value]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    first_digits(&hash.finalize(), REVISION_LENGTH)
}

/// The revision of a Secret with these files, if pods can keep it: its rules are those of the spec, and so are the settings that
/// no user sets. Those control TLS, how clients log in and the address of PostgreSQL; a workload built for others would not
/// work with them.
pub(super) fn revision_in_force(
    validated: &Validated,
    files: &BTreeMap<String, ByteString>,
) -> Option<String> {
    let text = |name: &str| std::str::from_utf8(&files.get(name)?.0).ok();
    let asked = self::files(validated);
    let firm = |conf| -> Vec<_> {
        let settings = effective_content::settings(conf).into_iter();
        settings.filter(|(name, _)| is_ours(name)).collect()
    };
    let conf = asked.get(paths::PGPOOL_CONF)?;
    let fits = files.keys().eq(asked.keys())
        && text(paths::POOL_HBA) == asked.get(paths::POOL_HBA).map(String::as_str)
        && firm(text(paths::PGPOOL_CONF)?) == firm(conf);
    let revision = text(paths::REVISION)?.trim();
    fits.then(|| revision.to_owned())
}

/// The files that pgpool reads. The CAs of PostgreSQL are included even when the TLS copy contains them: a pod from before mounts
/// them from here until it is replaced, and the kubelet mounts nothing of a Secret that lacks a projected key.
fn settings(validated: &Validated) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([
        (paths::PGPOOL_CONF.to_owned(), pgpool_conf::render(validated)),
        (
            paths::POOL_HBA.to_owned(),
            pool_hba::render(validated.ssl_mode, validated.client_auth_mode),
        ),
    ]);
    if !validated.backend.ca.is_empty() {
        files.insert(paths::BACKEND_CA.to_owned(), tls_copy::pem(&validated.backend.ca));
    }
    files
}
