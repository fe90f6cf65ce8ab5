//! Probes pods from outside: one connection per pod and period shows the certificate that the pod serves, and whether a
//! login and a query succeed.
//!
//! Reconcile sets the targets: pods, and how to log in. Results are kept in memory. A result that differs from the
//! previous one triggers a reconcile of its `Pgpool`, an equal one does not. Nothing is written to the user's database.

mod access;
mod connector;
mod login;
mod login_failure;
mod login_guard;
mod pod_health;
mod pod_prober;
mod served;
mod sniffer;
mod transcript;
mod unanswered;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{FairShare, WakeSet};
use shared_types::Pgpool;
use shared_types::conditions::Reason;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::{FullPod, Metrics};

pub(crate) use access::{Access, AddressRefusal, ClientCertificate, ExpectedCertificate, Pod, PodIdentity};
pub(crate) use login::NetworkProber;
pub(crate) use login_failure::LoginFailure;
pub(crate) use pod_health::{Login, PodHealth};
pub(crate) use served::ServedCertificate;

use pod_prober::Target;
use unanswered::Unanswered;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

/// Connections open at the same time, over all Pgpools: after a start every pod is due immediately.
const MAX_CONNECTIONS: usize = 64;
/// Connections that are kept at the same time because they were not answered, over all Pgpools. Beyond it, they are closed.
const MAX_UNANSWERED: usize = 1024;

/// What one connection showed.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The certificate that the pod served, also when it was not accepted.
    pub(crate) served: Option<ServedCertificate>,
    /// Whether login and query succeeded.
    pub(crate) login: Result<(), LoginFailure>,
    /// The connection, where the login has not ended in time.
    pub(crate) unanswered: Option<Unanswered>,
}

impl Probe {
    /// One whose connection has ended.
    pub(crate) fn ended(served: Option<ServedCertificate>, login: Result<(), LoginFailure>) -> Self {
        Self {
            served,
            login,
            unanswered: None,
        }
    }
}

/// Makes the one connection.
pub(crate) trait Prober: Send + Sync + 'static {
    /// Probes a pod; never takes longer than the timeout of `access`, but may leave a connection that waits.
    fn probe(&self, pod: Pod, access: Arc<Access>) -> BoxFuture<'static, Probe>;
}

/// The probers of all Pgpools, and their results.
#[derive(Clone)]
pub(crate) struct Health(Arc<Inner>);

struct Inner {
    prober: Arc<dyn Prober>,
    metrics: Metrics,
    drain: CancellationToken,
    /// By namespace: pods that do not answer must not delay the probes of other namespaces.
    connections: FairShare<String>,
    /// The same for connections that wait for an answer beyond the time of a probe.
    unanswered: FairShare<String>,
    changed: WakeSet<ObjectRef<Pgpool>>,
    pools: Mutex<HashMap<ObjectRef<Pgpool>, Pool>>,
}

#[derive(Default)]
struct Pool {
    access: Option<Arc<Access>>,
    /// By UID of the pod.
    probers: HashMap<String, PodProber>,
}

struct PodProber {
    target: watch::Sender<Target>,
    result: Option<PodHealth>,
    /// While no child of pgpool is free.
    full: Option<FullPod>,
    _task: AbortOnDropHandle<()>,
}

impl Health {
    /// All probers stop when `drain` is cancelled.
    pub(crate) fn new(prober: Arc<dyn Prober>, metrics: Metrics, drain: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            prober,
            metrics,
            drain,
            connections: FairShare::new(MAX_CONNECTIONS),
            unanswered: FairShare::new(MAX_UNANSWERED),
            changed: WakeSet::default(),
            pools: Mutex::default(),
        }))
    }

    /// Sets the pods of a `Pgpool` and how to log in to them; without `access` the last known one stays. Pods that are
    /// not listed any more are forgotten.
    pub(crate) fn set_targets(&self, key: &ObjectRef<Pgpool>, pods: Vec<Pod>, access: Option<Access>) {
        let mut pools = self.lock();
        let pool = pools.entry(key.clone()).or_default();
        if let Some(access) = access {
            let access = access.remembering(pool.access.as_deref());
            if pool.access.as_deref() != Some(&access) {
                pool.access = Some(Arc::new(access));
            }
        }
        let Some(access) = pool.access.clone() else {
            return;
        };
        let mut before = std::mem::take(&mut pool.probers);
        for pod in pods {
            let uid = pod.uid.clone();
            let target = Target {
                pod,
                access: access.clone(),
            };
            let prober = match before.remove(&uid) {
                Some(prober) => {
                    prober.target.send_if_modified(|known| {
                        let differs = *known != target;
                        *known = target;
                        differs
                    });
                    prober
                }
                None => self.spawn(key, target),
            };
            pool.probers.insert(uid, prober);
        }
    }

    /// Whether the pods of a `Pgpool` are probed: not before a login is known.
    pub(crate) fn is_probing(&self, key: &ObjectRef<Pgpool>) -> bool {
        let pools = self.lock();
        pools.get(key).is_some_and(|pool| pool.access.is_some())
    }

    /// Stops probing the pods of a deleted `Pgpool`.
    pub(crate) fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.lock().remove(key);
    }

    /// The last results by pod UID, without pods that were not probed yet.
    pub(crate) fn results(&self, key: &ObjectRef<Pgpool>) -> BTreeMap<String, PodHealth> {
        let pools = self.lock();
        let Some(pool) = pools.get(key) else {
            return BTreeMap::new();
        };
        let mut results = BTreeMap::new();
        for (uid, prober) in &pool.probers {
            if let Some(result) = &prober.result {
                results.insert(uid.clone(), result.clone());
            }
        }
        results
    }

    /// The `Pgpool`s whose results change, from now on.
    pub(crate) fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>> {
        self.0.changed.subscribe().boxed()
    }

    fn spawn(&self, key: &ObjectRef<Pgpool>, target: Target) -> PodProber {
        let (sender, receiver) = watch::channel(target);
        let task = tokio::spawn(pod_prober::run(self.clone(), key.clone(), receiver));
        PodProber {
            target: sender,
            result: None,
            full: None,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Records a result, and triggers a reconcile if it differs from the previous one.
    fn record(&self, key: &ObjectRef<Pgpool>, target: &Target, probe: Probe) {
        let label = probe.login.as_ref().err().map_or("accepted", LoginFailure::kind);
        self.0.metrics.count_pod_check(label);
        let mut pools = self.lock();
        let pool = pools.get_mut(key);
        let Some(prober) = pool.and_then(|pool| pool.probers.get_mut(&target.pod.uid)) else {
            return;
        };
        let before = prober.result.take();
        let result = PodHealth::after(before.as_ref(), probe, target.access.failure_threshold);
        let is_news = before.is_none_or(|before| before.differs(&result));
        let is_full = result.login.reason() == Some(Reason::NoFreeChild);
        prober.full = is_full.then(|| prober.full.take().unwrap_or_else(|| self.0.metrics.full_pod()));
        prober.result = Some(result);
        if is_news {
            self.0.changed.wake(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<Pgpool>, Pool>> {
        // Each change is complete before the lock is released, so a panic elsewhere leaves nothing half done.
        self.0.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
