//! What is watched, and what of it is kept. Wiring: the watches of this controller and the triggers they produce.

pub(crate) mod mapping;

use std::sync::Arc;

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt, stream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use operator_runtime::cache::keep_last_change;
use operator_runtime::decode::LeftOut;
use operator_runtime::{Cache, Demand, Kind, Runtime, panics};
use shared_types::{AppBinding, Pgpool, PgpoolVersion, names};
use tokio_stream::wrappers::WatchStream;

use crate::across_namespaces::{AcrossNamespaces, Refused};
use crate::pgpool::observe::pods;
use crate::prometheus::ServiceMonitor;

/// Everything that is watched. Of kinds that others use, too, only the objects with our labels.
#[derive(Clone)]
pub(crate) struct Caches {
    pub(crate) pgpools: Cache<Pgpool>,
    pub(crate) versions: Cache<PgpoolVersion>,
    pub(crate) app_bindings: Cache<AppBinding>,
    /// Ours, and those of certificates.
    pub(crate) secrets: Cache<Secret>,
    pub(crate) services: Cache<Service>,
    pub(crate) service_accounts: Cache<ServiceAccount>,
    pub(crate) stateful_sets: Cache<StatefulSet>,
    pub(crate) budgets: Cache<PodDisruptionBudget>,
    /// Trimmed to what [`pods::facts`] reads.
    pub(crate) pods: Cache<Pod>,
    /// Watched only while a `Pgpool` needs them.
    pub(crate) service_monitors: Cache<ServiceMonitor>,
    /// The `Pgpool`s that need [`Self::service_monitors`].
    pub(crate) monitored: Demand<Pgpool>,
    /// Users of PostgreSQL; watched only while a `Pgpool` syncs them. Only the login is kept.
    pub(crate) user_secrets: Cache<Secret>,
    /// The `Pgpool`s that sync users.
    pub(crate) synced: Demand<Pgpool>,
    /// The `Pgpool`s without consent: changes in the namespace of their `AppBinding` must not trigger them.
    pub(crate) refused: Refused,
}

/// The `Pgpool`s to reconcile.
pub(crate) type Triggers = SelectAll<BoxStream<'static, ObjectRef<Pgpool>>>;

impl Caches {
    pub(crate) fn watch(runtime: &mut Runtime, across: AcrossNamespaces) -> (Self, Triggers) {
        let refused = Refused::default();
        let all = watcher::Config::default;
        let mut triggers = SelectAll::new();
        let (pgpools, changes) = runtime.watch(all(), |_: &mut Pgpool| {});
        triggers.push(changes.map(|pgpool| ObjectRef::from_obj(pgpool.as_ref())).boxed());
        // Missing rights on these two are reported in each Pgpool.
        let (versions, changes) = runtime.watch_optional(all(), |_: &mut PgpoolVersion| {});
        triggers.push(fan_out(changes, &pgpools, |version: &PgpoolVersion, pgpools| {
            mapping::by_version(version.meta(), pgpools)
        }));
        triggers.push(fan_out(
            versions.left_out_objects(),
            &pgpools,
            |left_out: &LeftOut, pgpools| mapping::by_version(&left_out.identity, pgpools),
        ));
        let (app_bindings, changes) = runtime.watch_optional(all(), |_: &mut AppBinding| {});
        let known = refused.clone();
        triggers.push(fan_out(changes, &pgpools, move |binding, pgpools| {
            mapping::by_app_binding(binding, pgpools, across, &known)
        }));
        let known = refused.clone();
        triggers.push(fan_out(
            app_bindings.left_out_objects(),
            &pgpools,
            move |left_out: &LeftOut, pgpools| {
                mapping::by_app_binding_left_out(&left_out.identity, pgpools, &known)
            },
        ));
        let labeled = watcher::Config::default().labels(names::SELECTOR);
        let (service_monitors, changes, monitored) = runtime.watch_on_demand(labeled, |_| {});
        triggers.push(by_label(changes));
        let users = watcher::Config::default().labels(names::USER_SELECTOR);
        let (user_secrets, changes, synced) = runtime.watch_on_demand(users, trim_user_secret);
        let known = refused.clone();
        triggers.push(fan_out(changes, &pgpools, move |secret, pgpools| {
            mapping::by_user_secret(secret, pgpools, &known)
        }));
        let caches = Self {
            user_secrets,
            synced,
            refused,
            service_monitors,
            monitored,
            secrets: ours(runtime, &mut triggers, trim_owned_secret),
            services: ours(runtime, &mut triggers, |_| {}),
            service_accounts: ours(runtime, &mut triggers, |_| {}),
            stateful_sets: ours(runtime, &mut triggers, |_| {}),
            budgets: ours(runtime, &mut triggers, |_| {}),
            pods: ours(runtime, &mut triggers, pods::trim),
            pgpools,
            versions,
            app_bindings,
        };
        triggers.push(caches.served_again());
        (caches, triggers)
    }

