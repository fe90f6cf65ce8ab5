//! Wiring, and nothing else: caches, the channel, leadership, the controller.

use std::sync::Arc;

use futures::StreamExt;
use operator_runtime::channel::{self, TlsFiles};
use operator_runtime::{Runtime, drive};
use proto::v1::certificate_service_server::{CertificateServiceServer, SERVICE_NAME as CERTIFICATE_SERVICE};
use proto::v1::flow_service_server::{FlowServiceServer, SERVICE_NAME as FLOW_SERVICE};
use tonic::service::Routes;

use crate::args::OpsManagerArgs;
use crate::certificates::caches::Caches;
use crate::certificates::triggers::triggers;
use crate::certificates::{Context, Settings, Writer, reconcile};
use crate::grpc::Leader;
use crate::grpc::certificates::Certificates;
use crate::grpc::flow::Flows;
use crate::inquiry::Inquiry;
use crate::metrics;
use crate::ops_requests;
use crate::verdicts::VerdictStore;

/// Runs ops-manager until it is told to stop.
pub async fn run(mut runtime: Runtime, args: OpsManagerArgs) -> anyhow::Result<()> {
    let caches = Caches::start(&mut runtime, args.cluster_resource_namespace.clone());
    let requests = ops_requests::caches::Caches::start(&mut runtime, &caches);
    let registry = runtime.registry();
    registry
        .with(|registry| registry.register_collector(Box::new(metrics::Certificates::new(caches.clone()))));
    let verdicts = Arc::new(VerdictStore::default());
    let cluster_domain = args.common.kube.cluster_domain.clone();
    let inquiry = Inquiry::new(caches.clone(), Arc::clone(&verdicts), cluster_domain.clone());
    serve(&mut runtime, &args, &verdicts, inquiry.clone());
    runtime.lead().await?;

    let pgpools = caches.pgpools.clone();
    let triggers = triggers(&caches);
    let writer = Writer::new(&runtime.client(), runtime.events());
    let context = Arc::new(Context {
        caches,
        writer,
        verdicts,
        settings: Settings {
            cluster_domain,
            limits: args.breaker.limits(),
        },
    });
    let triggers = {
        let context = Arc::clone(&context);
        triggers.inspect(move |pgpool| {
            context.forget_if_gone(pgpool);
            inquiry.touch(pgpool);
        })
    };
    let options = runtime.controller("certificates");
    runtime.spawn(
        "certificates",
        drive(options, pgpools, triggers, context, reconcile),
    );
    operate(&mut runtime, requests);
    runtime.run().await
}

/// Starts the controller of requests.
fn operate(runtime: &mut Runtime, caches: ops_requests::caches::Caches) {
    let requests = caches.requests.clone();
    let triggers = ops_requests::triggers::triggers(&caches);
    let writer = ops_requests::Writer::new(&runtime.client(), runtime.events());
    let context = Arc::new(ops_requests::Context { caches, writer });
    let triggers = {
        let context = Arc::clone(&context);
        triggers.inspect(move |request| context.forget_if_gone(request))
    };
    let options = runtime.controller("ops_requests");
    runtime.spawn(
        "ops_requests",
        drive(options, requests, triggers, context, ops_requests::reconcile),
    );
}

fn serve(runtime: &mut Runtime, args: &OpsManagerArgs, verdicts: &Arc<VerdictStore>, inquiry: Inquiry) {
    let leader = Leader::new(runtime.ownership());
    let certificates = Certificates::new(Arc::clone(verdicts), leader.clone(), runtime.drain());
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
