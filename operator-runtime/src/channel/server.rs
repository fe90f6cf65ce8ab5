//! The server side: accepts connections, requires a client certificate, serves until the drain.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join3;
use futures::stream::FuturesUnordered;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tracing::{debug, info};

use super::connection::Connection;
use super::contained::Contained;
use super::files::TlsFiles;
use super::refusals::Refusals;
use crate::args::ChannelArgs;
use crate::error_chain;
use crate::fair_share::{FairShare, Permit};
use crate::runtime::Runtime;

/// How often to check for missing files.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long a handshake may take, and after it the wait for one of the connections.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes under way. One address gets half of them at most, so that silent clients keep no other out.
const MAX_HANDSHAKES: usize = 64;
/// How long requests in progress may take after the drain. Streams are expected to end by themselves.
const DRAIN_GRACE: Duration = Duration::from_secs(3);

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

/// Why the server of the channel failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process uses the address, most likely.
    #[error("the channel address {address} cannot be bound")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file descriptor set cannot be decoded.
    #[error("the descriptors of the channel are invalid")]
    Descriptors(#[from] tonic_reflection::server::Error),
    /// The server ended.
    #[error("the channel failed")]
    Serve(#[from] tonic::transport::Error),
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ServeError::Address { address, source })
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
    /// Nothing listens until then, so that clients are refused at once instead of waiting.
    pub(super) async fn files_exist(&self) -> bool {
        let mut logged = None;
        loop {
            let why = match self.files.server() {
                Ok(_) => return true,
                Err(error) => error_chain(&error),
            };
            if logged.as_ref() != Some(&why) {
                info!(%why, "waiting for the certificate of the channel");
                logged = Some(why);
            }
            tokio::select! {
                () = self.drain.cancelled() => return false,
                () = tokio::time::sleep(FILE_CHECK_INTERVAL) => {}
            }
        }
    }

    /// Serves until the drain begins, and up to [`DRAIN_GRACE`] longer for requests in progress.
    pub(super) async fn serve(self, listener: TcpListener) -> Result<(), ServeError> {
        info!(address = ?listener.local_addr().ok(), "listening for channel connections");
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
            .layer(Contained)
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, self.drain.clone().cancelled_owned());
        let limit = Arc::new(Semaphore::new(self.max_connections));
        let door = Door {
            files: self.files,
            connections: limit,
            handshakes: FairShare::new(MAX_HANDSHAKES),
        };
        let accepting = accept(listener, door, sender, self.drain.clone());
        let retiring = retire(health, self.services, self.drain.clone());
        tokio::select! {
            (served, (), ()) = join3(serving, accepting, retiring) => served.map_err(ServeError::Serve),
            () = overdue(self.drain) => Ok(()),
        }
    }
}

fn reflection(descriptors: &'static [u8]) -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Reports the services as not serving at the drain, before the connections close.
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
    tokio::time::sleep(DRAIN_GRACE).await;
}

/// What a client has to pass to be served.
struct Door {
    files: TlsFiles,
    /// Held by clients that have passed.
    connections: Arc<Semaphore>,
    /// By the address of the client.
    handshakes: FairShare<IpAddr>,
}

/// A client that was not served.
struct Refused {
    peer: IpAddr,
    why: String,
}

/// Accepts connections until the drain. Handshakes run concurrently, so a slow client delays no other. A client holds no
/// connection before it has proven who it is.
async fn accept(
    listener: TcpListener,
    door: Door,
    ready: mpsc::Sender<Connection>,
    drain: CancellationToken,
) {
    let mut handshakes = FuturesUnordered::new();
    let mut refusals = Refusals::default();
    loop {
        tokio::select! {
            biased;
            () = drain.cancelled() => return,
            Some(result) = handshakes.next(), if !handshakes.is_empty() => match result {
                // The receiver is gone only when the server failed, which ends the process.
                Ok(connection) => {
                    let _ = ready.send(connection).await;
                }
                Err(Refused { peer, why }) => refusals.log(peer, &why),
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match door.handshakes.try_acquire(peer.ip()) {
                    Some(place) => handshakes.push(door.admit(stream, peer.ip(), place)),
                    None => refusals.log(peer.ip(), "too many handshakes from its address are under way"),
                },
                Err(error) => {
                    // Most likely out of file descriptors, of which some are free again soon.
                    debug!(%error, "no connection could be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

impl Door {
    async fn admit(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        _place: Permit<IpAddr>,
    ) -> Result<Connection, Refused> {
        let passed = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.handshake(stream)).await;
        let late = || "the handshake, or the wait for a connection to end, took too long".to_owned();
        let passed = passed.unwrap_or_else(|_| Err(late()));
        passed.map_err(|why| Refused { peer, why })
    }

    async fn handshake(&self, stream: TcpStream) -> Result<Connection, String> {
        let config = self.files.server().map_err(|error| error_chain(&error))?;
        // The messages are small, and the peer waits for them.
        let _ = stream.set_nodelay(true);
        let accepted = TlsAcceptor::from(config).accept(stream).await;
        let stream = accepted.map_err(|error| error.to_string())?;
        let permit = Arc::clone(&self.connections).acquire_owned().await;
        permit
            .map(|permit| Connection::new(stream, permit))
            .map_err(|error| error.to_string())
    }
}
