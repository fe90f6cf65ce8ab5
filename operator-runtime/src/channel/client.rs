//! The client side.

use tonic::transport::Channel;

use super::files::TlsFiles;

/// Why a channel cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not a URL.
    #[error("{url} is not the address of a gRPC server")]
    Address {
        /// What was given.
        url: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// The name is not a DNS name.
    #[error("{name} is not a server name")]
    ServerName {
        /// What was given.
        name: String,
    },
}

/// Makes a channel that connects when it is first used and again whenever it broke.
///
/// Every connection reads the files anew, so a renewed certificate needs no restart and files that are
/// missing only delay the first connection.
pub fn connect(url: &str, files: TlsFiles, server_name: &str) -> Result<Channel, ConnectError> {
    let _ = (url, files, server_name);
    unimplemented!()
}
