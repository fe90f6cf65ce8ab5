//! A queue of referrers that forgets none and holds each once.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;

#[derive(Debug)]
struct Queue<R>(Mutex<Pending<R>>)
where
    R: Resource<DynamicType = ()>;

#[derive(Debug)]
struct Pending<R>
where
    R: Resource<DynamicType = ()>,
{
    order: VecDeque<ObjectRef<R>>,
    waiting: HashSet<ObjectRef<R>>,
    waker: Option<Waker>,
}

impl<R> Queue<R>
where
    R: Resource<DynamicType = ()> + Clone,
{
    fn push(&self, who: &[ObjectRef<R>]) -> Option<Waker> {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for who in who {
            if pending.waiting.insert(who.clone()) {
                pending.order.push_back(who.clone());
            }
        }
        pending.waker.take()
    }
}

/// Every queue of one set.
#[derive(Debug)]
pub(super) struct Queues<R>(Mutex<Vec<Weak<Queue<R>>>>)
where
    R: Resource<DynamicType = ()>;

impl<R> Default for Queues<R>
where
    R: Resource<DynamicType = ()>,
{
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<R> Queues<R>
where
    R: Resource<DynamicType = ()> + Clone,
{
    /// Adds a queue that starts with those who are known already.
    pub(super) fn subscribe(&self, known: Vec<ObjectRef<R>>) -> Referrers<R> {
        let queue = Arc::new(Queue(Mutex::new(Pending {
            waiting: known.iter().cloned().collect(),
            order: known.into(),
            waker: None,
        })));
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Referrers(queue)
    }

    pub(super) fn push(&self, who: &[ObjectRef<R>]) {
        if who.is_empty() {
            return;
        }
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter().filter_map(Weak::upgrade) {
            if let Some(waker) = queue.push(who) {
                waker.wake();
            }
        }
    }
}

/// The objects that refer to something that changed. It never ends.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Referrers<R>(Arc<Queue<R>>)
where
    R: Resource<DynamicType = ()>;

impl<R> Stream for Referrers<R>
where
    R: Resource<DynamicType = ()> + Clone,
{
    type Item = ObjectRef<R>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ObjectRef<R>>> {
        let mut pending = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(who) = pending.order.pop_front() {
            pending.waiting.remove(&who);
            return Poll::Ready(Some(who));
        }
        pending.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
