//! Wiring only: which caches, services and controllers this process has, and in which order they start.

use std::sync::Arc;

use futures::StreamExt;
use operator_runtime::channel::{self, TlsFiles};
use operator_runtime::{Identity, Runtime, Wording, drive};
use proto::v1::flow_service_server::{FlowServiceServer, SERVICE_NAME as FLOW_SERVICE};
use proto::v1::verdict_service_server::{SERVICE_NAME as VERDICT_SERVICE, VerdictServiceServer};
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::{PgpoolOpsRequest, names};
use tonic::service::Routes;

use crate::args::Args;
use crate::caches::{Caches, Triggers};
use crate::context::Context;
use crate::flow_source::FlowReader;
use crate::grpc::Leader;
use crate::grpc::flow::Flows;
use crate::grpc::verdicts::Verdicts;
use crate::metrics::Metrics;
use crate::{certificates, ops_requests};

/// Names this process in logs, the lease and managed fields.
pub const IDENTITY: Identity = Identity {
    name: "ops-manager",
    version: env!("CARGO_PKG_VERSION"),
    field_manager: names::OPS_MANAGER,
};

/// Runs ops-manager until a signal, or until the lease is lost.
///
/// # Errors
/// When the API server cannot be reached at start, the lease is lost, or a task ends that must not.
pub async fn run(mut runtime: Runtime, args: Args) -> anyhow::Result<()> {
    let (caches, triggers) = Caches::watch(&mut runtime, args.cluster_resource_namespace.clone());
    let metrics = Metrics::new(caches.clone());
    runtime
        .registry()
        .with(|registry| registry.register_collector(Box::new(metrics)));
    let context = Arc::new(Context::new(
        runtime.client(),
        runtime.events(),
        caches,
        args.common.kube.cluster_domain.clone(),
        args.breaker.limits(),
    ));
    let flows = FlowReader::new(Arc::clone(&context));
    serve(&mut runtime, &args, &context, flows.clone())?;
    runtime.lead().await?;
    start_controllers(&mut runtime, triggers, &context, flows);
    Ok(runtime.run().await?)
}

/// What is remembered about a deleted object is forgotten on its last trigger.
fn start_controllers(runtime: &mut Runtime, triggers: Triggers, context: &Arc<Context>, flows: FlowReader) {
    let Triggers { pgpools, requests } = triggers;
    let pgpools = {
        let context = Arc::clone(context);
        pgpools.inspect(move |pgpool| {
            context.forget_pgpool_if_gone(pgpool);
            flows.notify(pgpool);
        })
    };
    let options = runtime.controller("certificates");
    let cache = context.caches.pgpools.clone();
    let reconcile = certificates::reconcile;
    runtime.spawn(
        "certificates",
        drive(options, cache, pgpools, Arc::clone(context), reconcile),
    );

    let requests = {
        let context = Arc::clone(context);
        requests.inspect(move |request| context.forget_request_if_gone(request))
    };
    let options = runtime.controller("ops_requests");
    let cache = context.caches.requests.clone();
    runtime.report_left_out(cache.clone(), undecodable());
    let reconcile = ops_requests::reconcile;
    runtime.spawn(
        "ops_requests",
        drive(options, cache, requests, Arc::clone(context), reconcile),
    );
}

/// What users read about a request that cannot be decoded.
fn undecodable() -> Wording<PgpoolOpsRequest> {
    Wording {
        condition: OpsCondition::Stalled.as_str(),
        reason: OpsReason::DecodeFailed.as_str(),
        advice: "Until then, the request has no effect.",
        is_shown: |request| {
            let conditions = request.status.iter().flat_map(|status| &status.conditions);
            let mut reasons = conditions.map(|condition| condition.reason.as_str());
            reasons.any(|reason| reason == OpsReason::DecodeFailed.as_str())
        },
    }
}

fn serve(runtime: &mut Runtime, args: &Args, context: &Context, flows: FlowReader) -> anyhow::Result<()> {
    let leader = Leader::new(runtime.ownership());
    let service = Verdicts::new(Arc::clone(&context.verdicts), leader.clone(), runtime.drain());
    let flows = Flows::new(Arc::new(flows), leader, runtime.drain());
    let routes = Routes::new(VerdictServiceServer::new(service)).add_service(FlowServiceServer::new(flows));
    let options = &args.common.channel;
    let clients = options.clients(names::PROVISIONER);
    channel::serve(
        runtime,
        options,
        TlsFiles::new(&options.channel_tls_dir).accepting(&clients)?,
        routes,
        &[VERDICT_SERVICE, FLOW_SERVICE],
        proto::v1::FILE_DESCRIPTOR_SET,
    );
    Ok(())
}
