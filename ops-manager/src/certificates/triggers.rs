//! What wakes the controller: the changes of every cache, turned into the Pgpools that they concern. Only wiring; who is
//! concerned is decided in `interest`.

use futures::stream::{self, BoxStream, Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Cache;
use shared_types::Pgpool;
use tokio_stream::wrappers::WatchStream;

use super::caches::Caches;
use super::interest;

type Triggers = BoxStream<'static, ObjectRef<Pgpool>>;

/// Gives every Pgpool that has to be looked at, from now on; never ends.
pub(crate) fn triggers(caches: &Caches) -> impl Stream<Item = ObjectRef<Pgpool>> + Send + use<> {
    stream::select_all([
        pgpools(caches),
        labelled(&caches.secrets),
        labelled(&caches.services),
        labelled(&caches.certificates),
        labelled(&caches.requests),
        issuers("Issuer", &caches.issuers, &caches.pgpools),
        issuers("ClusterIssuer", &caches.cluster_issuers, &caches.pgpools),
        caches.named.changes().boxed(),
        caches.authorities.changes().boxed(),
        cert_manager(caches),
    ])
}

fn pgpools(caches: &Caches) -> Triggers {
    let all = caches.pgpools.clone();
    caches
        .pgpools
        .changes()
        .flat_map(move |changed| stream::iter(interest::by_pgpool(&changed, &all.list())))
        .boxed()
}

fn labelled<K>(cache: &Cache<K>) -> Triggers
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    cache
        .changes()
        .filter_map(|changed| std::future::ready(interest::by_label(changed.meta())))
        .boxed()
}

fn issuers<K>(kind: &'static str, cache: &Cache<K>, pgpools: &Cache<Pgpool>) -> Triggers
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let all = pgpools.clone();
    cache
        .changes()
        .flat_map(move |changed| stream::iter(interest::by_issuer(kind, changed.meta(), &all.list())))
        .boxed()
}

/// cert-manager comes or goes: that is no change of any object.
fn cert_manager(caches: &Caches) -> Triggers {
    let states = [
        caches.certificates.watch_availability(),
        caches.issuers.watch_availability(),
        caches.cluster_issuers.watch_availability(),
    ];
    let all = caches.pgpools.clone();
    stream::select_all(states.map(WatchStream::from_changes))
        .flat_map(move |_| stream::iter(interest::by_cert_manager(&all.list())))
        .boxed()
}

#[cfg(test)]
mod tests;
