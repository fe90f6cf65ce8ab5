//! The channel between the operators: what it answers, whom it refuses, and that nothing depends on it.

use anyhow::{Context as _, ensure};
use proto::v1::{Step, StepState};
use shared_types::conditions::{self, ConditionType};
use tonic::Code;

use crate::case::{Case, Context};
use crate::cases::props::watched;
use crate::scene::Scene;
use crate::scene::certificates::SECRETS;
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::operator::explained;
use crate::scene::snapshot::{Snapshot, same};
use crate::scene::write_barrier::Tollgate;

pub fn cases() -> Vec<Case> {
    vec![
        Case::api("channel::a_query_tells_where_a_pool_stands", query),
        Case::api("channel::a_stranger_is_refused", stranger),
        Case::api("channel::nothing_depends_on_it", cut),
        Case::api("channel::a_silent_ops_manager_is_not_waited_for", silent),
    ]
}

async fn query(context: Context) -> anyhow::Result<()> {
    let company = context.served().await?;
    let scene = context.scene().await?;
    scene.backend().await?;
    let case = async {
        let channel = company.channel()?;
        let error = scene
            .ask_flow(&channel, POOL)
            .await
            .err()
            .context("a Pgpool that is not there has a flow")?;
        let status = error.downcast_ref::<tonic::Status>().context("no answer")?;
        ensure!(status.code() == Code::NotFound, "{status}");

        scene.put(&fixtures::pgpool(scene.namespace())?).await?;
        let issuer = format!("Issuer {}/platform-ca", scene.namespace());
        scene
            .flow(&channel, "the flow waits for the issuer", |flow| {
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

        scene.apply(ISSUER).await?;
        scene.workload(POOL).await?;
        scene
            .flow(
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
    watched(company, &scene, case).await
}

async fn stranger(context: Context) -> anyhow::Result<()> {
    let company = context.served().await?;
    let scene = context.scene().await?;
    let answer = scene.ask_flow(&company.forged_channel()?, POOL).await;
    let error = answer.err().context("a stranger was answered")?;
    let status = error.downcast_ref::<tonic::Status>().context("no refusal")?;
    // The handshake ends the connection: the server never sees a call that it could answer.
    let cut_off = matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown);
    ensure!(cut_off, "the server answered: {status}");
    Ok(())
}

/// The end is the same with a channel, with none, and with one that leads nowhere.
async fn cut(context: Context) -> anyhow::Result<()> {
    let company = context.served().await?;
    let scene = context.scene().await?;
    scene.backend().await?;
    let connected = watched(company, &scene, end(&scene)).await?;
    for (name, peer) in [("none", ""), ("nowhere", "https://127.0.0.1:9")] {
        let scene = context.quiet_scene(&format!("channel-{name}")).await?;
        let plan = context
            .plan("provisioner", &scene)
            .await?
            .with("peer-address", peer);
        let provisioner = context.start("provisioner", &scene, plan).await?;
        let plan = context.plan("ops-manager", &scene).await?;
        let ops_manager = context.start("ops-manager", &scene, plan).await?;
        let said = || format!("{}\n{}", provisioner.said(""), ops_manager.said(""));
        let end = explained(end(&scene).await, said)?;
        same(&connected, &end).with_context(|| format!("channel: {name}"))?;
    }
    Ok(())
}

async fn end(scene: &Scene) -> anyhow::Result<Snapshot> {
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    scene.settled(POOL).await
}

/// ops-manager asks for the certificates and is heard of no more: neither on the channel nor in the status is
/// there a word about them. The provisioner judges them itself and goes on.
async fn silent(context: Context) -> anyhow::Result<()> {
    let scene = context.quiet_scene("silent").await?;
    let plan = context.plan("provisioner", &scene).await?;
    let provisioner = context.start("provisioner", &scene, plan).await?;
    let mut gate = Tollgate::open(scene.client().clone()).await?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = gate.kubeconfig(folder.path(), "ops-manager")?;
    let plan = context
        .plan("ops-manager", &scene)
        .await?
        .with("kubeconfig", &kubeconfig.display().to_string());
    let mut ops_manager = context.start("ops-manager", &scene, plan).await?;
    gate.one_more();
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    loop {
        gate.crossing().await;
        ops_manager.kill();
        let mut asked = 0;
        for name in SECRETS {
            asked += usize::from(scene.certificates().get_opt(name).await?.is_some());
        }
        if asked == SECRETS.len() {
            break;
        }
        gate.one_more();
        ops_manager.begin()?;
    }
    explained(scene.workload(POOL).await, || provisioner.said(""))?;
    let pgpool = scene.pgpool(POOL).await?;
    let status = pgpool.status.context("no status")?;
    let told = conditions::is_true(&status.conditions, ConditionType::CertificatesReady);
    ensure!(
        !told,
        "ops-manager has had its say after all: {:?}",
        status.conditions
    );
    Ok(())
}
