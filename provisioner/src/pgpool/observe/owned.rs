//! The objects that a `Pgpool` owns, as the caches have them.

use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use shared_types::{Pgpool, names};

use super::Live;
use crate::pgpool::context::Context;

pub(super) fn live(pgpool: &Pgpool, context: &Context) -> Live {
    let caches = &context.caches;
    let name = pgpool.name_any();
    let namespace = pgpool.namespace().unwrap_or_default();
    let secret = |name: String| caches.secrets.get(Some(&namespace), &name);
    let copies = caches
        .secrets
        .list()
        .into_iter()
        .filter(|secret| is_tls_copy(secret, pgpool));
    Live {
        primary_service: caches
            .services
            .get(Some(&namespace), &names::primary_service(pgpool)),
        governing_service: caches
            .services
            .get(Some(&namespace), &names::governing_service(pgpool)),
        service_account: caches
            .service_accounts
            .get(Some(&namespace), &names::service_account(pgpool)),
        auth_secret: secret(names::auth_secret(pgpool)),
        config_secret: secret(names::config_secret(pgpool)),
        pcp_secret: secret(names::pcp_secret(pgpool)),
        users_secret: secret(names::users_secret(pgpool)),
        pod_disruption_budget: caches.budgets.get(Some(&namespace), &name),
        app_binding: caches.app_bindings.get(Some(&namespace), &name),
        stateful_set: caches.stateful_sets.get(Some(&namespace), &name),
        tls_copies: copies.map(|secret| (secret.name_any(), secret)).collect(),
    }
}

/// Whether a Secret is one of our copies: immutable, controlled by this `Pgpool`, and named as only a copy is.
#[must_use]
pub fn is_tls_copy(secret: &Secret, pgpool: &Pgpool) -> bool {
    let name = secret.name_any();
    let hash = name.rsplit('-').next().unwrap_or_default();
    let owned = || {
        let owner = pgpool.meta().uid.as_ref();
        secret
            .owner_references()
            .iter()
            .any(|it| it.controller == Some(true) && Some(&it.uid) == owner)
    };
    secret.immutable == Some(true)
        && secret.namespace() == pgpool.namespace()
        && name == names::tls_secret(&pgpool.name_any(), hash)
        && owned()
}
