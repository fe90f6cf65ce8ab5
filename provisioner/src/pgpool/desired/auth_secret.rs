//! The credentials of the PCP user.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::metadata;
use crate::pgpool::validate::Validated;

/// `None` when the Secret is the user's. Survives the `Pgpool` unless all is to be wiped out.
pub(super) fn auth_secret(validated: &Validated) -> Option<Secret> {
    let auth = &validated.auth_secret;
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    auth.ours.then(|| Secret {
        metadata: metadata::persistent(validated, &auth.name),
        data: Some(BTreeMap::from([
            ("username".to_owned(), bytes(&auth.login.user)),
            ("password".to_owned(), bytes(auth.login.password.expose())),
        ])),
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        ..Secret::default()
    })
}
