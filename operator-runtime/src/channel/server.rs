//! The server side: accepts, demands a certificate, serves until the drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt;
use futures::future::join3;
use futures::stream::FuturesUnordered;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tracing::{debug, info};

use super::connection::Connection;
use super::files::TlsFiles;
use crate::args::ChannelArgs;
use crate::error_chain;
use crate::runtime::Runtime;

/// How often to look for files that are missing.
const LOOK: Duration = Duration::from_secs(2);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests under way may take at the drain. Streams are expected to end by themselves then.
const GRACE: Duration = Duration::from_secs(3);

/// Serves gRPC over mTLS as soon as the files exist, until the drain.
///
/// `services` are the full names of the services, for health; `descriptors` is the encoded file
/// descriptor set, for reflection. Streams of the services must end at the drain; those that do not are
/// cut 3 s later.
pub fn serve(
    runtime: &mut Runtime,
    args: &ChannelArgs,
    files: TlsFiles,
    routes: Routes,
    services: &[&'static str],
    descriptors: &'static [u8],
) {
    let channel = Channel {
        files,
        routes,
        services: services.to_vec(),
        descriptors,
        max_streams: args.channel_max_streams,
        max_connections: args.channel_max_connections.into(),
        drain: runtime.drain(),
    };
    let address = args.channel_address;
    runtime.spawn("channel", async move {
        if channel.files_exist().await {
            let listener = listen(address).await?;
            channel.serve(listener).await
        } else {
            Ok(())
        }
    });
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("the channel address {address} cannot be bound"))
}

/// A server, and what it needs to run.
pub(super) struct Channel {
    pub(super) files: TlsFiles,
    pub(super) routes: Routes,
    pub(super) services: Vec<&'static str>,
    pub(super) descriptors: &'static [u8],
    pub(super) max_streams: u32,
    pub(super) max_connections: usize,
    pub(super) drain: CancellationToken,
}

impl Channel {
    /// Waits until the files can be used. Returns false when the drain came first.
    ///
    /// Until then nothing listens, so that clients are refused at once rather than left waiting.
    pub(super) async fn files_exist(&self) -> bool {
        let mut told = None;
        loop {
            let why = match self.files.server() {
                Ok(_) => return true,
                Err(error) => error_chain(&error),
            };
            if told.as_ref() != Some(&why) {
                info!(%why, "the channel waits for its certificate");
                told = Some(why);
            }
            tokio::select! {
                () = self.drain.cancelled() => return false,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Serves until the drain, and a little longer for what is under way.
    pub(super) async fn serve(self, listener: TcpListener) -> anyhow::Result<()> {
        info!(address = ?listener.local_addr().ok(), "the channel is open");
        let (health, health_service) = health_reporter();
        for service in &self.services {
            health.set_service_status(service, ServingStatus::Serving).await;
        }
        let routes = self
            .routes
            .add_service(health_service)
            .add_service(reflection(self.descriptors).build_v1()?)
            .add_service(reflection(self.descriptors).build_v1alpha()?);
        let (sender, receiver) = mpsc::channel(16);
        let incoming = ReceiverStream::new(receiver).map(Ok::<Connection, std::io::Error>);
        let serving = Server::builder()
            .max_concurrent_streams(self.max_streams)
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, self.drain.clone().cancelled_owned());
        let limit = Arc::new(Semaphore::new(self.max_connections));
        let accepting = accept(listener, self.files, limit, sender, self.drain.clone());
        let retiring = retire(health, self.services, self.drain.clone());
        tokio::select! {
            (served, (), ()) = join3(serving, accepting, retiring) => served.context("the channel failed"),
            () = overdue(self.drain) => Ok(()),
        }
    }
}

fn reflection(descriptors: &'static [u8]) -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Tells health watchers at the drain, before the connections go.
async fn retire(health: HealthReporter, services: Vec<&'static str>, drain: CancellationToken) {
    drain.cancelled().await;
    for service in services.into_iter().chain([""]) {
        health
            .set_service_status(service, ServingStatus::NotServing)
            .await;
    }
}

async fn overdue(drain: CancellationToken) {
    drain.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Accepts connections until the drain. Handshakes run side by side, so a slow client delays no other.
async fn accept(
    listener: TcpListener,
    files: TlsFiles,
    limit: Arc<Semaphore>,
    ready: mpsc::Sender<Connection>,
    drain: CancellationToken,
) {
    let mut handshakes = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            () = drain.cancelled() => return,
            Some(connection) = handshakes.next(), if !handshakes.is_empty() => {
                // The other end is gone only when the server has failed, which ends the process.
                if let Some(connection) = connection {
                    let _ = ready.send(connection).await;
                }
            }
            accepted = next(&listener, &limit) => match accepted {
                Ok((stream, permit)) => handshakes.push(handshake(stream, permit, files.clone())),
                Err(error) => {
                    // Out of file descriptors, most likely: some are free again soon.
                    debug!(%error, "no connection could be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn next(
    listener: &TcpListener,
    limit: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(limit)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn handshake(stream: TcpStream, permit: OwnedSemaphorePermit, files: TlsFiles) -> Option<Connection> {
    let peer = stream.peer_addr().ok();
    let config = match files.server() {
        Ok(config) => config,
        Err(error) => {
            debug!(error = %error_chain(&error), "no handshake without certificate files");
            return None;
        }
    };
    // Small messages that somebody waits for.
    let _ = stream.set_nodelay(true);
    match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => Some(Connection::new(stream, permit)),
        Ok(Err(error)) => {
            info!(?peer, %error, "a client was refused");
            None
        }
        Err(_) => {
            debug!(?peer, "a client did not finish its handshake");
            None
        }
    }
}
