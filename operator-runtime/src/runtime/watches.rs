//! Starts the watches of the caches, each as a task of the process.

use kube::Resource;
use kube::runtime::watcher;

use super::Runtime;
use crate::cache::{Cache, Changes, Demand, Environment, Readiness, Reduce, Watched};
use crate::kind::Kind;
use crate::left_out::{self, Wording};
use crate::scope::Placement;

impl Runtime {
    /// Starts to cache a kind that the operator cannot do without: the process is not ready before every
    /// part of the scope has answered, nor while it is forbidden to see the kind everywhere. A namespace
    /// where it is forbidden stops no other.
    ///
    /// `config` holds the selectors. `reduce` drops what no decision needs; managed fields and kubectl's
    /// copy of the last applied object are always dropped.
    pub fn watch<K>(&mut self, config: watcher::Config, reduce: Reduce<K>) -> (Cache<K>, Changes<K>)
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let watched = self.watched(config, reduce, Readiness::NeedsKind);
        for feed in watched.feeds() {
            self.follow(feed);
        }
        (watched.cache, watched.changes)
    }

    /// Like [`Runtime::watch`], for a kind whose absence the operator can report to its users: the process
    /// becomes ready even if it is forbidden to watch the kind.
    pub fn watch_optional<K>(&mut self, config: watcher::Config, reduce: Reduce<K>) -> (Cache<K>, Changes<K>)
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let watched = self.watched(config, reduce, Readiness::NeedsAnswer);
        for feed in watched.feeds() {
            self.follow(feed);
        }
        (watched.cache, watched.changes)
    }

    /// As [`Runtime::watch_optional`], for a kind that few objects need: it is watched while the [`Demand`]
    /// names one, and the process is ready without it. Otherwise the cache is empty and
    /// [`Availability::Starting`](crate::Availability::Starting).
    pub fn watch_on_demand<K, R>(
        &mut self,
        config: watcher::Config,
        reduce: Reduce<K>,
    ) -> (Cache<K>, Changes<K>, Demand<R>)
    where
        K: Kind,
        K::Scope: Placement<K>,
        R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        let demand = Demand::default();
        let watched = self.watched(config, reduce, Readiness::Independent);
        for feed in watched.feeds_on_demand(&demand) {
            self.follow(feed);
        }
        (watched.cache, watched.changes, demand)
    }

    /// Starts to report objects of a kind that cannot be decoded, in a condition of each. For the one operator that
    /// writes this condition, once it leads.
    pub fn report_left_out<K>(&mut self, cache: Cache<K>, wording: Wording<K>)
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let field_manager = format!("{}-decode", self.identity.field_manager);
        let report = left_out::report(self.client(), field_manager, cache, wording);
        self.follow(report);
    }

    fn watched<K>(&self, config: watcher::Config, reduce: Reduce<K>, readiness: Readiness) -> Watched<K>
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let environment = Environment {
            client: &self.client.0,
            scope: &self.scope,
            gates: &self.gates,
            metrics: &self.metrics,
        };
        Watched::new(environment, config, reduce, readiness)
    }

    /// Runs a watch until the drain. Reconciles that end during the drain read the cache as it was then.
    fn follow(&mut self, feed: impl Future<Output = ()> + Send + 'static) {
        let drain = self.drain.clone();
        self.spawn("cache", async move {
            drain.run_until_cancelled_owned(feed).await;
        });
    }
}
