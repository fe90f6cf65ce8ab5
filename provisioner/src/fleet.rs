//! How many Pgpools give a new certificate to their pods at one time, and how many pods in a minute: when ten thousand
//! certificates are renewed in an hour, clients of ten thousand pools must not all be sent away in it.
//!
//! In memory only. After a restart the bucket is full and whoever is at it says so when it is looked at first, so that
//! for a moment a few more than allowed may go. Whoever waits is told when a place becomes free.

mod bucket;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use bucket::Bucket;

/// How much may happen at a time; zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Pgpools that replace pods for the sake of a certificate. Each replaces one pod at a time.
    pub(crate) at_once: u32,
    /// Pods that are replaced for it in a minute.
    pub(crate) per_minute: u32,
}

/// A Pgpool asks to give a new certificate to its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// When what its pods serve ends: who has the least time left goes first.
    pub(crate) ends: Timestamp,
    /// How many pods it is about.
    pub(crate) pods: u32,
    /// That is so soon that no limit counts.
    pub(crate) urgent: bool,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is its turn.
    Granted,
    /// It is not, but waiting is out of the question.
    Overdue,
    /// Others go first.
    Queued {
        /// When to ask again, unless told before.
        after: Duration,
    },
}

/// The limits, and who is at it.
#[derive(Clone, Default)]
pub(crate) struct Fleet(Arc<Inner>);

/// Namespace and name.
type Place = (String, String);

fn place(key: &ObjectRef<Pgpool>) -> Place {
    (key.namespace.clone().unwrap_or_default(), key.name.clone())
}

#[derive(Default)]
struct Inner {
    bucket: Mutex<Bucket<Place>>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<ObjectRef<Pgpool>>>>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    /// Makes one where nobody is at it.
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            bucket: Mutex::new(Bucket::new(limits)),
            listeners: Mutex::default(),
        }))
    }

    /// Asks for a turn, and takes it if there is one.
    pub(crate) fn admit(&self, key: &ObjectRef<Pgpool>, ask: Ask, now: Timestamp) -> Admission {
        self.bucket().admit(&place(key), ask, now)
    }

    /// The limiter as one Pgpool sees it.
    pub(crate) fn limiter<'a>(&'a self, key: &'a ObjectRef<Pgpool>) -> PoolLimiter<'a> {
        PoolLimiter { fleet: self, key }
    }

    /// Notes whether a Pgpool is at it now, and whether it still asks.
    pub(crate) fn note(&self, key: &ObjectRef<Pgpool>, rolls: Option<Timestamp>, asks: bool) {
        let next = self.bucket().note(&place(key), rolls, asks);
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for (namespace, name) in next {
            let key = ObjectRef::new(&name).within(&namespace);
            listeners.retain(|listener| listener.send(key.clone()).is_ok());
        }
    }

    /// The Pgpools for which a place has become free, as it happens.
    pub(crate) fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(sender);
        UnboundedReceiverStream::new(receiver).boxed()
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket<Place>> {
        // Each change is complete before the lock is given back.
        self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What limits rotations over all Pgpools, as one of them sees it. A decision asks it once, and gets one answer.
pub(crate) trait RotationLimiter: Sync {
    /// Asks for a place, and takes it if one is free.
    fn admit(&self, ask: Ask, now: Timestamp) -> Admission;
}

/// The limiter as one Pgpool sees it.
pub(crate) struct PoolLimiter<'a> {
    fleet: &'a Fleet,
    key: &'a ObjectRef<Pgpool>,
}

impl RotationLimiter for PoolLimiter<'_> {
    fn admit(&self, ask: Ask, now: Timestamp) -> Admission {
        self.fleet.admit(self.key, ask, now)
    }
}
