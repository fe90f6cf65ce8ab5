//! Wiring, and nothing else: caches, the channel, leadership, the controller.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::runtime::watcher;
use operator_runtime::channel::{self, TlsFiles};
use operator_runtime::{Named, Runtime, cache, drive};
use proto::v1::certificate_service_server::{CertificateServiceServer, SERVICE_NAME as CERTIFICATE_SERVICE};
use proto::v1::flow_service_server::{FlowServiceServer, SERVICE_NAME as FLOW_SERVICE};
use shared_types::{Pgpool, names};
use tonic::service::Routes;

use crate::args::OpsManagerArgs;
use crate::certificates::observe::Caches;
use crate::certificates::triggers::triggers;
use crate::certificates::{Context, Writer, forget, reconcile};
use crate::grpc::Leader;
use crate::grpc::certificates::Certificates;
use crate::grpc::flow::Flows;
use crate::inquiry::Inquiry;
use crate::verdicts::Board;

/// Runs ops-manager until it is told to stop.
pub async fn run(mut runtime: Runtime, args: OpsManagerArgs) -> anyhow::Result<()> {
    let caches = caches(&mut runtime);
    let board = Arc::new(Board::default());
    let cluster_domain = args.common.kube.cluster_domain.clone();
    let inquiry = Inquiry::new(caches.clone(), Arc::clone(&board), cluster_domain.clone());
    serve(&mut runtime, &args, &board, inquiry.clone());
    runtime.lead().await?;

    let pgpools = caches.pgpools.clone();
    let triggers = {
        let (caches, board) = (caches.clone(), Arc::clone(&board));
        triggers(&caches).inspect(move |pgpool| {
            if caches
                .pgpools
                .get(pgpool.namespace.as_deref(), &pgpool.name)
                .is_none()
            {
                forget(&caches, &board, pgpool);
            }
            inquiry.touch(pgpool);
        })
    };
    let writer = Writer::new(&runtime.client(), runtime.events());
    let context = Arc::new(Context {
        caches,
        writer,
        board,
        cluster_domain,
    });
    let options = runtime.controller("certificates");
    runtime.spawn(
        "certificates",
        drive(options, pgpools, triggers, context, reconcile),
    );
    runtime.run().await
}

fn caches(runtime: &mut Runtime) -> Caches {
    let ours = || watcher::Config::default().labels(names::SELECTOR);
    let any = watcher::Config::default;
    Caches {
        pgpools: cache::watch(runtime, any(), trim_pgpool).0,
        secrets: cache::watch(runtime, ours(), trim_secret).0,
        services: cache::watch(runtime, ours(), trim_service).0,
        named: Named::new(runtime, trim_secret),
        certificates: cache::watch(runtime, ours(), |_| ()).0,
        // Only for the cause of a failure.
        requests: cache::watch_optional(runtime, ours(), |_| ()).0,
        issuers: cache::watch(runtime, any(), |_| ()).0,
        // Seen only where a ClusterRole says so; otherwise the Certificate tells whether its issuer can issue.
        cluster_issuers: cache::watch_optional(runtime, any(), |_| ()).0,
    }
}

/// Pods are not ours.
fn trim_pgpool(pgpool: &mut Pgpool) {
    pgpool.spec.pod_template = None;
}

/// Passwords and configurations are known to exist and not known otherwise.
pub(crate) fn trim_secret(secret: &mut Secret) {
    if let Some(data) = &mut secret.data {
        data.retain(|key, _| ["ca.crt", "tls.crt", "tls.key"].contains(&key.as_str()));
    }
}

/// That it exists is all that matters.
fn trim_service(service: &mut Service) {
    service.spec = None;
    service.status = None;
}

fn serve(runtime: &mut Runtime, args: &OpsManagerArgs, board: &Arc<Board>, inquiry: Inquiry) {
    let leader = Leader::new(runtime.ownership());
    let certificates = Certificates::new(Arc::clone(board), leader.clone(), runtime.drain());
    let flows = Flows::new(Arc::new(inquiry), leader, runtime.drain());
    let routes =
        Routes::new(CertificateServiceServer::new(certificates)).add_service(FlowServiceServer::new(flows));
    channel::serve(
        runtime,
        &args.common.channel,
        TlsFiles::new(&args.common.channel.channel_tls_dir),
        routes,
        &[CERTIFICATE_SERVICE, FLOW_SERVICE],
        proto::v1::FILE_DESCRIPTOR_SET,
    );
}
