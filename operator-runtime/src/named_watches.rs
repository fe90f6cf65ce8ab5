//! Watches single objects by name while other objects refer to them.
//!
//! For kinds of which a cluster holds many unrelated objects: what a user names, for example the Secret of
//! an `AppBinding`, is watched under that name alone. An object with several referrers is watched once; its
//! watch ends with the last reference. Nothing here writes.

mod state;

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::pin::pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::state::{Followed, Shared, Target};
use crate::backoff::WATCHES;
use crate::cache::{Incoming, Reduce, Refusal, events, refusal, watch_seconds};
use crate::decode::{Received, Undecodable};
use crate::error_chain;
use crate::kind::Kind;
use crate::runtime::Runtime;
use crate::wake_set::Wakes;

/// What is known about an object that is referred to.
#[derive(Clone)]
pub enum Lookup<K> {
    /// Not known yet; the referrer is woken when it is.
    Pending,
    /// The object does not exist.
    Absent,
    /// The operator has no right to read it.
    Forbidden,
    /// The object cannot be decoded.
    Undecodable(Undecodable),
    /// The object.
    Present(Arc<K>),
}

/// Never shows the object: it may be a Secret.
impl<K> Debug for Lookup<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Absent => "Absent",
            Self::Forbidden => "Forbidden",
            Self::Undecodable(_) => "Undecodable(..)",
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
    commands: mpsc::UnboundedSender<Command>,
}

impl<K, R> Clone for Named<K, R>
where
    R: Resource<DynamicType = ()>,
{
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            commands: self.commands.clone(),
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

/// A command to the supervisor of the watches.
#[derive(Clone, Debug)]
enum Command {
    /// Watch an object. The number distinguishes this watch from earlier ones of the same object.
    Start(Target, u64),
    /// Stop watching it.
    Stop(Target),
}

impl<K, R> Named<K, R>
where
    K: Kind + Resource<Scope = NamespaceResourceScope>,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    /// Starts the supervisor of the watches. `reduce` drops what no decision needs.
    pub fn new(runtime: &mut Runtime, reduce: Reduce<K>) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let supervisor = supervise(
            runtime.client(),
            Arc::clone(&shared),
            received,
            reduce,
            runtime.drain(),
        );
        runtime.spawn("named watches", supervisor);
        Self { shared, commands }
    }

    /// Replaces what `who` refers to: `(namespace, name)`. An empty slice forgets the referrer.
    ///
    /// An object that is followed already is known at once; another is [`Lookup::Pending`] until it was read,
    /// and then its referrers are woken. A name that the API server would reject is [`Lookup::Absent`], and no
    /// request is sent for it.
    pub fn follow(&self, who: &ObjectRef<R>, what: &[(String, String)]) {
        for followed in self.shared.follow(who, what) {
            let command = match followed {
                Followed::First(target, number) => Command::Start(target, number),
                Followed::NoMore(target) => Command::Stop(target),
            };
            // The supervisor is gone only when the process stops.
            let _ = self.commands.send(command);
        }
    }

    /// Returns what is known about an object.
    #[must_use]
    pub fn lookup(&self, namespace: &str, name: &str) -> Lookup<K> {
        self.shared.lookup(namespace, name)
    }

    /// Returns the referrers whose objects change.
    pub fn changes(&self) -> Wakes<ObjectRef<R>> {
        self.shared.subscribe()
    }
}

/// Holds every watch, so that they all end with it.
async fn supervise<K, R>(
    client: Client,
    shared: Arc<Shared<K, R>>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    reduce: Reduce<K>,
    drain: CancellationToken,
) -> Result<(), JoinError>
where
    K: Kind + Resource<Scope = NamespaceResourceScope>,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut watches = JoinSet::new();
    let mut handles: HashMap<Target, AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            () = drain.cancelled() => return Ok(()),
            Some(ended) = watches.join_next() => match ended {
                Err(error) if error.is_panic() => return Err(error),
                _ => {}
            },
            command = commands.recv() => match command {
                Some(Command::Start(target, number)) => {
                    let api = Api::namespaced(client.clone(), &target.namespace);
                    let watch = watch(api, target.clone(), number, Arc::clone(&shared), reduce);
                    if let Some(before) = handles.insert(target, watches.spawn(watch)) {
                        before.abort();
                    }
                }
                Some(Command::Stop(target)) => {
                    if let Some(handle) = handles.remove(&target) {
                        handle.abort();
                    }
                }
                // Every handle is dropped: nothing can be followed any more.
                None => drain.cancelled().await,
            },
        }
    }
}

/// The current state of an object, then every further state; `None` while it does not exist.
fn states<K>(
    api: Api<Received<K>>,
    target: &Target,
    seconds: u32,
    reduce: Reduce<K>,
) -> impl Stream<Item = watcher::Result<Option<Incoming<K>>>> + use<K>
where
    K: Kind,
{
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={}", target.name))
        .timeout(seconds);
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

/// Follows one object until the task is aborted.
async fn watch<K, R>(
    api: Api<Received<K>>,
    target: Target,
    number: u64,
    shared: Arc<Shared<K, R>>,
    reduce: Reduce<K>,
) where
    K: Kind,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut failures = 0_u32;
    loop {
        let seconds = watch_seconds(shared.targets(), &mut rand::rng());
        let mut states = pin!(states(api.clone(), &target, seconds, reduce));
        while let Some(state) = states.next().await {
            let error = match state {
                Ok(object) => {
                    failures = 0;
                    match object {
                        None => shared.found(&target, number, Lookup::Absent),
                        Some(Ok(object)) => shared.received(&target, number, object),
                        Some(Err(left_out)) => {
                            shared.found(&target, number, Lookup::Undecodable(left_out.why));
                        }
                    }
                    continue;
                }
                Err(error) => error,
            };
            failures = failures.saturating_add(1);
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
