//! The settings and rules of pgpool. Some take effect by a restart alone, for which the workload sees to it; pods that run
//! are told of the others.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::config::{pgpool_conf, pool_hba};
use super::{metadata, opaque, paths, tls_secret};
use crate::pgpool::validate::Validated;

/// Survives the `Pgpool` unless all is to be wiped out.
pub(super) fn config_secret(validated: &Validated) -> Secret {
    opaque(
        metadata::persistent(validated, &validated.names.config_secret),
        files(validated),
    )
}

/// The files by name.
pub(super) fn files(validated: &Validated) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([
        (paths::PGPOOL_CONF.to_owned(), pgpool_conf::render(validated)),
        (
            paths::POOL_HBA.to_owned(),
            pool_hba::render(validated.ssl_mode, validated.client_auth_mode),
        ),
    ]);
    if pgpool_conf::needs_backend_ca(validated) {
        files.insert(
            paths::BACKEND_CA.to_owned(),
            tls_secret::pem(&validated.backend.ca),
        );
    }
    files
}
