//! One watch: lists and follows, and converts both into single changes of the cache.

use std::collections::HashSet;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use rand::{Rng, RngExt};
use tracing::debug;

use super::source::{Incoming, Reduce, events};
use super::{Availability, Demand, Shared, left_out};
use crate::backoff::WATCHES;
use crate::decode::Received;
use crate::kind::Kind;

/// How long the API server may take for one page of a list.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);

/// Returns for how many seconds one watch request lasts. A connection that died silently is noticed only then,
/// so it should be short; but each request costs the API server something, so many watches together send about
/// one request a second, up to the longest duration. Jitter keeps watches that began together from ending
/// together.
pub(crate) fn watch_seconds(watches: usize, rng: &mut impl Rng) -> u32 {
    const SHORTEST: u32 = 60;
    const LONGEST: u32 = 240;
    let seconds = u32::try_from(watches).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST);
    rng.random_range(seconds..=seconds.saturating_add(seconds / 5))
}

/// The part of a scope that one watch covers.
#[derive(Clone)]
pub(super) struct Part<K> {
    pub(super) index: usize,
    /// `None`: everything.
    pub(super) namespace: Option<String>,
    pub(super) api: Api<Received<K>>,
    pub(super) config: watcher::Config,
    pub(super) reduce: Reduce<K>,
}

/// What an error of a watch means for the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The API server does not serve it.
    Absent,
    /// The operator may not read it.
    Forbidden,
    /// The resource version is too old; the watch needs a new list.
    Expired,
}

/// Returns what an error means, or `None` when only this attempt failed.
pub(crate) fn refusal(error: &watcher::Error) -> Option<Refusal> {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code,
        _ => return None,
    };
    match code {
        404 => Some(Refusal::Absent),
        403 => Some(Refusal::Forbidden),
        410 => Some(Refusal::Expired),
        _ => None,
    }
}

/// Waits for the next event; `None` when the watch must be restarted. A watch detects that its
/// connection is dead, a list does not.
async fn next<T>(
    events: &mut (impl Stream<Item = watcher::Result<Event<T>>> + Unpin),
    listing: bool,
) -> Option<watcher::Result<Event<T>>> {
    if !listing {
        return events.next().await;
    }
    let answer = tokio::time::timeout(LIST_TIMEOUT, events.next()).await;
    answer.unwrap_or_else(|_| {
        debug!("a list got no response in time");
        None
    })
}

/// Follows one part until the task is cancelled.
pub(super) async fn feed<K>(part: Part<K>, shared: Arc<Shared<K>>)
where
    K: Kind,
{
    let mut failures = 0_u32;
    loop {
        let config = part.config.clone().timeout(watch_seconds(1, &mut rand::rng()));
        let mut events = pin!(events(part.api.clone(), config, part.reduce));
        let mut listed = HashSet::new();
        let mut listing = true;
        while let Some(event) = next(&mut events, listing).await {
            match event {
                Ok(event) => {
                    listing = matches!(event, Event::Init | Event::InitApply(_));
                    // `Init` precedes the first request, so it is no success.
                    if !matches!(event, Event::Init) {
                        failures = 0;
                    }
                    take(event, &part, &shared, &mut listed);
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let refused = refusal(&error);
                    note(&error, refused, &part, &shared);
                    let delay = WATCHES.delay(failures, &mut rand::rng());
                    tokio::time::sleep(delay).await;
                    if refused.is_some() {
                        // A refused watch would continue from the same resource version.
                        break;
                    }
                }
            }
        }
    }
}

/// Follows one part while it is needed, and empties it afterwards.
pub(super) async fn feed_on_demand<K, R>(part: Part<K>, shared: Arc<Shared<K>>, demand: Demand<R>)
where
    K: Kind,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    loop {
        demand.rises().await;
        tokio::select! {
            () = feed(part.clone(), Arc::clone(&shared)) => {}
            () = demand.ends() => {}
        }
        remove(&part, &shared, |_| true);
        shared.set_availability(
            part.index,
            part.namespace.as_deref(),
            Availability::Starting,
            None,
        );
    }
}

/// An object that could not be decoded does not change the cache: what was known of it before stays, until it is
/// deleted. Otherwise what refers to it, or what it owns, would be treated as if it had been deleted.
fn take<K>(event: Event<Incoming<K>>, part: &Part<K>, shared: &Shared<K>, listed: &mut HashSet<ObjectRef<K>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(Ok(object)) => {
            listed.insert(ObjectRef::from(&object.object));
            shared.received(object);
        }
        Event::InitApply(Err(left_out)) => {
            listed.insert(left_out::key(&left_out));
            shared.left_out(left_out);
        }
        Event::InitDone => {
            let listed = std::mem::take(listed);
            remove(part, shared, |key| !listed.contains(key));
            shared.set_availability(part.index, part.namespace.as_deref(), Availability::Served, None);
        }
        Event::Apply(Ok(object)) => shared.received(object),
        Event::Apply(Err(left_out)) => shared.left_out(left_out),
        Event::Delete(Ok(object)) => shared.deleted(object.object),
        Event::Delete(Err(left_out)) => shared.gone(&left_out::key(&left_out)),
    }
}

/// Removes objects of this part for which no deletion was received.
fn remove<K>(part: &Part<K>, shared: &Shared<K>, gone: impl Fn(&ObjectRef<K>) -> bool)
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    for object in shared.store.state() {
        let ours = part.namespace.is_none() || part.namespace == object.namespace();
        if ours && gone(&ObjectRef::from(object.as_ref())) {
            shared.deleted(object.as_ref().clone());
        }
    }
    let in_part = |key: &ObjectRef<K>| part.namespace.is_none() || part.namespace == key.namespace;
    shared.left_out.retain(|key| !(in_part(key) && gone(key)));
}

fn note<K>(error: &watcher::Error, refused: Option<Refusal>, part: &Part<K>, shared: &Shared<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    debug!(kind = %K::kind(&()), error = %crate::error_chain(error), "watch failed");
    match refused {
        Some(Refusal::Absent) => {
            remove(part, shared, |_| true);
            shared.set_availability(
                part.index,
                part.namespace.as_deref(),
                Availability::Absent,
                Some(error),
            );
        }
        Some(Refusal::Forbidden) => {
            shared.set_availability(
                part.index,
                part.namespace.as_deref(),
                Availability::Forbidden,
                Some(error),
            );
        }
        Some(Refusal::Expired) => {}
        None => shared.explain(error),
    }
}
