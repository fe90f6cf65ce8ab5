//! Objects watched one by one, by name, while someone refers to them.
//!
//! For kinds of which a cluster holds many that are none of our business: what a user names (the Secret
//! of an `AppBinding`, say) is watched under that name alone. Objects that several refer to are watched
//! once; a watch ends when nobody refers to its object any more. Nothing here writes.

mod state;

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;
use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::state::{Followed, Shared, Target};
use crate::backoff::WATCHES;
use crate::cache::{Reduce, Refusal, events, patience, refusal};
use crate::error_chain;
use crate::runtime::Runtime;
use crate::wake_set::Wakes;

/// What is known about an object that someone refers to.
#[derive(Clone)]
pub enum Lookup<K> {
    /// Not looked at yet; the referrer is triggered when it is.
    Pending,
    /// There is none.
    Absent,
    /// We may not see it.
    Forbidden,
    /// There it is.
    Present(Arc<K>),
}

/// Never shows the object: it may be a Secret.
impl<K> Debug for Lookup<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Absent => "Absent",
            Self::Forbidden => "Forbidden",
            Self::Present(_) => "Present(..)",
        })
    }
}

/// Objects of kind `K` that objects of kind `R` refer to. Clones are the same set.
pub struct Named<K, R>
where
    R: Resource<DynamicType = ()>,
{
    shared: Arc<Shared<K, R>>,
    orders: mpsc::UnboundedSender<Order>,
}

impl<K, R> Clone for Named<K, R>
where
    R: Resource<DynamicType = ()>,
{
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            orders: self.orders.clone(),
        }
    }
}

/// Never shows the objects: some are Secrets.
impl<K, R> Debug for Named<K, R>
where
    R: Resource<DynamicType = ()>,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").finish_non_exhaustive()
    }
}

/// What the supervisor is told.
#[derive(Clone, Debug)]
enum Order {
    /// Watch an object. The number tells this watch from earlier ones of the same object.
    Start(Target, u64),
    /// Watch it no longer.
    Stop(Target),
}

impl<K, R> Named<K, R>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    /// Starts the supervisor of the watches. `reduce` drops what no decision needs.
    pub fn new(runtime: &mut Runtime, reduce: Reduce<K>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let supervisor = supervise(
            runtime.client(),
            Arc::clone(&shared),
            received,
            reduce,
            runtime.drain(),
        );
        runtime.spawn("named watches", supervisor);
        Self { shared, orders }
    }

    /// Replaces what `who` refers to: `(namespace, name)`. An empty slice forgets the referrer.
    ///
    /// An object that is followed already is known at once; another is [`Lookup::Pending`] until it was
    /// looked at, and then its referrers are triggered. What the API server would not take for a name is
    /// [`Lookup::Absent`], and nobody is asked about it.
    pub fn follow(&self, who: &ObjectRef<R>, what: &[(String, String)]) {
        for followed in self.shared.follow(who, what) {
            let order = match followed {
                Followed::First(target, number) => Order::Start(target, number),
                Followed::NoMore(target) => Order::Stop(target),
            };
            // The supervisor is gone only when the process stops.
            let _ = self.orders.send(order);
        }
    }

    /// Returns what is known about an object.
    #[must_use]
    pub fn lookup(&self, namespace: &str, name: &str) -> Lookup<K> {
        self.shared.lookup(namespace, name)
    }

    /// Returns the referrers whose objects change, each once however often they do before it is polled.
    pub fn changes(&self) -> Wakes<ObjectRef<R>> {
        self.shared.subscribe()
    }
}

/// Holds every watch, so that all of them end with it.
async fn supervise<K, R>(
    client: Client,
    shared: Arc<Shared<K, R>>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    reduce: Reduce<K>,
    drain: CancellationToken,
) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut watches = JoinSet::new();
    let mut handles: HashMap<Target, AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            () = drain.cancelled() => return Ok(()),
            Some(ended) = watches.join_next() => match ended {
                Err(error) if error.is_panic() => return Err(error).context("a watch panicked"),
                _ => {}
            },
            order = orders.recv() => match order {
                Some(Order::Start(target, number)) => {
                    let api = Api::namespaced(client.clone(), &target.namespace);
                    let watch = watch(api, target.clone(), number, Arc::clone(&shared), reduce);
                    if let Some(before) = handles.insert(target, watches.spawn(watch)) {
                        before.abort();
                    }
                }
                Some(Order::Stop(target)) => {
                    if let Some(handle) = handles.remove(&target) {
                        handle.abort();
                    }
                }
                // Nobody is left who could follow anything.
                None => drain.cancelled().await,
            },
        }
    }
}

/// How an object stands, now and after each change; `None` when there is none.
fn states<K>(
    api: Api<K>,
    target: &Target,
    patience: u32,
    reduce: Reduce<K>,
) -> impl Stream<Item = watcher::Result<Option<K>>> + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={}", target.name))
        .timeout(patience);
    let mut seen = false;
    events(api, config, reduce).filter_map(move |event| {
        let state = match event {
            Ok(Event::Init) => {
                seen = false;
                None
            }
            Ok(Event::InitApply(object)) => {
                seen = true;
                Some(Ok(Some(object)))
            }
            Ok(Event::InitDone) => (!seen).then_some(Ok(None)),
            Ok(Event::Apply(object)) => Some(Ok(Some(object))),
            Ok(Event::Delete(_)) => Some(Ok(None)),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(state)
    })
}

/// Follows one object for ever.
async fn watch<K, R>(api: Api<K>, target: Target, number: u64, shared: Arc<Shared<K, R>>, reduce: Reduce<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut failures = 0;
    loop {
        let patience = patience(shared.targets(), &mut rand::rng());
        let mut states = pin!(states(api.clone(), &target, patience, reduce));
        while let Some(state) = states.next().await {
            let error = match state {
                Ok(object) => {
                    failures = 0;
                    let found = object.map_or(Lookup::Absent, |object| Lookup::Present(Arc::new(object)));
                    shared.found(&target, number, found);
                    continue;
                }
                Err(error) => error,
            };
            failures += 1;
            debug!(kind = %K::kind(&()), object = %target, error = %error_chain(&error), "watch failed");
            let refused = refusal(&error);
            match refused {
                Some(Refusal::Absent) => shared.found(&target, number, Lookup::Absent),
                Some(Refusal::Forbidden) => shared.found(&target, number, Lookup::Forbidden),
                Some(Refusal::Expired) | None => {}
            }
            let delay = WATCHES.delay(failures, &mut rand::rng());
            tokio::time::sleep(delay).await;
            if refused.is_some() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests;
