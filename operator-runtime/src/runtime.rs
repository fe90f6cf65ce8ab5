//! Start and stop of a process, and the tasks in between.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::args::CommonArgs;
use crate::controller::Options;
use crate::events::Events;
use crate::gates::Gates;
use crate::metrics::{Metrics, SharedRegistry};
use crate::ownership::Ownership;
use crate::placement::Scope;

/// Who a process is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The name of the operator, as in its image and its lease.
    pub name: &'static str,
    /// The version of the operator.
    pub version: &'static str,
    /// The field manager of everything it writes.
    pub field_manager: &'static str,
}

/// What a task may end with.
pub trait IntoEnd {
    /// Turns the end into a result.
    fn into_end(self) -> anyhow::Result<()>;
}

impl IntoEnd for () {
    fn into_end(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl<E: Into<anyhow::Error>> IntoEnd for Result<(), E> {
    fn into_end(self) -> anyhow::Result<()> {
        self.map_err(Into::into)
    }
}

/// A running process.
pub struct Runtime {
    identity: Identity,
    client: Client,
    gates: Gates,
    registry: SharedRegistry,
    metrics: Metrics,
    drain: CancellationToken,
    scope: Scope,
    ownership: Arc<dyn Ownership>,
    concurrency: u16,
}

impl Runtime {
    /// Starts: crypto provider, log, client, admin endpoint, signals.
    pub async fn start(identity: Identity, args: &CommonArgs) -> anyhow::Result<Self> {
        let _ = (identity, args);
        unimplemented!()
    }

    /// Returns the client. It sends writes only while this process leads.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
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

    /// Runs a task until it ends, which it must not before the drain.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output: IntoEnd> + Send + 'static,
    {
        let _ = (name, task);
        unimplemented!()
    }

    /// Waits until the gates are open, then for the lease. Returns at once when the process is asked to
    /// stop; tasks spawned after that do not start.
    pub async fn lead(&mut self) -> anyhow::Result<()> {
        unimplemented!()
    }

    /// Runs until a signal, then drains and releases the lease.
    pub async fn run(self) -> anyhow::Result<()> {
        unimplemented!()
    }
}
