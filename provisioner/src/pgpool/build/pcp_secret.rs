//! The users of pgpool's control port (PCP). Read at each login: a change needs no restart.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use md5::{Digest, Md5};

use super::{metadata, opaque, paths};
use crate::hex::hex;
use crate::pgpool::validate::Validated;

/// `user:md5(password)`, the only form that pgpool accepts here. Survives the `Pgpool` as the credentials do, except with
/// deletion policy `WipeOut`.
pub(super) fn pcp_secret(validated: &Validated) -> Secret {
    let login = &validated.auth_secret.login;
    let line = format!("{}:{}\n", login.user, hex(&Md5::digest(login.password.expose())));
    let files = BTreeMap::from([(paths::PCP_CONF.to_owned(), line)]);
    opaque(
        metadata::persistent(validated, &validated.names.pcp_secret),
        files,
    )
}
