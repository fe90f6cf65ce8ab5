//! Start and stop of a process, and the tasks in between.
//!
//! Every task is spawned through [`Runtime::spawn`] and joined here. A task must not end before the drain:
//! a process that lost one exits, so that the kubelet restarts it. That includes a panic; a panic in the reconcile of
//! one object ends neither the controller nor the process.

mod error;
mod tasks;
mod watches;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::Client;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

pub use self::error::RuntimeError;
pub use self::tasks::IntoEnd;
use self::tasks::{End, Panicked, join_all, next_end, unexpected};
use crate::admin::Admin;
use crate::args::CommonArgs;
use crate::client::Connector;
use crate::controller::Options;
use crate::events::Events;
use crate::fence::Fence;
use crate::identity::Identity;
use crate::lease::{LeaseConfig, LeaseGuard, Lost, Process, acquire, elect};
use crate::liveness::Liveness;
use crate::metrics::{Metrics, SharedRegistry};
use crate::ownership::Ownership;
use crate::readiness::Gates;
use crate::scope::Scope;
use crate::signals::Stops;
use crate::{logging, panics};

/// How long a drain may take. The kubelet kills after 30 s.
const DRAIN: Duration = Duration::from_secs(25);

/// How long aborted reconciles may take to end: they do at their next request.
const ABORT: Duration = Duration::from_secs(1);

/// How often a start logs which gates it waits for.
const GATE_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A running process.
#[derive(Debug)]
pub struct Runtime {
    identity: Identity,
    client: ClientHandle,
    /// Makes the client of the lease; `None` in tests, where the lease uses the one client.
    connector: Option<Connector>,
    gates: Gates,
    registry: SharedRegistry,
    metrics: Metrics,
    drain: CancellationToken,
    scope: Scope,
    ownership: Arc<dyn Ownership>,
    concurrency: u16,
    fence: Fence,
    liveness: Liveness,
    reconciles: TaskTracker,
    lease: Option<LeaseConfig>,
    guard: Option<LeaseGuard>,
    stops: Stops,
    tasks: JoinSet<End>,
    admin: Option<(CancellationToken, JoinHandle<std::io::Result<()>>)>,
}

/// A client, which has no `Debug` of its own.
#[derive(Clone)]
struct ClientHandle(Client);

impl std::fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Runtime {
    /// Starts: crypto provider, log, client, admin endpoint, signals.
    ///
    /// # Errors
    /// When a flag is invalid, the client cannot be configured, or the admin address is taken.
    pub async fn start(identity: Identity, args: &CommonArgs) -> Result<Self, RuntimeError> {
        // Fails only when a provider is installed already; there is no other than this one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        logging::install(&args.log)?;
        panics::install_hook();
        info!(operator = identity.name, version = identity.version, "starting");
        let registry = SharedRegistry::default();
        let metrics = Metrics::register(&registry);
        let fence = Fence::default();
        let connector = Connector::load(&args.kube, &fence, &metrics).await?;
        let lease = LeaseConfig::from_args(identity, &args.lease, connector.namespace().to_owned())?;
        let liveness = Liveness::default();
        let (gates, drain) = (Gates::default(), CancellationToken::new());
        let admin = Admin {
            gates: gates.clone(),
            registry: registry.clone(),
            drain: drain.clone(),
            liveness: liveness.clone(),
        };
        let stop = CancellationToken::new();
        let address = args.admin.admin_address;
        let served = admin
            .serve(address, stop.clone())
            .await
            .map_err(|source| RuntimeError::AdminAddress { address, source })?;
        tokio::spawn(liveness.clone().beat());
        Ok(Self {
            identity,
            client: ClientHandle(connector.client()?),
            connector: Some(connector),
            gates,
            registry,
            metrics,
            drain,
            scope: args.kube.scope(),
            ownership: Arc::new(fence.clone()),
            concurrency: args.max_concurrent_reconciles,
            fence,
            liveness,
            reconciles: TaskTracker::new(),
            lease,
            guard: None,
            stops: Stops::signals().map_err(RuntimeError::Signals)?,
            tasks: JoinSet::new(),
            admin: Some((stop, served)),
        })
    }

