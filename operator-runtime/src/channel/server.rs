//! The server side.

use tonic::service::Routes;

use super::files::TlsFiles;
use crate::args::ChannelArgs;
use crate::runtime::Runtime;

/// Serves gRPC over mTLS as soon as the files exist, until the drain.
///
/// `services` are the full names of the services (for health); `descriptors` is the encoded file
/// descriptor set (for reflection).
pub fn serve(
    runtime: &mut Runtime,
    args: &ChannelArgs,
    files: TlsFiles,
    routes: Routes,
    services: &[&'static str],
    descriptors: &'static [u8],
) {
    let _ = (runtime, args, files, routes, services, descriptors);
    unimplemented!()
}
