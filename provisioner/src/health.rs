//! Proves from outside that pods serve: one connection to each pod and period shows the certificate that it really
//! serves and whether a login and a query go through.
//!
//! Reconcile says which pods there are and how to log in; results lie on a board in memory. A result that differs
//! from the one before wakes the reconcile of its `Pgpool`, an equal one wakes nobody. Nothing is written to the
//! user's database.

pub(crate) mod login;
pub(crate) mod served;
pub(crate) mod tap;

mod standing;
mod watchman;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use kube::runtime::reflector::ObjectRef;
use shared_types::{Pgpool, SslMode};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::Metrics;
use crate::pgpool::validate::Credential;

pub(crate) use login::LoginFailure;
pub(crate) use served::Served;
pub(crate) use standing::{Login, Standing, judge};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_support;

/// Connections open at one time, over all Pgpools: after a start every pod is due at once.
const CONNECTIONS: usize = 64;

/// A pod that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// UID: the next pod of this name starts without a past.
    pub(crate) uid: String,
    /// Where it listens.
    pub(crate) ip: IpAddr,
    /// Whether its own readiness probe has passed.
    pub(crate) ready: bool,
    /// Whether it has certificates to serve; in a rollout pods with and without stand side by side.
    pub(crate) tls: bool,
}

/// How to log in to the pods of one `Pgpool`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The name that the served certificate must have under `verify-full`.
    pub(crate) server_name: String,
    /// What is asked of the connection.
    pub(crate) ssl_mode: SslMode,
    /// Authorities of the served certificate, in PEM; used by `verify-ca` and `verify-full`.
    pub(crate) trust: Vec<u8>,
    /// Shown to the pod when clients log in by certificate.
    pub(crate) client: Option<ClientPair>,
    /// What was shown before clients were to log in otherwise: a pod that has not heard of that yet asks for it still.
    /// Filled in by [`Health::follow`] and lost with the process, which costs a false alarm at the worst.
    pub(crate) former: Option<ClientPair>,
    /// User and password.
    pub(crate) login: Credential,
    /// Where they come from, for people: `namespace/name` of the Secret.
    pub(crate) login_source: String,
    /// The PostgreSQL behind the pool, for people: its address and the `AppBinding` that names it.
    pub(crate) backend: String,
    /// Whether it counts that PostgreSQL takes writes.
    pub(crate) writes: bool,
    /// Time between two checks of a pod.
    pub(crate) period: Duration,
    /// Time that a check may take.
    pub(crate) timeout: Duration,
    /// Checks in a row that must fail before a pod which had accepted logins counts as refusing them.
    pub(crate) failure_threshold: u32,
}

impl Access {
    /// How a pod is to be asked: as clients are asked to, but never for what it cannot have, and never without what
    /// it may insist on.
    pub(crate) fn mode(&self, pod: &Pod) -> SslMode {
        match (pod.tls, self.ssl_mode) {
            (false, _) => SslMode::Disable,
            (true, SslMode::Disable) => SslMode::Require,
            (true, mode) => mode,
        }
    }

    /// The same, with what was shown to the pods before.
    fn after(self, before: Option<&Self>) -> Self {
        let shown = before.and_then(|before| before.client.as_ref().or(before.former.as_ref()));
        let former = shown.filter(|_| self.client.is_none()).cloned();
        Self { former, ..self }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("server_name", &self.server_name)
            .field("ssl_mode", &self.ssl_mode)
            .field("user", &self.login.user)
            .finish_non_exhaustive()
    }
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClientPair {
    /// Leaf and intermediates, in PEM.
    pub(crate) chain: Vec<u8>,
    /// Private key, in PEM.
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for ClientPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientPair(…)")
    }
}

/// What one connection showed.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The certificate that the pod served, also when it did not please.
    pub(crate) served: Option<Served>,
    /// Whether login and query went through.
    pub(crate) login: Result<(), LoginFailure>,
}

/// Makes the one connection.
pub(crate) trait Prober: Send + Sync + 'static {
    /// Asks a pod; never takes longer than the timeout of `access`.
    fn probe(&self, pod: Pod, access: Arc<Access>) -> BoxFuture<'static, Probe>;
}

/// The checks of all Pgpools, and the board with their results.
#[derive(Clone)]
pub(crate) struct Health(Arc<Inner>);

struct Inner {
    prober: Arc<dyn Prober>,
    metrics: Metrics,
    drain: CancellationToken,
    limit: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    checks: HashMap<ObjectRef<Pgpool>, Check>,
    listeners: Vec<mpsc::UnboundedSender<ObjectRef<Pgpool>>>,
}

