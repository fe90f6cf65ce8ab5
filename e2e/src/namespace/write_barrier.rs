//! A proxy between one operator and the API server that can let it do exactly one more write: the write reaches the API
//! server, the answer never comes back, and every later write is held. A test that then kills the operator kills it
//! between two writes, at a known point.
//!
//! Plain HTTP on loopback; requests have the rights of the client that the proxy was given.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// The largest request, in bytes.
const LARGEST: usize = 4 << 20;

/// What happens to the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barrier {
    /// It passes.
    Open,
    /// It passes, and is the last one.
    Last,
    /// It is held.
    Down,
}

pub(crate) struct WriteBarrier {
    address: SocketAddr,
    shared: Arc<Shared>,
    crossings: mpsc::UnboundedReceiver<String>,
    server: JoinHandle<()>,
}

struct Shared {
    client: Client,
    barrier: Mutex<Barrier>,
    /// Notified when the last write turned out to be of a process that is gone.
    again: Notify,
    crossings: mpsc::UnboundedSender<String>,
}

/// The last write on its way. One that was sent just before a kill may arrive after the next one was let pass: its sender is
/// gone then and does not receive the answer, so the next write is a last one as well.
struct LastWrite<'a> {
    shared: &'a Shared,
    reported: bool,
}

impl Drop for LastWrite<'_> {
    fn drop(&mut self) {
        if self.reported {
            return;
        }
        let mut barrier = self.shared.barrier();
        if *barrier == Barrier::Down {
            *barrier = Barrier::Last;
            self.shared.again.notify_waiters();
        }
    }
}

impl WriteBarrier {
    pub(crate) async fn open(client: Client) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("starting the write barrier")?;
        let address = listener.local_addr()?;
        let (sender, crossings) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            client,
            barrier: Mutex::new(Barrier::Open),
            again: Notify::new(),
            crossings: sender,
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the write barrier failed");
            }
        });
        Ok(Self {
            address,
            shared,
            crossings,
            server,
        })
    }

    /// A kubeconfig in `folder` that leads through the barrier.
    pub(crate) fn kubeconfig(&self, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let path = folder.join(format!("{name}.kubeconfig"));
        let text = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "gate",
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
            "clusters": [{"name": "gate", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "gate", "user": {}}],
        });
        std::fs::write(&path, text.to_string()).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// From now on the next write is the last one, until this is called again.
    pub(crate) fn pass_one_more(&self) {
        *self.shared.barrier() = Barrier::Last;
    }

    #[cfg(test)]
    fn free(&self) {
        *self.shared.barrier() = Barrier::Open;
    }

    /// Waits for the last write; returns its method and path.
    pub(crate) async fn next_last_write(&mut self) -> String {
        match self.crossings.recv().await {
            Some(crossing) => crossing,
            // The sender lives as long as the barrier.
            None => std::future::pending().await,
        }
    }
}

impl Drop for WriteBarrier {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn barrier(&self) -> MutexGuard<'_, Barrier> {
        self.barrier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a write may pass; whether it is the last one.
    async fn admitted(&self) -> bool {
        loop {
            let again = self.again.notified();
            match self.arrive() {
                Barrier::Open => return false,
                Barrier::Last => return true,
                Barrier::Down => again.await,
            }
        }
    }

    /// What happens to a write that arrives now.
    fn arrive(&self) -> Barrier {
        let mut barrier = self.barrier();
        let found = *barrier;
        if found == Barrier::Last {
            *barrier = Barrier::Down;
        }
        found
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // Leases and events are no part of the state of a Pgpool.
    let aside = ["/leases", "/events"]
        .iter()
        .any(|part| request.uri().path().contains(part));
    let is_last = is_write(request.method()) && !aside && shared.admitted().await;
    let mut last_write = is_last.then(|| LastWrite {
        shared: &shared,
        reported: false,
    });
    let crossing = format!("{} {}", request.method(), request.uri().path());
    let response = forward(&shared.client, request).await;
    if let Some(last_write) = &mut last_write {
        // The receiver is gone only when the test has ended.
        let _ = shared.crossings.send(crossing);
        last_write.reported = true;
        std::future::pending::<()>().await;
    }
    response.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response())
}

async fn forward(client: &Client, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST).await?;
    let request = http::Request::from_parts(parts, kube::client::Body::from(body));
    Ok(client.send(request).await?.map(Body::new))
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An API server that answers everything with 200, and a gate in front of it.
    async fn gate() -> (WriteBarrier, Client) {
        gate_to(Router::new().fallback(|| async { "{}" })).await
    }

    async fn gate_to(router: Router) -> (WriteBarrier, Client) {
        local_cluster::install_crypto();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = |url: &str| Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
        let gate = WriteBarrier::open(client(&url)).await.unwrap();
        let traveler = client(&format!("http://{}", gate.address));
        (gate, traveler)
    }

    async fn write(client: &Client) -> Result<(), kube::Error> {
        let request = http::Request::post("/api/v1/namespaces")
            .body(Vec::new())
            .unwrap();
        client.request_text(request).await.map(|_| ())
    }

    #[tokio::test]
    async fn the_last_write_is_told_and_never_answered() {
        let (mut gate, client) = gate().await;
        write(&client).await.unwrap();
        gate.pass_one_more();
        let last = tokio::spawn({
            let client = client.clone();
            async move { write(&client).await }
        });
        assert_eq!(gate.next_last_write().await, "POST /api/v1/namespaces");
        let held = tokio::time::timeout(std::time::Duration::from_millis(100), write(&client)).await;
        assert!(held.is_err() && !last.is_finished());
        let read = http::Request::get("/api").body(Vec::new()).unwrap();
        client.request_text(read).await.unwrap();
        gate.free();
        write(&client).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_is_gone_takes_no_write_of_others() {
        // The first write is never answered.
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let first = Arc::new(Mutex::new(true));
        let (mut gate, client) = gate_to(Router::new().fallback(move || {
            let is_first = std::mem::take(&mut *first.lock().unwrap());
            arrived.send(()).unwrap();
            async move {
                if is_first {
                    std::future::pending::<()>().await;
                }
                "{}"
            }
        }))
        .await;
        gate.pass_one_more();
        let killed = tokio::spawn({
            let client = client.clone();
            async move { write(&client).await }
        });
        arrivals.recv().await.unwrap();
        let next = tokio::spawn(async move { write(&client).await });
        killed.abort();
        assert_eq!(gate.next_last_write().await, "POST /api/v1/namespaces");
        assert!(!next.is_finished());
    }
}
