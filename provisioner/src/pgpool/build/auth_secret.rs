//! The credentials of the PCP user.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use operator_runtime::apply::NO_VERSION;
use shared_types::names;

use super::metadata;
use crate::pgpool::validate::Validated;

/// `None` when the Secret is the user's. Survives the `Pgpool`, except with deletion policy `WipeOut`.
///
/// It has the password that was read. To not undo a change that someone makes at the same time, the write is bound to the
/// resource version that was read.
pub(super) fn auth_secret(validated: &Validated) -> Option<Secret> {
    let auth = &validated.auth_secret;
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    auth.ours.then(|| Secret {
        metadata: ObjectMeta {
            resource_version: Some(auth.version.clone().unwrap_or_else(|| NO_VERSION.to_owned())),
            ..metadata::persistent(validated, &auth.name)
        },
        data: Some(BTreeMap::from([
            ("username".to_owned(), bytes(&auth.login.user)),
            ("password".to_owned(), bytes(auth.login.password.expose())),
        ])),
        type_: Some(names::AUTH_SECRET_TYPE.to_owned()),
        ..Secret::default()
    })
}
