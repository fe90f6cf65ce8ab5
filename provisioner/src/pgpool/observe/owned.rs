//! The objects that a `Pgpool` owns, as the caches have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use operator_runtime::Cache;
use operator_runtime::Claim;
use shared_types::{Pgpool, names};

use super::certificate_revision::CertificateRevision;
use super::{ConfigCheck, Live, kind};
use crate::context::Context;

/// Reads them from the caches, and from pending writes where a cache lags behind.
pub(super) fn live(pgpool: &Pgpool, context: &Context) -> Live {
    let caches = &context.caches;
    let look = Look {
        key: &ObjectRef::from_obj(pgpool),
        context,
    };
    let name = pgpool.name_any();
    let (tls_copies, config_checks) = addressed(pgpool, &look);
    let stats = names::stats_service(pgpool);
    Live {
        service_monitor: look.up(&caches.service_monitors, &stats),
        service_monitors: kind(&caches.service_monitors, look.key.namespace.as_deref()),
        stats_service: look.up(&caches.services, &stats),
        exporter_secret: look.up(&caches.secrets, &names::exporter_secret(pgpool)),
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
        tls_copies,
        config_checks,
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
        self.context.memory.pending.current(self.key, name, cached)
    }
}

/// TLS copies and config checks: Secrets named by their content, found by the labels of all our objects.
fn addressed(
    pgpool: &Pgpool,
    look: &Look<'_>,
) -> (
    BTreeMap<CertificateRevision, Arc<Secret>>,
    BTreeMap<String, ConfigCheck>,
) {
    let cache = &look.context.caches.secrets;
    let of_this = |secret: &Secret| is_tls_copy(secret, pgpool) || is_config_check(secret, pgpool);
    let namespace = look.key.namespace.as_deref().unwrap_or_default();
    let cached = cache.of_instance(namespace, &look.key.name).into_iter();
    let cached = cached.filter(|secret| of_this(secret));
    let names: BTreeSet<_> = cached
        .map(|secret| secret.name_any())
        .chain(look.context.memory.pending.names::<Secret>(look.key))
        .collect();
    let (mut copies, mut config_checks) = (BTreeMap::new(), BTreeMap::new());
    for name in names {
        let Some(secret) = look.up(cache, &name) else {
            continue;
        };
        if is_tls_copy(&secret, pgpool) {
            copies.insert(CertificateRevision::of_copy(&secret), secret);
        } else if is_config_check(&secret, pgpool) {
            let ours = |pod: &Arc<Pod>| Claim::of(pgpool).controls(pod.meta());
            let pod = look.up(&look.context.caches.pods, &name).filter(ours);
            config_checks.insert(name, ConfigCheck { secret, pod });
        }
    }
    (copies, config_checks)
}

/// Whether a Secret is a TLS copy: immutable, controlled by this `Pgpool`, and named as only a TLS copy is.
pub(crate) fn is_tls_copy(secret: &Secret, pgpool: &Pgpool) -> bool {
    is_addressed(secret, pgpool, names::tls_secret)
}

fn is_config_check(secret: &Secret, pgpool: &Pgpool) -> bool {
    is_addressed(secret, pgpool, names::config_check)
}

fn is_addressed(secret: &Secret, pgpool: &Pgpool, named: fn(&str, &str) -> String) -> bool {
    let name = secret.name_any();
    let hash = name.rsplit('-').next().unwrap_or_default();
    secret.immutable == Some(true)
        && secret.namespace() == pgpool.namespace()
        && name == named(&pgpool.name_any(), hash)
        && Claim::of(pgpool).controls(secret.meta())
}
