//! The users that pgpool can log in to PostgreSQL as. A Secret of its own, since it can change while the pool runs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::config::pool_passwd;
use super::{metadata, opaque, paths};
use crate::pgpool::validate::Validated;

/// Contains passwords in clear text: PostgreSQL with SCRAM accepts nothing else.
pub(super) fn users_secret(validated: &Validated) -> Secret {
    let mut files = BTreeMap::from([(
        paths::POOL_PASSWD.to_owned(),
        pool_passwd::render(&validated.users),
    )]);
    if validated.init.wanted().is_some() {
        // The Secret of the AppBinding may be in another namespace, where a pod cannot refer to it.
        let password = validated.backend.login.password.expose();
        files.insert(paths::INIT_PASSWORD.to_owned(), password.to_owned());
    }
    opaque(metadata::owned(validated, &validated.names.users_secret), files)
}
