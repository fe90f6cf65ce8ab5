//! Limits how many Pgpools rotate certificates at the same time, and how many pods are replaced for it per minute: when
//! ten thousand certificates are renewed within an hour, clients of ten thousand pools must not all be disconnected in it.
//!
//! In memory only. After a restart the bucket is full, and in-flight rotations register again on their first reconcile;
//! until then the limit may be exceeded. A waiting Pgpool is reconciled when a slot becomes free.

mod token_bucket;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::WakeSet;
use shared_types::Pgpool;

use token_bucket::TokenBucket;

/// Zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Pgpools that replace pods because of a certificate. Each replaces one pod at a time.
    pub(crate) at_once: u32,
    /// Pods that are replaced for it per minute.
    pub(crate) per_minute: u32,
}

/// A Pgpool requests to rotate a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// When the served certificate expires: of one namespace, the Pgpool with the least time left goes first.
    pub(crate) expires: Timestamp,
    pub(crate) pods: u32,
    /// It expires so soon that no limit applies.
    pub(crate) urgent: bool,
}

/// The answer to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Granted,
    /// Granted beyond the limits, since the request is urgent.
    Overdue,
    /// Other Pgpools go first.
    Queued {
        /// When to request again, unless a slot becomes free before.
        after: Duration,
    },
}

/// The limits, and the rotations in flight.
#[derive(Clone, Default)]
pub(crate) struct ClusterRotationLimiter(Arc<Inner>);

/// Namespace and name: unlike an `ObjectRef` they have an order.
type Key = (String, String);

fn key_of(pgpool: &ObjectRef<Pgpool>) -> Key {
    (pgpool.namespace.clone().unwrap_or_default(), pgpool.name.clone())
}

#[derive(Default)]
struct Inner {
    bucket: Mutex<TokenBucket<Key>>,
    freed: WakeSet<ObjectRef<Pgpool>>,
}

impl fmt::Debug for ClusterRotationLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClusterRotationLimiter").finish_non_exhaustive()
    }
}

impl ClusterRotationLimiter {
    /// Creates an idle limiter.
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            bucket: Mutex::new(TokenBucket::new(limits)),
            freed: WakeSet::default(),
        }))
    }

    /// Requests a slot, and takes it if there is one.
    pub(crate) fn admit(&self, pgpool: &ObjectRef<Pgpool>, request: Request, now: Timestamp) -> Admission {
        self.bucket().admit(&key_of(pgpool), request, now)
    }

    /// The limiter for the requests of one Pgpool.
    pub(crate) fn for_pgpool<'a>(&'a self, pgpool: &'a ObjectRef<Pgpool>) -> PoolLimiter<'a> {
        PoolLimiter {
            limiter: self,
            pgpool,
        }
    }

    /// Records whether a rotation is in flight (with the current time), and whether the Pgpool still waits for a slot.
    pub(crate) fn update(&self, pgpool: &ObjectRef<Pgpool>, in_flight: Option<Timestamp>, waiting: bool) {
        let next = self.bucket().update(&key_of(pgpool), in_flight, waiting);
        for (namespace, name) in next {
            self.0.freed.wake(&ObjectRef::new(&name).within(&namespace));
        }
    }

    /// The waiting Pgpools for which a slot becomes free, from now on.
    pub(crate) fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>> {
        self.0.freed.subscribe().boxed()
    }

    fn bucket(&self) -> MutexGuard<'_, TokenBucket<Key>> {
        // Each change is complete before the lock is released.
        self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Limits the rotations of one Pgpool, as decisions see it. Each decision requests at most once.
pub(crate) trait RotationLimiter: Sync {
    /// Requests a slot, and takes it if there is one.
    fn admit(&self, request: Request, now: Timestamp) -> Admission;
}

/// See [`ClusterRotationLimiter::for_pgpool`].
pub(crate) struct PoolLimiter<'a> {
    limiter: &'a ClusterRotationLimiter,
    pgpool: &'a ObjectRef<Pgpool>,
}

impl RotationLimiter for PoolLimiter<'_> {
    fn admit(&self, request: Request, now: Timestamp) -> Admission {
        self.limiter.admit(self.pgpool, request, now)
    }
}
