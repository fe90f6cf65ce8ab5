//! Wakes reconciles: a queue of objects to reconcile again, each at most once, with turns between namespaces.
//!
//! A source of news owns a [`WakeSet`] and calls [`WakeSet::wake`]; a controller merges the streams that
//! [`WakeSet::subscribe`] returns into its triggers. A wake-up says that something changed,
//! not what: the reconcile reads the current state.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures::Stream;

use crate::fair::{Lanes, Tenant};

/// The sending side: wakes every subscription. Clones are the same set.
///
/// `K` distinguishes the things to wake, `V` is what the streams yield. Both are the same unless the
/// items carry more than their key, as the changed objects of a cache do.
///
/// ```
/// # use futures::{FutureExt, StreamExt};
/// # use operator_runtime::WakeSet;
/// let set = WakeSet::default();
/// let mut wakes = set.subscribe();
/// set.wake(&"pool-a");
/// set.wake(&"pool-b");
/// set.wake(&"pool-a");
/// assert_eq!(wakes.next().now_or_never(), Some(Some("pool-a")));
/// assert_eq!(wakes.next().now_or_never(), Some(Some("pool-b")));
/// assert_eq!(wakes.next().now_or_never(), None, "the stream waits, it does not end");
/// ```
pub struct WakeSet<K, V = K>(Arc<Subscriptions<K, V>>);

type Subscriptions<K, V> = Mutex<Vec<Weak<Queue<K, V>>>>;

impl<K, V> Clone for WakeSet<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for WakeSet<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Never shows the items: some are Secrets.
impl<K, V> Debug for WakeSet<K, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("WakeSet")
    }
}

impl<K: Clone + Eq + Hash + Tenant> WakeSet<K> {
    /// Wakes every subscription with this key.
    pub fn wake(&self, key: &K) {
        self.push(key, key);
    }
}

impl<K: Clone + Eq + Hash + Tenant, V: Clone> WakeSet<K, V> {
    /// Adds an item to every subscription. It replaces an item of the same key that was not polled yet, and
    /// keeps its place among those of its namespace.
    pub fn push(&self, key: &K, item: &V) {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter().filter_map(Weak::upgrade) {
            if let Some(waker) = queue.push(key.clone(), item.clone()) {
                waker.wake();
            }
        }
    }

    /// Returns a stream of everything that is pushed from now on, independent of every other subscription.
    pub fn subscribe(&self) -> Wakes<K, V> {
        self.add(None)
    }

    /// Returns a stream that starts with what `initial` returns at the first poll. Until then it holds
    /// nothing, so a standby that subscribed and does not poll needs no memory.
    pub fn subscribe_from(&self, initial: impl FnOnce() -> Vec<(K, V)> + Send + 'static) -> Wakes<K, V> {
        self.add(Some(Box::new(initial)))
    }

    fn add(&self, initial: Option<Initial<K, V>>) -> Wakes<K, V> {
        let queue = Arc::new(Queue(Mutex::new(Pending {
            initial,
            order: Lanes::default(),
            latest: HashMap::new(),
            waker: None,
        })));
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Wakes(queue)
    }
}

type Initial<K, V> = Box<dyn FnOnce() -> Vec<(K, V)> + Send>;

struct Queue<K, V>(Mutex<Pending<K, V>>);

struct Pending<K, V> {
    /// Present until the first poll.
    initial: Option<Initial<K, V>>,
    order: Lanes<K>,
    latest: HashMap<K, V>,
    waker: Option<Waker>,
}

impl<K: Clone + Eq + Hash + Tenant, V> Queue<K, V> {
    /// Returns the waker of a stream that waits for an item.
    fn push(&self, key: K, item: V) -> Option<Waker> {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What happens before the first poll is part of the initial items.
        if pending.initial.is_some() {
            return None;
        }
        pending.push(key, item);
        pending.waker.take()
    }
}

impl<K: Clone + Eq + Hash + Tenant, V> Pending<K, V> {
    fn push(&mut self, key: K, item: V) {
        if self.latest.insert(key.clone(), item).is_none() {
            self.order.push(key);
        }
    }

    fn pop(&mut self) -> Option<V> {
        let key = self.order.pop(usize::MAX)?;
        self.order.done(key.tenant());
        self.latest.remove(&key)
    }
}

/// A subscription to a [`WakeSet`]: a stream that never ends.
#[must_use = "streams do nothing unless polled"]
pub struct Wakes<K, V = K>(Arc<Queue<K, V>>);

/// Never shows the items: some are Secrets.
impl<K, V> Debug for Wakes<K, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Wakes")
    }
}

impl<K: Clone + Eq + Hash + Tenant, V> Stream for Wakes<K, V> {
    type Item = V;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<V>> {
        let mut pending = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(initial) = pending.initial.take() {
            // An item that is pushed meanwhile waits for the lock and follows; seeing it twice does no harm.
            for (key, item) in initial() {
                pending.push(key, item);
            }
        }
        if let Some(item) = pending.pop() {
            return Poll::Ready(Some(item));
        }
        pending.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use k8s_openapi::api::core::v1::Secret;
    use kube::runtime::reflector::ObjectRef;

    use super::*;

    fn drained<V>(wakes: &mut Wakes<&'static str, V>) -> Vec<V> {
        std::iter::from_fn(|| wakes.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn each_key_is_held_once_with_its_latest_item() {
        let set = WakeSet::default();
        let mut wakes = set.subscribe();
        for (key, item) in [("a", 1), ("b", 2), ("a", 3)] {
            set.push(&key, &item);
        }
        assert_eq!(drained(&mut wakes), [3, 2]);
        set.push(&"a", &4);
        assert_eq!(drained(&mut wakes), [4], "again after it was polled");
    }

    #[test]
    fn every_subscription_receives_every_wake_up() {
        let set = WakeSet::default();
        let (mut first, mut second) = (set.subscribe(), set.clone().subscribe());
        drop(set.subscribe());
        set.wake(&"a");
        assert_eq!(
            (drained(&mut first), drained(&mut second)),
            (vec!["a"], vec!["a"])
        );
        assert!(drained(&mut set.subscribe()).is_empty(), "nothing from before");
    }

    #[test]
    fn a_subscription_with_initial_items_holds_nothing_before_its_first_poll() {
        let set = WakeSet::default();
        let mut wakes = set.subscribe_from(|| vec![("known", 1)]);
        set.push(&"early", &2);
        assert_eq!(drained(&mut wakes), [1]);
        set.push(&"late", &3);
        assert_eq!(drained(&mut wakes), [3]);
    }

    #[test]
    fn the_wake_ups_of_one_namespace_do_not_delay_those_of_another() {
        let set = WakeSet::default();
        let mut wakes = set.subscribe();
        let key = |namespace: &str, name: &str| ObjectRef::<Secret>::new(name).within(namespace);
        for number in 0..1000 {
            set.wake(&key("many", &number.to_string()));
        }
        set.wake(&key("few", "one"));
        let next = std::iter::from_fn(|| wakes.next().now_or_never().flatten());
        let place = next.take(1001).position(|key| key.name == "one");
        assert_eq!(place, Some(1));
    }

    #[tokio::test]
    async fn a_waiting_stream_is_woken() {
        let set = WakeSet::default();
        let mut wakes = set.subscribe();
        let waiting = tokio::spawn(async move { wakes.next().await });
        tokio::task::yield_now().await;
        set.wake(&"a");
        assert_eq!(waiting.await.unwrap(), Some("a"));
    }
}
