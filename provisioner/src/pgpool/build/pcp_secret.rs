//! Who may use pgpool's control port. Read at each login: a change needs no restart.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use md5::{Digest, Md5};

use super::{hex, metadata, opaque, paths};
use crate::pgpool::validate::Validated;

/// `user:md5(password)`, the one form that pgpool knows here. Survives the `Pgpool` as the credentials do that it is made
/// from, unless all is to be wiped out.
pub(super) fn pcp_secret(validated: &Validated) -> Secret {
    let login = &validated.auth_secret.login;
    let line = format!("{}:{}\n", login.user, hex(&Md5::digest(login.password.expose())));
    let files = BTreeMap::from([(paths::PCP_CONF.to_owned(), line)]);
    opaque(
        metadata::persistent(validated, &validated.names.pcp_secret),
        files,
    )
}
