//! The objects that a `Pgpool` owns, as the caches have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use operator_runtime::Cache;
use shared_types::{Pgpool, names};

use super::Live;
use crate::pgpool::context::Context;

/// Reads them from the caches, and from what was just written where a cache lags behind.
pub(super) fn live(pgpool: &Pgpool, context: &Context) -> Live {
    let caches = &context.caches;
    let look = Look {
        key: &ObjectRef::from_obj(pgpool),
        context,
    };
    let name = pgpool.name_any();
    Live {
        primary_service: look.up(&caches.services, &names::primary_service(pgpool)),
        governing_service: look.up(&caches.services, &names::governing_service(pgpool)),
        service_account: look.up(&caches.service_accounts, &names::service_account(pgpool)),
        auth_secret: look.up(&caches.secrets, &names::auth_secret(pgpool)),
        config_secret: look.up(&caches.secrets, &names::config_secret(pgpool)),
        pcp_secret: look.up(&caches.secrets, &names::pcp_secret(pgpool)),
        users_secret: look.up(&caches.secrets, &names::users_secret(pgpool)),
        pod_disruption_budget: look.up(&caches.budgets, &name),
        app_binding: look.up(&caches.app_bindings, &name),
        stateful_set: look.up(&caches.stateful_sets, &name),
        tls_copies: tls_copies(pgpool, &look),
    }
}

/// Looks an object up.
struct Look<'a> {
    key: &'a ObjectRef<Pgpool>,
    context: &'a Context,
}

impl Look<'_> {
    fn up<K>(&self, cache: &Cache<K>, name: &str) -> Option<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    {
        let cached = cache.get(self.key.namespace.as_deref(), name);
        self.context.written.current(self.key, name, cached)
    }
}

fn tls_copies(pgpool: &Pgpool, look: &Look<'_>) -> BTreeMap<String, Arc<Secret>> {
    let cache = &look.context.caches.secrets;
    let cached = cache
        .list()
        .into_iter()
        .filter(|secret| is_tls_copy(secret, pgpool));
    let names: BTreeSet<_> = cached
        .map(|secret| secret.name_any())
        .chain(look.context.written.names::<Secret>(look.key))
        .collect();
    let found = names
        .into_iter()
        .filter_map(|name| Some((look.up(cache, &name)?, name)));
    found
        .filter(|(secret, _)| is_tls_copy(secret, pgpool))
        .map(|(secret, name)| (name, secret))
        .collect()
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