    /// All `Pgpool`s, whenever a kind that they refer to becomes readable or unreadable: "does not exist" and "not readable"
    /// look the same in an empty cache.
    fn served_again(&self) -> BoxStream<'static, ObjectRef<Pgpool>> {
        let kinds = [
            self.versions.watch_availability(),
            self.app_bindings.watch_availability(),
            self.secrets.watch_availability(),
            self.service_monitors.watch_availability(),
            self.user_secrets.watch_availability(),
        ];
        let pgpools = self.pgpools.clone();
        let changes = stream::select_all(kinds.map(WatchStream::from_changes));
        let all = move |_| {
            let pgpools = pgpools.list();
            stream::iter(
                pgpools
                    .into_iter()
                    .map(|pgpool| ObjectRef::from_obj(pgpool.as_ref())),
            )
        };
        changes.flat_map(all).boxed()
    }
}

/// Watches a kind by our labels; a change triggers the `Pgpool` in the labels.
fn ours<K>(runtime: &mut Runtime, triggers: &mut Triggers, trim: fn(&mut K)) -> Cache<K>
where
    K: Kind + Resource<Scope = NamespaceResourceScope>,
{
    let (cache, changes) = runtime.watch(watcher::Config::default().labels(names::SELECTOR), trim);
    triggers.push(by_label(changes));
    triggers.push(labeled(cache.left_out_objects(), |left_out| &left_out.identity));
    cache
}

fn by_label<K>(changes: impl Stream<Item = Arc<K>> + Send + 'static) -> BoxStream<'static, ObjectRef<Pgpool>>
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
{
    labeled(changes, Resource::meta)
}

fn labeled<T>(
    changes: impl Stream<Item = Arc<T>> + Send + 'static,
    meta: fn(&T) -> &ObjectMeta,
) -> BoxStream<'static, ObjectRef<Pgpool>>
where
    T: Send + Sync + 'static,
{
    changes
        .filter_map(move |object| {
            let pgpool = panics::contained(|| mapping::by_label(meta(&object)));
            std::future::ready(pgpool.flatten())
        })
        .boxed()
}

/// `dependents` returns which of all `Pgpool`s depend on an object.
fn fan_out<K>(
    changes: impl Stream<Item = Arc<K>> + Send + 'static,
    pgpools: &Cache<Pgpool>,
    dependents: impl Fn(&K, &[Arc<Pgpool>]) -> Vec<ObjectRef<Pgpool>> + Send + 'static,
) -> BoxStream<'static, ObjectRef<Pgpool>>
where
    K: Send + Sync + 'static,
{
    let pgpools = pgpools.clone();
    changes
        .flat_map(move |object| {
            let dependents = panics::contained(|| dependents(&object, &pgpools.list()));
            stream::iter(dependents.unwrap_or_default())
        })
        .boxed()
}

/// Keeps all of an owned Secret, since it is compared with what is built, and when it last changed, since that decides
/// which pods need a volume sync.
fn trim_owned_secret(secret: &mut Secret) {
    keep_last_change(secret);
}

/// Drops what nobody reads before a Secret that users name enters the cache.
pub(crate) fn trim_named_secret(secret: &mut Secret) {
    secret.metadata.annotations = None;
    secret.metadata.owner_references = None;
}

/// Keeps only the login: other Secrets of a PostgreSQL have the same labels.
fn trim_user_secret(secret: &mut Secret) {
    secret.metadata.annotations = None;
    if let Some(labels) = &mut secret.metadata.labels {
        labels.retain(|key, _| key == names::LABEL_INSTANCE);
    }
    if let Some(data) = &mut secret.data {
        data.retain(|key, _| ["username", "user", "password"].contains(&key.as_str()));
    }
}
