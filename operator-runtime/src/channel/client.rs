//! The client side: connects at the first call, and again whenever the connection broke.

use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::BoxError;

use super::files::TlsFiles;

/// How long a connection may take to be established, including the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the arguments of a channel are invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not `https://host:port`.
    #[error("{url} is not an address of the form https://host:port")]
    Address {
        /// The argument.
        url: String,
    },
    /// The name is neither a DNS name nor an IP address.
    #[error("{name} is not a server name")]
    ServerName {
        /// The argument.
        name: String,
    },
}

/// Returns a channel that connects when it is first used, and again whenever the connection broke.
///
/// The certificate of the server must cover `server_name`. The files are read again for every connection, so a
/// renewed certificate needs no restart, and missing files fail only that attempt. Calls have no deadline; set
/// one on each.
///
/// # Errors
/// When an argument is invalid.
pub fn connect(url: &str, files: TlsFiles, server_name: &str) -> Result<Channel, ConnectError> {
    let address = || ConnectError::Address { url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| address())?;
    let (Some("https"), Some(host), Some(port)) = (uri.scheme_str(), uri.host(), uri.port_u16()) else {
        return Err(address());
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(server_name.to_owned()).map_err(|_| ConnectError::ServerName {
        name: server_name.to_owned(),
    })?;
    let authority = uri.authority().map_or_else(|| host.clone(), ToString::to_string);
    // For tonic this is a plain connection; the connector below adds TLS with the current files.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|_| address())?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    let connector = tower::service_fn(move |_: Uri| {
        let (host, name, files) = (host.clone(), name.clone(), files.clone());
        async move { dial(&host, port, name, &files).await.map(TokioIo::new) }
    });
    Ok(endpoint.connect_with_connector_lazy(connector))
}

async fn dial(
    host: &str,
    port: u16,
    name: ServerName<'static>,
    files: &TlsFiles,
) -> Result<TlsStream<TcpStream>, BoxError> {
    let config = files.client()?;
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(TlsConnector::from(config).connect(name, stream).await?)
}