#[derive(Default)]
struct Check {
    access: Option<Arc<Access>>,
    watchmen: HashMap<String, Watchman>,
}

struct Watchman {
    orders: watch::Sender<watchman::Orders>,
    standing: Option<Standing>,
    _task: AbortOnDropHandle<()>,
}

impl Health {
    /// Makes an empty board; all checks end when `drain` is cancelled.
    pub(crate) fn new(prober: Arc<dyn Prober>, metrics: Metrics, drain: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            prober,
            metrics,
            drain,
            limit: Semaphore::new(CONNECTIONS),
            state: Mutex::default(),
        }))
    }

    /// Says which pods a `Pgpool` has now, and how to log in; without `access` the last known one stays. Pods that
    /// are not named any more are forgotten.
    pub(crate) fn follow(&self, key: &ObjectRef<Pgpool>, pods: Vec<Pod>, access: Option<Access>) {
        let mut state = self.lock();
        let check = state.checks.entry(key.clone()).or_default();
        if let Some(access) = access {
            let access = access.after(check.access.as_deref());
            if check.access.as_deref() != Some(&access) {
                check.access = Some(Arc::new(access));
            }
        }
        let Some(access) = check.access.clone() else {
            return;
        };
        let mut before = std::mem::take(&mut check.watchmen);
        for pod in pods {
            let uid = pod.uid.clone();
            let orders = watchman::Orders {
                pod,
                access: access.clone(),
            };
            let watchman = match before.remove(&uid) {
                Some(watchman) => {
                    watchman.orders.send_if_modified(|known| {
                        let differs = *known != orders;
                        *known = orders;
                        differs
                    });
                    watchman
                }
                None => self.post(key, orders),
            };
            check.watchmen.insert(uid, watchman);
        }
    }

    /// Whether the pods of a `Pgpool` are asked: not before a login is known.
    pub(crate) fn asks(&self, key: &ObjectRef<Pgpool>) -> bool {
        let state = self.lock();
        state.checks.get(key).is_some_and(|check| check.access.is_some())
    }

    /// Ends the checks of a `Pgpool` that is gone.
    pub(crate) fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.lock().checks.remove(key);
    }

    /// The last known results, by pod UID. A pod that was not asked yet is not in it.
    pub(crate) fn standings(&self, key: &ObjectRef<Pgpool>) -> BTreeMap<String, Standing> {
        let state = self.lock();
        let Some(check) = state.checks.get(key) else {
            return BTreeMap::new();
        };
        let known = check.watchmen.iter();
        known
            .filter_map(|(uid, watchman)| Some((uid.clone(), watchman.standing.clone()?)))
            .collect()
    }

    /// The `Pgpool`s whose results have changed, as it happens.
    pub(crate) fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().listeners.push(sender);
        UnboundedReceiverStream::new(receiver).boxed()
    }

    fn post(&self, key: &ObjectRef<Pgpool>, orders: watchman::Orders) -> Watchman {
        let (sender, receiver) = watch::channel(orders);
        let task = tokio::spawn(watchman::stand(self.clone(), key.clone(), receiver));
        Watchman {
            orders: sender,
            standing: None,
            _task: AbortOnDropHandle::new(task),
        }
    }

    async fn ask(&self, orders: &watchman::Orders) -> Option<Probe> {
        // Never closed, so an error cannot come; without a permit there is simply no result.
        let _permit = self.0.limit.acquire().await.ok()?;
        Some(
            self.0
                .prober
                .probe(orders.pod.clone(), orders.access.clone())
                .await,
        )
    }

    /// Enters a result, and wakes whoever listens if it is news.
    fn report(&self, key: &ObjectRef<Pgpool>, orders: &watchman::Orders, probe: Probe) {
        self.0
            .metrics
            .checked(probe.login.as_ref().err().map_or("accepted", LoginFailure::kind));
        let mut state = self.lock();
        let Some(watchman) = state
            .checks
            .get_mut(key)
            .and_then(|check| check.watchmen.get_mut(&orders.pod.uid))
        else {
            return;
        };
        let standing = judge(watchman.standing.as_ref(), probe, orders.access.failure_threshold);
        let news = watchman
            .standing
            .as_ref()
            .is_none_or(|before| before.differs(&standing));
        watchman.standing = Some(standing);
        if news {
            state
                .listeners
                .retain(|listener| listener.send(key.clone()).is_ok());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is complete before the lock is given back, so a panic elsewhere leaves nothing half done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
