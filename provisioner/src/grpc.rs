//! The provisioner's own side of the channel: health and reflection, over the same mTLS. It has no service of its own:
//! what people ask is answered by ops-manager, which sees the whole flow.

use operator_runtime::Runtime;
use operator_runtime::args::ChannelArgs;
use operator_runtime::channel::{TlsFiles, serve};
use tonic::service::Routes;

/// Serves until the drain.
pub(crate) fn start(runtime: &mut Runtime, args: &ChannelArgs) {
    let files = TlsFiles::new(&args.channel_tls_dir);
    // No descriptors: reflection must name nothing that is not served here.
    serve(runtime, args, files, Routes::default(), &[], &[]);
}
