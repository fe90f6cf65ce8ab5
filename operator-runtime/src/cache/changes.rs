//! A queue of changed objects that forgets no object and keeps only the latest state of each.
//!
//! A queue that nobody polls yet (a standby) holds nothing: it starts with all objects of the cache
//! when it is first polled.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};

/// Names one state of one object. A deletion does not displace the state before it, nor one object
/// another of the same name, since either may concern others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    namespace: Option<String>,
    name: String,
    uid: Option<String>,
    deleted: bool,
}

struct Pending<K> {
    started: bool,
    order: VecDeque<Key>,
    latest: HashMap<Key, Arc<K>>,
    waker: Option<Waker>,
}

struct Queue<K>(Mutex<Pending<K>>);

impl<K> Queue<K> {
    fn with<T>(&self, f: impl FnOnce(&mut Pending<K>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K> Pending<K> {
    fn push(&mut self, key: Key, object: Arc<K>) {
        if self.latest.insert(key.clone(), object).is_none() {
            self.order.push_back(key);
        }
    }

    fn pop(&mut self) -> Option<Arc<K>> {
        let key = self.order.pop_front()?;
        self.latest.remove(&key)
    }
}

/// Every queue of one cache.
pub(super) struct Queues<K>(Mutex<Vec<Weak<Queue<K>>>>);

impl<K> Default for Queues<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Queues<K> {
    pub(super) fn subscribe(&self, store: Store<K>) -> Changes<K> {
        let queue = Arc::new(Queue(Mutex::new(Pending {
            started: false,
            order: VecDeque::new(),
            latest: HashMap::new(),
            waker: None,
        })));
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Changes { queue, store }
    }

    pub(super) fn push(&self, object: &Arc<K>, deleted: bool) {
        let key = key(object.as_ref(), deleted);
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter().filter_map(Weak::upgrade) {
            let waker = queue.with(|pending| {
                if !pending.started {
                    return None;
                }
                pending.push(key.clone(), Arc::clone(object));
                pending.waker.take()
            });
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &K, deleted: bool) -> Key {
    Key {
        namespace: object.namespace(),
        name: object.name_any(),
        uid: object.uid(),
        deleted,
    }
}

/// The objects of a cache that changed, and those that went, in their last state.
///
/// It yields every object of the cache first, then the latest state of whatever changes, and never
/// ends. It says that something changed, not what: read the cache for what is true now.
#[must_use = "streams do nothing unless polled"]
pub struct Changes<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    queue: Arc<Queue<K>>,
    store: Store<K>,
}

/// Never shows the objects: some are Secrets.
impl<K> Debug for Changes<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("kind", &K::kind(&()))
            .finish_non_exhaustive()
    }
}

impl<K> Stream for Changes<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    type Item = Arc<K>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Arc<K>>> {
        self.queue.with(|pending| {
            if !pending.started {
                // From here on changes are queued; the store may hold some of them already, and seeing
                // an object twice does no harm.
                pending.started = true;
                for object in self.store.state() {
                    pending.push(key(object.as_ref(), false), object);
                }
            }
            if let Some(object) = pending.pop() {
                return Poll::Ready(Some(object));
            }
            pending.waker = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}
