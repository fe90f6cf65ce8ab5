//! Drives a reconcile function over a cache and a stream of triggers.

use std::fmt::Debug;
use std::sync::Arc;

use futures::Stream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::ownership::Ownership;

/// An error that knows its label in metrics.
pub trait Classified: std::error::Error {
    /// Returns the label, from a fixed set.
    fn class(&self) -> &'static str;
}

/// How a controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in metrics and logs.
    pub name: &'static str,
    /// How many objects are reconciled at once.
    pub concurrency: u16,
    /// Cancelled when no further reconcile may start.
    pub drain: CancellationToken,
    /// Where it counts.
    pub metrics: Metrics,
    /// Whether an object is ours to act on.
    pub ownership: Arc<dyn Ownership>,
}

/// Reconciles objects until the drain.
pub async fn drive<K, C, E, Fut>(
    options: Options,
    cache: Cache<K>,
    triggers: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    context: Arc<C>,
    reconcile: impl Fn(Arc<K>, Arc<C>) -> Fut + Send + Sync + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    C: Send + Sync + 'static,
    E: Classified + Send + 'static,
    Fut: Future<Output = Result<Outcome, E>> + Send + 'static,
{
    let _ = (options, cache, triggers, context, reconcile);
    unimplemented!()
}