    /// Returns a runtime for a test: without signals, admin endpoint or lease, and owning every object.
    /// Cancelling [`Runtime::drain`] stops it.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn for_test(client: Client) -> Self {
        let registry = SharedRegistry::default();
        let fence = Fence::default();
        fence.open_for_good();
        Self {
            identity: Identity {
                name: "test",
                version: "0.0.0",
                field_manager: "test",
            },
            client: ClientHandle(client),
            connector: None,
            gates: Gates::default(),
            metrics: Metrics::register(&registry),
            registry,
            drain: CancellationToken::new(),
            scope: Scope::All,
            ownership: Arc::new(fence.clone()),
            concurrency: 4,
            fence,
            liveness: Liveness::default(),
            reconciles: TaskTracker::new(),
            lease: None,
            guard: None,
            stops: Stops::Never,
            tasks: JoinSet::new(),
            admin: None,
        }
    }

    /// Restricts a runtime for a test to a part of the cluster.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn scoped(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Returns the client. It sends writes only while this process leads.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.0.clone()
    }

    /// Returns who this process is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the gates that readiness waits for.
    #[must_use]
    pub fn gates(&self) -> Gates {
        self.gates.clone()
    }

    /// Returns the registry of metrics.
    #[must_use]
    pub fn registry(&self) -> SharedRegistry {
        self.registry.clone()
    }

    /// Returns the metrics of controllers.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Returns the token that is cancelled when the process begins to stop.
    #[must_use]
    pub fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Returns the part of the cluster to serve.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// Returns what decides whether this process acts on an object.
    #[must_use]
    pub fn ownership(&self) -> Arc<dyn Ownership> {
        Arc::clone(&self.ownership)
    }

    /// Returns a publisher of Kubernetes events of this operator.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.client(), self.identity.field_manager)
    }

    /// Returns the options of a controller of this process.
    #[must_use]
    pub fn controller(&self, name: &'static str) -> Options {
        Options {
            name,
            concurrency: self.concurrency,
            drain: self.drain(),
            metrics: self.metrics(),
            ownership: self.ownership(),
            liveness: self.liveness.clone(),
            reconciles: self.reconciles.clone(),
        }
    }

    /// Runs a task, which must not end before the drain. It does not start when the process is stopping
    /// already.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output: IntoEnd> + Send + 'static,
    {
        if !self.drain.is_cancelled() {
            let observed = self.liveness.observe(format!("the task {name}"), task);
            self.tasks.spawn(async move {
                let ended = AssertUnwindSafe(observed).catch_unwind().await;
                (
                    name,
                    ended.map_or_else(|_| Err(Panicked.into()), IntoEnd::into_end),
                )
            });
        }
    }

    /// Waits until the gates are open, then for the lease.
    ///
    /// Returns without the lease when the process is stopping; tasks that are spawned afterwards do not
    /// start, so the caller continues as usual.
    ///
    /// # Errors
    /// When a task ends, or when the leader election cannot run.
    pub async fn lead(&mut self) -> Result<(), RuntimeError> {
        let leading = leading(
            self.client(),
            self.connector.clone(),
            self.gates(),
            self.lease.clone(),
            Process {
                fence: self.fence.clone(),
                metrics: self.metrics(),
                liveness: self.liveness.clone(),
            },
        );
        tokio::select! {
            biased;
            () = self.stops.next() => {
                info!("received a signal before leading, stopping");
                self.drain.cancel();
                Ok(())
            }
            () = self.drain.cancelled() => Ok(()),
            end = next_end(&mut self.tasks) => {
                self.drain.cancel();
                Err(unexpected(end))
            }
            guard = leading => {
                self.guard = guard?;
                Ok(())
            }
        }
    }

    /// Runs until a signal arrives or a task fails, then stops.
    ///
    /// # Errors
    /// When a task failed, leadership was lost, or the stop was forced.
    pub async fn run(mut self) -> Result<(), RuntimeError> {
        let cause = tokio::select! {
            biased;
            () = self.stops.next() => {
                info!("received a signal, stopping");
                Ok(())
            }
            () = self.drain.cancelled() => Ok(()),
            lost = lost(self.guard.as_mut()) => {
                // No drain: another process may act from now on.
                self.tasks.abort_all();
                return Err(lost.into());
            }
            end = next_end(&mut self.tasks) => Err(unexpected(end)),
            why = ended(self.admin.as_mut()) => Err(why),
        };
        self.drain.cancel();
        let stopped = self.stop().await;
        if let Some((stop, served)) = self.admin.take() {
            stop.cancel();
            // A client that keeps its connection open must not keep the process.
            if !served.is_finished() {
                let _ = tokio::time::timeout(Duration::from_secs(1), served).await;
            }
        }
        cause.and(stopped)
    }

    /// Joins every task, then releases the lease.
    async fn stop(&mut self) -> Result<(), RuntimeError> {
        let joined = tokio::select! {
            biased;
            () = self.stops.next() => Err(RuntimeError::StopForced),
            lost = lost(self.guard.as_mut()) => Err(lost.into()),
            joined = tokio::time::timeout(DRAIN, join_all(&mut self.tasks)) => {
                joined.map_err(|_| RuntimeError::DrainTimeout(DRAIN))
            }
        };
        // A task that was not joined must not act once the lease is released.
        self.tasks.shutdown().await;
        self.reconciles.close();
        let _ = tokio::time::timeout(ABORT, self.reconciles.wait()).await;
        if let Some(guard) = self.guard.take() {
            guard.release().await;
        }
        joined
    }
}

/// Waits until this process leads.
async fn leading(
    client: Client,
    connector: Option<Connector>,
    gates: Gates,
    lease: Option<LeaseConfig>,
    process: Process,
) -> Result<Option<LeaseGuard>, RuntimeError> {
    while tokio::time::timeout(GATE_LOG_INTERVAL, gates.opened())
        .await
        .is_err()
    {
        info!("waiting for {}", gates.closed().join("; "));
    }
    let Some(config) = lease else {
        process.fence.open_for_good();
        return Ok(None);
    };
    Ok(Some(match connector {
        Some(connector) => elect(move || connector.client(), config, process).await?,
        None => acquire(client, config, process).await,
    }))
}

/// Waits until leadership is lost; never returns without a lease.
async fn lost(guard: Option<&mut LeaseGuard>) -> Lost {
    match guard {
        Some(guard) => guard.lost().await,
        None => std::future::pending().await,
    }
}

/// Waits until the admin endpoint ends; never returns without one.
async fn ended(admin: Option<&mut (CancellationToken, JoinHandle<std::io::Result<()>>)>) -> RuntimeError {
    match admin {
        Some((_, served)) => match served.await {
            Ok(Ok(())) => RuntimeError::AdminEnded,
            Ok(Err(error)) => RuntimeError::AdminFailed(error),
            Err(error) => RuntimeError::AdminFailed(std::io::Error::other(error)),
        },
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
