//! The channel between the operators: what it answers, which clients it rejects, and that nothing depends on it.

use anyhow::{Context as _, ensure};
use proto::v1::{Step, StepState};
use shared_types::conditions::{self, ConditionType};
use tonic::Code;

use crate::case::shared_fixtures::watched;
use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::cert_manager::SECRETS;
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::operator_process::with_logs;
use crate::namespace::snapshot::{Snapshot, same};
use crate::namespace::write_barrier::WriteBarrier;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api("channel::a_query_tells_where_a_pool_stands", query),
        Case::api("channel::a_stranger_is_refused", stranger),
        Case::api("channel::nothing_depends_on_it", cut),
        Case::api("channel::a_silent_ops_manager_is_not_waited_for", silent),
    ]
}

async fn query(context: Context) -> anyhow::Result<()> {
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    ns.backend().await?;
    let case = async {
        let channel = pair.channel()?;
        let error = ns
            .ask_flow(&channel, POOL)
            .await
            .err()
            .context("a Pgpool that is not there has a flow")?;
        let status = error.downcast_ref::<tonic::Status>().context("no answer")?;
        ensure!(status.code() == Code::NotFound, "{status}");

        ns.put(&fixtures::pgpool(ns.name())?).await?;
        let issuer = format!("Issuer {}/platform-ca", ns.name());
        ns.flow(&channel, "the flow waits for the issuer", |flow| {
            let state = flow.steps.first().map(Step::state);
            ensure!(state == Some(StepState::Waiting), "{flow:?}");
            ensure!(
                flow.waiting_for.contains(&issuer),
                "it waits for {}",
                flow.waiting_for
            );
            Ok(())
        })
        .await?;

        ns.apply(ISSUER).await?;
        ns.workload(POOL).await?;
        ns.flow(
            &channel,
            "the flow waits for the pods, which never come here",
            |flow| {
                let states: Vec<_> = flow.steps.iter().map(Step::state).collect();
                let done = states
                    .iter()
                    .take_while(|state| **state == StepState::Done)
                    .count();
                ensure!(
                    flow.steps.len() == 10 && done == 9,
                    "{done} steps are done: {flow:?}"
                );
                ensure!(states[9] == StepState::Waiting, "{:?}", flow.steps[9]);
                Ok(())
            },
        )
        .await?;
        anyhow::Ok(())
    };
    watched(pair, &ns, case).await
}

async fn stranger(context: Context) -> anyhow::Result<()> {
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    for (channel, whose) in [
        (pair.forged_channel()?, "another CA"),
        (pair.misnamed_channel()?, "another name"),
    ] {
        let answer = ns.ask_flow(&channel, POOL).await;
        let error = answer
            .err()
            .with_context(|| format!("a client with {whose} was answered"))?;
        let status = error.downcast_ref::<tonic::Status>().context("no refusal")?;
        // The handshake ends the connection: the server never sees a call that it could answer.
        let cut_off = matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown);
        ensure!(cut_off, "the server answered a client with {whose}: {status}");
    }
    Ok(())
}

/// The end is the same with a channel, with none, and with one that leads nowhere.
async fn cut(context: Context) -> anyhow::Result<()> {
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    ns.backend().await?;
    let connected = watched(pair, &ns, end(&ns)).await?;
    for (name, peer) in [("none", ""), ("nowhere", "https://127.0.0.1:9")] {
        let ns = context
            .namespace_without_operators(&format!("channel-{name}"))
            .await?;
        let plan = context.plan("provisioner", &ns).await?.with("peer-address", peer);
        let provisioner = context.start("provisioner", &ns, plan).await?;
        let plan = context.plan("ops-manager", &ns).await?;
        let ops_manager = context.start("ops-manager", &ns, plan).await?;
        let output = || format!("{}\n{}", provisioner.log_lines(""), ops_manager.log_lines(""));
        let end = with_logs(end(&ns).await, output)?;
        same(&connected, &end).with_context(|| format!("channel: {name}"))?;
    }
    Ok(())
}

async fn end(ns: &TestNamespace) -> anyhow::Result<Snapshot> {
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    ns.settled(POOL).await
}

/// ops-manager requests the certificates and then stops: neither the channel nor the status says anything
/// about them. The provisioner verifies them itself and continues.
async fn silent(context: Context) -> anyhow::Result<()> {
    let ns = context.namespace_without_operators("silent").await?;
    let plan = context.plan("provisioner", &ns).await?;
    let provisioner = context.start("provisioner", &ns, plan).await?;
    let mut barrier = WriteBarrier::open(ns.client().clone()).await?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = barrier.kubeconfig(folder.path(), "ops-manager")?;
    let plan = context
        .plan("ops-manager", &ns)
        .await?
        .with("kubeconfig", &kubeconfig.display().to_string());
    let mut ops_manager = context.start("ops-manager", &ns, plan).await?;
    barrier.pass_one_more();
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    loop {
        barrier.next_last_write().await;
        ops_manager.kill();
        let mut requested = 0;
        for name in SECRETS {
            requested += usize::from(ns.certificates().get_opt(name).await?.is_some());
        }
        if requested == SECRETS.len() {
            break;
        }
        barrier.pass_one_more();
        ops_manager.begin()?;
    }
    with_logs(ns.workload(POOL).await, || provisioner.log_lines(""))?;
    let pgpool = ns.pgpool(POOL).await?;
    let status = pgpool.status.context("no status")?;
    let reported = conditions::is_true(&status.conditions, ConditionType::CertificatesReady);
    ensure!(
        !reported,
        "ops-manager reported the certificates after all: {:?}",
        status.conditions
    );
    Ok(())
}
