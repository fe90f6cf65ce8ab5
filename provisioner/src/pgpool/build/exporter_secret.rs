//! The login of the metrics exporter: a copy in the namespace of the pods, since the Secret of the `AppBinding` may be in
//! another one, and has other keys.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::{metadata, opaque, paths};
use crate::pgpool::validate::Validated;

/// `None` without monitoring, and where the exporter logs in by certificate.
pub(super) fn exporter_secret(validated: &Validated) -> Option<Secret> {
    let monitoring = validated.monitoring.as_ref()?;
    if validated.exporter_shows_certificate() {
        return None;
    }
    let login = &validated.backend.login;
    let files = BTreeMap::from([
        (paths::LOGIN_USER.to_owned(), login.user.clone()),
        (
            paths::LOGIN_PASSWORD.to_owned(),
            login.password.expose().to_owned(),
        ),
    ]);
    Some(opaque(
        metadata::owned(validated, &monitoring.login_secret),
        files,
    ))
}
