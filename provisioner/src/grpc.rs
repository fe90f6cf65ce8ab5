//! The provisioner's own side of the channel: health and reflection, over the same mTLS. It has no service of its own:
//! what people ask is answered by ops-manager, which sees the whole flow.

use operator_runtime::Runtime;
use operator_runtime::args::ChannelArgs;
use operator_runtime::channel::files::TlsFilesError;
use operator_runtime::channel::{TlsFiles, serve};
use shared_types::names;
use tonic::service::Routes;

/// Serves until the drain.
///
/// # Errors
/// When the name of a client is invalid.
pub(crate) fn start(runtime: &mut Runtime, args: &ChannelArgs) -> Result<(), TlsFilesError> {
    let clients = args.clients(names::OPS_MANAGER);
    let files = TlsFiles::new(&args.channel_tls_dir).accepting(&clients)?;
    // No descriptors: reflection must name nothing that is not served here.
    serve(runtime, args, files, Routes::default(), &[], &[]);
    Ok(())
}
