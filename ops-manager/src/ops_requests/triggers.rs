//! What wakes the controller: changes of requests, and of the Pgpools, Certificates and Secrets that requests wait for.
//! Pgpools without an open request cost one look-up in memory.

use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Cache;
use shared_types::{Pgpool, PgpoolOpsRequest};

use super::caches::Caches;
use super::status;
use crate::certificates::interest;

type Triggers = BoxStream<'static, ObjectRef<PgpoolOpsRequest>>;

/// Gives every request that has to be looked at, from now on; never ends.
pub(crate) fn triggers(caches: &Caches) -> impl Stream<Item = ObjectRef<PgpoolOpsRequest>> + Send + use<> {
    stream::select_all([
        requests(&caches.requests),
        through(&caches.pgpools, &caches.requests, |pgpool| {
            Some(ObjectRef::from_obj(pgpool))
        }),
        through(&caches.certificates, &caches.requests, |certificate| {
            interest::by_label(certificate.meta())
        }),
        through(&caches.secrets, &caches.requests, |secret| {
            interest::by_label(secret.meta())
        }),
    ])
}

/// A request itself, and the others of its Pgpool: it may be their turn.
fn requests(cache: &Cache<PgpoolOpsRequest>) -> Triggers {
    let all = cache.clone();
    cache
        .changes()
        .flat_map(move |changed| {
            let own = ObjectRef::from_obj(changed.as_ref());
            let others = open(&pgpool_of(&changed), &all.list());
            stream::iter(
                [own.clone()]
                    .into_iter()
                    .chain(others.into_iter().filter(move |other| *other != own)),
            )
        })
        .boxed()
}

/// The requests about the Pgpool that a change concerns.
fn through<K>(
    cache: &Cache<K>,
    requests: &Cache<PgpoolOpsRequest>,
    pgpool: fn(&K) -> Option<ObjectRef<Pgpool>>,
) -> Triggers
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let requests = requests.clone();
    cache
        .changes()
        .flat_map(move |changed| {
            let concerned = pgpool(&changed).map(|pgpool| open(&pgpool, &requests.list()));
            stream::iter(concerned.unwrap_or_default())
        })
        .boxed()
}

/// The Pgpool that a request is about.
pub(crate) fn pgpool_of(request: &PgpoolOpsRequest) -> ObjectRef<Pgpool> {
    let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
    ObjectRef::new(&request.spec.database_ref.name).within(namespace)
}

/// The requests about a Pgpool that are not over.
pub(crate) fn open(
    pgpool: &ObjectRef<Pgpool>,
    requests: &[Arc<PgpoolOpsRequest>],
) -> Vec<ObjectRef<PgpoolOpsRequest>> {
    let open = requests.iter().filter(|request| {
        request.spec.database_ref.name == pgpool.name
            && request.metadata.namespace == pgpool.namespace
            && !request.status.as_ref().is_some_and(status::is_over)
    });
    open.map(|request| ObjectRef::from_obj(request.as_ref()))
        .collect()
}
