//! What causes a reconcile: the changes of every cache, turned into the objects to reconcile. Wiring; which objects a
//! change concerns is decided in `mapping`.

use std::fmt::Debug;

use futures::stream::{self, BoxStream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Cache, panics};
use shared_types::{Pgpool, PgpoolOpsRequest};
use tokio_stream::wrappers::WatchStream;

use super::{Caches, mapping};

type Keys<K> = BoxStream<'static, ObjectRef<K>>;

/// Never end.
pub(crate) struct Triggers {
    pub(crate) pgpools: Keys<Pgpool>,
    pub(crate) requests: Keys<PgpoolOpsRequest>,
}

impl Triggers {
    pub(super) fn of(caches: &Caches) -> Self {
        Self {
            pgpools: of_pgpools(caches),
            requests: of_requests(caches),
        }
    }
}

fn of_pgpools(caches: &Caches) -> Keys<Pgpool> {
    let triggers = [
        changed_pgpools(caches),
        labeled(&caches.secrets),
        labeled(&caches.services),
        labeled(&caches.certificates),
        labeled(&caches.certificate_requests),
        issuers("Issuer", &caches.issuers, &caches.pgpools),
        issuers("ClusterIssuer", &caches.cluster_issuers, &caches.pgpools),
        caches.named_secrets.changes().boxed(),
        caches.issuer_cas.changes().boxed(),
        caches.ca_index.changes().boxed(),
        cert_manager(caches),
        policies(caches),
    ];
    stream::select_all(triggers).boxed()
}

/// Changes of requests, and of the Pgpools, Certificates and Secrets that requests wait for.
fn of_requests(caches: &Caches) -> Keys<PgpoolOpsRequest> {
    let triggers = [
        changed_requests(&caches.requests),
        requests_for(&caches.pgpools, &caches.requests, |pgpool| {
            Some(ObjectRef::from_obj(pgpool))
        }),
        requests_for(&caches.certificates, &caches.requests, |certificate| {
            mapping::by_label(certificate.meta())
        }),
        requests_for(&caches.secrets, &caches.requests, |secret| {
            mapping::by_label(secret.meta())
        }),
    ];
    stream::select_all(triggers).boxed()
}

/// What a mapping returns for one object; nothing if it panics, so that other objects go on to cause reconciles.
fn each<K>(mapping: impl FnOnce() -> K) -> stream::Iter<std::iter::Flatten<std::option::IntoIter<K>>>
where
    K: IntoIterator,
{
    stream::iter(panics::contained(mapping).into_iter().flatten())
}

fn changed_pgpools(caches: &Caches) -> Keys<Pgpool> {
    let all = caches.pgpools.clone();
    let changes = caches.pgpools.changes();
    changes
        .flat_map(move |changed| each(|| mapping::by_pgpool(&changed, &all.list())))
        .boxed()
}

fn labeled<K>(cache: &Cache<K>) -> Keys<Pgpool>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let changes = cache.changes();
    let changes = changes.flat_map(|changed| each(|| mapping::by_label(changed.meta())));
    let left_out = cache.left_out_objects();
    let left_out = left_out.flat_map(|left_out| each(|| mapping::by_label(&left_out.identity)));
    stream::select(changes, left_out).boxed()
}

fn issuers<K>(kind: &'static str, cache: &Cache<K>, pgpools: &Cache<Pgpool>) -> Keys<Pgpool>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let pgpools_of = {
        let all = pgpools.clone();
        move |issuer: &ObjectMeta| each(|| mapping::by_issuer(kind, issuer, &all.list()))
    };
    let left_out = {
        let pgpools_of = pgpools_of.clone();
        let left_out = cache.left_out_objects();
        left_out.flat_map(move |left_out| pgpools_of(&left_out.identity))
    };
    let changes = cache.changes();
    let changes = changes.flat_map(move |changed| pgpools_of(changed.meta()));
    stream::select(changes, left_out).boxed()
}

/// cert-manager is installed or removed: that is no change of any object.
fn cert_manager(caches: &Caches) -> Keys<Pgpool> {
    let availability = [
        caches.certificates.watch_availability(),
        caches.issuers.watch_availability(),
        caches.cluster_issuers.watch_availability(),
    ];
    let all = caches.pgpools.clone();
    stream::select_all(availability.map(WatchStream::from_changes))
        .flat_map(move |_| each(|| mapping::by_cert_manager(&all.list())))
        .boxed()
}

/// A policy is installed, changed or removed: that may concern every Pgpool with certificates.
fn policies(caches: &Caches) -> Keys<Pgpool> {
    let all = caches.pgpools.clone();
    caches
        .policies
        .changes()
        .flat_map(move |()| stream::iter(mapping::by_cert_manager(&all.list())))
        .boxed()
}

/// A request itself, and the one that may be next for its Pgpool.
fn changed_requests(cache: &Cache<PgpoolOpsRequest>) -> Keys<PgpoolOpsRequest> {
    let all = cache.clone();
    let changes = cache.changes();
    changes
        .flat_map(move |changed| {
            let own = ObjectRef::from_obj(changed.as_ref());
            let first = own.clone();
            let of_pgpool = Caches::requests_of(&all, &mapping::pgpool_of(&changed));
            let others = each(|| mapping::by_request(&changed, &of_pgpool));
            stream::iter([first]).chain(others.filter(move |key| std::future::ready(*key != own)))
        })
        .boxed()
}

fn requests_for<K>(
    cache: &Cache<K>,
    requests: &Cache<PgpoolOpsRequest>,
    pgpool: fn(&K) -> Option<ObjectRef<Pgpool>>,
) -> Keys<PgpoolOpsRequest>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let requests = requests.clone();
    let changes = cache.changes();
    changes
        .flat_map(move |changed| {
            each(|| match pgpool(&changed) {
                Some(pgpool) => mapping::next_requests(&Caches::requests_of(&requests, &pgpool)),
                None => Vec::new(),
            })
        })
        .boxed()
}

#[cfg(test)]
mod tests;
