//! Wiring only: which caches, tasks and controllers this process has, and in which order they start.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, select_all};
use kube::runtime::reflector::ObjectRef;
use operator_runtime::args::ChannelArgs;
use operator_runtime::channel::client::ConnectError;
use operator_runtime::channel::{TlsFiles, connect};
use operator_runtime::{Applier, Identity, Named, Policies, Runtime, Wording, drive};
use rustls::crypto::aws_lc_rs;
use shared_types::conditions::{ConditionType, Reason};
use shared_types::{Pgpool, names, policies};
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::caches::{Caches, Triggers, trim_named_secret};
use crate::context::Context;
use crate::grpc;
use crate::health::Health;
use crate::health::NetworkProber;
use crate::metrics::Metrics;
use crate::passwords::PasswordSource;
use crate::peer::{self, Board};
use crate::pgpool::memory::Memory;
use crate::pgpool::observe;
use crate::pgpool::reconcile;
use crate::rotation_limiter::{ClusterRotationLimiter, Limits};

/// Who this process is.
pub(crate) const IDENTITY: Identity = Identity {
    name: names::PROVISIONER,
    version: env!("CARGO_PKG_VERSION"),
    field_manager: names::PROVISIONER,
};

/// Runs the provisioner until a signal, or until the lease is lost.
///
/// # Errors
/// When the API server cannot be reached at start, the lease is lost, or a task ends unexpectedly.
pub(crate) async fn run(mut runtime: Runtime, args: Args) -> anyhow::Result<()> {
    let (caches, triggers) = Caches::watch(&mut runtime, args.postgres.across_namespaces);
    let policies = Policies::watch(&mut runtime, &[policies::PROTECTION, policies::RIGHTS]);
    let named_secrets = Named::new(&mut runtime, trim_named_secret);
    let remote_app_bindings = Named::new(&mut runtime, |_| {});
    let jobs = Named::new(&mut runtime, observe::trim_job);
    let board = Board::default();
    let metrics = Metrics::register(&runtime.registry());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let health = Health::new(
        Arc::new(NetworkProber::new(provider)),
        metrics.clone(),
        runtime.drain(),
    );
    let context = Arc::new(Context {
        client: runtime.client(),
        applier: Applier::new(
            runtime.client(),
            names::PROVISIONER,
            names::ANNOTATION_APPLIED_HASH,
        ),
        events: runtime.events(),
        caches,
        named_secrets,
        remote_app_bindings,
        jobs,
        verdicts: Arc::new(board.clone()),
        health,
        rotation_limiter: ClusterRotationLimiter::new(Limits {
            at_once: args.certificates.rotation_at_once,
            per_minute: args.certificates.rotation_pods_per_minute,
        }),
        window: args.certificates.maintenance_window.clone(),
        memory: Memory::new(metrics.clone()),
        passwords: PasswordSource::default(),
        scope: runtime.scope(),
        across_namespaces: args.postgres.across_namespaces,
        allow_commands: args.postgres.allow_commands,
        policies,
        cluster_domain: args.common.kube.cluster_domain.clone(),
        handoff_grace: args.peer.handoff_grace,
        ca_overlap: args.certificates.ca_overlap,
        deadline: operator_runtime::REQUEST_TIMEOUT,
    });
    grpc::start(&mut runtime, &args.common.channel)?;
    if let Some((url, name)) = args.peer.peer() {
        let follow = follow(url, name, &args.common.channel, board, metrics, runtime.drain())?;
        runtime.spawn("verdicts", follow);
    }
    runtime.lead().await?;
    let triggers = triggers_of(&context, triggers);
    let cache = context.caches.pgpools.clone();
    runtime.report_left_out(cache.clone(), undecodable());
    runtime.spawn(
        "pgpools",
        drive(runtime.controller("pgpool"), cache, triggers, context, reconcile),
    );
    Ok(runtime.run().await?)
}

/// What users read about a `Pgpool` that cannot be decoded.
fn undecodable() -> Wording<Pgpool> {
    Wording {
        condition: ConditionType::Stalled.as_str(),
        reason: Reason::DecodeFailed.as_str(),
        advice: "Until then, the operators change nothing for this Pgpool, and a pool \
                 that runs continues as it is.",
        is_shown: |pgpool| {
            let conditions = pgpool.status.iter().flat_map(|status| &status.conditions);
            let mut reasons = conditions.map(|condition| condition.reason.as_str());
            reasons.any(|reason| reason == Reason::DecodeFailed.as_str())
        },
    }
}

/// Follows the verdicts of ops-manager; fails when its address is invalid.
fn follow(
    url: &str,
    name: &str,
    args: &ChannelArgs,
    board: Board,
    metrics: Metrics,
    drain: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + use<>, ConnectError> {
    let (url, name) = (url.to_owned(), name.to_owned());
    let files = TlsFiles::new(&args.channel_tls_dir);
    let make = move || connect(&url, files.clone(), &name);
    make()?;
    Ok(peer::grpc::follow(make, board, metrics, drain))
}

/// All reconcile triggers. Also forgets what is in memory about a deleted `Pgpool`.
fn triggers_of(
    context: &Arc<Context>,
    watched: Triggers,
) -> impl futures::Stream<Item = ObjectRef<Pgpool>> + Send + 'static {
    let verdict_changes = context.verdicts.changes();
    let health_changes = context.health.changes();
    let limiter_changes = context.rotation_limiter.changes();
    let secret_changes = context.named_secrets.changes().boxed();
    let app_binding_changes = remote_app_binding_changes(context);
    let job_changes = context.jobs.changes().boxed();
    let policy_changes = policy_changes(context);
    let context = context.clone();
    select_all([
        watched.boxed(),
        verdict_changes,
        health_changes,
        limiter_changes,
        secret_changes,
        app_binding_changes,
        job_changes,
        policy_changes,
    ])
    .inspect(move |key| context.forget_if_gone(key))
}

/// Every `Pgpool`, whenever a policy changes.
fn policy_changes(context: &Context) -> BoxStream<'static, ObjectRef<Pgpool>> {
    let pgpools = context.caches.pgpools.clone();
    let all = move |()| {
        let pgpools = pgpools.list().into_iter();
        stream::iter(pgpools.map(|pgpool| ObjectRef::from_obj(pgpool.as_ref())))
    };
    context.policies.changes().flat_map(all).boxed()
}

/// Changes of `AppBinding`s in namespaces that this process does not serve, without those that a `Pgpool` must not notice.
fn remote_app_binding_changes(context: &Arc<Context>) -> BoxStream<'static, ObjectRef<Pgpool>> {
    let context = context.clone();
    let changes = context.remote_app_bindings.changes();
    changes
        .filter(move |key| std::future::ready(observe::may_notice_app_binding(key, &context)))
        .boxed()
}
