//! Start and stop of a process, and the tasks in between.
//!
//! Every task of a process is spawned through [`Runtime::spawn`] and joined here. It must not end before
//! the drain: a process that lost a part of itself ends and is started anew rather than limping on.

mod tasks;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use kube::Client;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use self::tasks::IntoEnd;
use self::tasks::{End, join_all, next_end, unexpected};
use crate::admin::Admin;
use crate::args::CommonArgs;
use crate::controller::Options;
use crate::events::Events;
use crate::fence::Fence;
use crate::gates::Gates;
use crate::identity::Identity;
use crate::lease::{LeaseConfig, LeaseGuard, Lost, acquire};
use crate::metrics::{Metrics, SharedRegistry};
use crate::ownership::Ownership;
use crate::scope::Scope;
use crate::shutdown::Stops;
use crate::{client, telemetry};

/// How long a drain may take. The kubelet kills after 30 s.
const DRAIN: Duration = Duration::from_secs(25);

/// How often a start that waits says for what.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running process.
#[derive(Debug)]
pub struct Runtime {
    identity: Identity,
    client: ClientHandle,
    gates: Gates,
    registry: SharedRegistry,
    metrics: Metrics,
    drain: CancellationToken,
    scope: Scope,
    ownership: Arc<dyn Ownership>,
    concurrency: u16,
    fence: Fence,
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
    /// When a flag makes no sense, there is no cluster to talk to, or the admin address is taken.
    pub async fn start(identity: Identity, args: &CommonArgs) -> anyhow::Result<Self> {
        // Fails only when one is installed already; then it is this one, for there is no other.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        telemetry::install(&args.log).context("--log-filter")?;
        info!(operator = identity.name, version = identity.version, "starting");
        let registry = SharedRegistry::default();
        let metrics = Metrics::register(&registry);
        let fence = Fence::default();
        let (client, namespace) = client::connect(&args.kube, &fence, &metrics)
            .await
            .context("no way to talk to the cluster")?;
        let lease = LeaseConfig::from_args(identity, &args.lease, namespace)?;
        let (gates, drain) = (Gates::default(), CancellationToken::new());
        let admin = Admin {
            gates: gates.clone(),
            registry: registry.clone(),
            drain: drain.clone(),
        };
        let stop = CancellationToken::new();
        let address = args.admin.admin_address;
        let served = admin
            .serve(address, stop.clone())
            .await
            .with_context(|| format!("the admin address {address} cannot be bound"))?;
        Ok(Self {
            identity,
            client: ClientHandle(client),
            gates,
            registry,
            metrics,
            drain,
            scope: args.kube.scope(),
            ownership: Arc::new(fence.clone()),
            concurrency: args.max_concurrent_reconciles,
            fence,
            lease,
            guard: None,
            stops: Stops::signals().context("signals")?,
            tasks: JoinSet::new(),
            admin: Some((stop, served)),
        })
    }

    /// Makes a runtime for a test: no signals, no admin endpoint, no lease, and everything is ours.
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
            gates: Gates::default(),
            metrics: Metrics::register(&registry),
            registry,
            drain: CancellationToken::new(),
            scope: Scope::All,
            ownership: Arc::new(fence.clone()),
            concurrency: 4,
            fence,
            lease: None,
            guard: None,
            stops: Stops::Never,
            tasks: JoinSet::new(),
            admin: None,
        }
    }

    /// As [`Runtime::for_test`], for a part of a cluster.
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

    /// Returns the gates of readiness.
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

    /// Returns who decides whether an object is ours to act on.
    #[must_use]
    pub fn ownership(&self) -> Arc<dyn Ownership> {
        Arc::clone(&self.ownership)
    }

    /// Returns a publisher of events in the name of this operator.
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
        }
    }

    /// Runs a task until it ends, which it must not before the drain. It does not start when the process
    /// stops already.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output: IntoEnd> + Send + 'static,
    {
        if !self.drain.is_cancelled() {
            self.tasks.spawn(async move { (name, task.await.into_end()) });
        }
    }

    /// Waits until the gates are open, then for the lease.
    ///
    /// Returns without it when the process is asked to stop; tasks that are spawned after that do not
    /// start, so the caller goes on as if nothing had happened.
    ///
    /// # Errors
    /// When a task ends.
    pub async fn lead(&mut self) -> anyhow::Result<()> {
        let leading = leading(
            self.client(),
            self.gates(),
            self.lease.clone(),
            self.fence.clone(),
            self.metrics(),
        );
        tokio::select! {
            biased;
            () = self.stops.next() => {
                info!("asked to stop before leading");
                self.drain.cancel();
                Ok(())
            }
            () = self.drain.cancelled() => Ok(()),
            end = next_end(&mut self.tasks) => {
                self.drain.cancel();
                Err(unexpected(end))
            }
            guard = leading => {
                self.guard = guard;
                Ok(())
            }
        }
    }

    /// Runs until the process is asked to stop or a part of it fails, then stops.
    ///
    /// # Errors
    /// When a part failed, leadership was lost, or the stop was forced.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let cause = tokio::select! {
            biased;
            () = self.stops.next() => {
                info!("asked to stop");
                Ok(())
            }
            () = self.drain.cancelled() => Ok(()),
            lost = lost(self.guard.as_mut()) => {
                // No drain: from now on somebody else may act.
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
            // A client that keeps its connection must not keep the process.
            if !served.is_finished() {
                let _ = tokio::time::timeout(Duration::from_secs(1), served).await;
            }
        }
        cause.and(stopped)
    }

    /// Joins every task, then gives the lease back.
    async fn stop(&mut self) -> anyhow::Result<()> {
        let joined = tokio::select! {
            biased;
            () = self.stops.next() => Err(anyhow!("asked to stop twice")),
            lost = lost(self.guard.as_mut()) => Err(lost.into()),
            joined = tokio::time::timeout(DRAIN, join_all(&mut self.tasks)) => {
                joined.map_err(|_| anyhow!("the tasks did not end within {DRAIN:?}"))
            }
        };
        // Whatever was not joined must not act once the lease is free.
        self.tasks.shutdown().await;
        if let Some(guard) = self.guard.take() {
            guard.release().await;
        }
        joined
    }
}

/// Waits until this process leads.
async fn leading(
    client: Client,
    gates: Gates,
    lease: Option<LeaseConfig>,
    fence: Fence,
    metrics: Metrics,
) -> Option<LeaseGuard> {
    while tokio::time::timeout(PATIENCE, gates.opened()).await.is_err() {
        info!("waiting for {}", gates.closed().join("; "));
    }
    if let Some(config) = lease {
        return Some(acquire(client, config, fence, metrics).await);
    }
    fence.open_for_good();
    None
}

/// Waits for the loss of leadership, for ever when there is none to lose.
async fn lost(guard: Option<&mut LeaseGuard>) -> Lost {
    match guard {
        Some(guard) => guard.lost().await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of the admin endpoint, for ever when there is none.
async fn ended(admin: Option<&mut (CancellationToken, JoinHandle<std::io::Result<()>>)>) -> anyhow::Error {
    match admin {
        Some((_, served)) => match served.await {
            Ok(Ok(())) => anyhow!("the admin endpoint ended"),
            Ok(Err(error)) => anyhow!(error).context("the admin endpoint failed"),
            Err(error) => anyhow!(error).context("the admin endpoint failed"),
        },
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
