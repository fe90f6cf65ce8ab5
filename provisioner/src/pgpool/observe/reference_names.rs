//! Where the objects are that a `Pgpool` refers to by name. Pure.

use std::sync::Arc;

use kube::ResourceExt;
use shared_types::object::TypedReference;
use shared_types::{AppBinding, Pgpool, names};

use super::lookup::Lookup;

/// Namespace and name.
pub(crate) type NamespacedName = (String, String);

/// Where the objects are that a `Pgpool` refers to by name.
pub(super) struct References {
    pub(super) backend: Option<NamespacedName>,
    pub(super) backend_tls: Option<NamespacedName>,
    pub(super) configuration: Option<NamespacedName>,
    pub(super) auth: NamespacedName,
    /// The user creates the auth Secret, or has named it: with or without our labels.
    pub(super) auth_is_users: bool,
}

impl References {
    pub(super) fn of(pgpool: &Pgpool, app_binding: &Lookup<Arc<AppBinding>>) -> Self {
        let namespace = pgpool.namespace().unwrap_or_default();
        let backend_namespace = names::app_binding_namespace(pgpool);
        let binding = app_binding.present().map(|binding| &binding.spec);
        let of_binding =
            |secret: Option<&TypedReference>| Some((backend_namespace.clone(), secret?.name.clone()));
        let configuration = pgpool.spec.configuration.as_ref();
        let auth_secret = pgpool.spec.auth_secret.as_ref();
        let auth_name = auth_secret.and_then(|secret| secret.name.as_ref());
        let is_named = auth_name.is_some_and(|name| !name.is_empty());
        Self {
            backend: of_binding(binding.and_then(|spec| spec.secret.as_ref())),
            backend_tls: of_binding(binding.and_then(|spec| spec.tls_secret.as_ref())),
            configuration: configuration.and_then(|it| Some((namespace.clone(), it.secret_name.clone()?))),
            auth: (namespace, names::auth_secret(pgpool)),
            auth_is_users: is_named || is_external(pgpool),
        }
    }
}

fn is_external(pgpool: &Pgpool) -> bool {
    let auth_secret = pgpool.spec.auth_secret.as_ref();
    auth_secret
        .and_then(|secret| secret.externally_managed)
        .unwrap_or(false)
}
