//! The channel between the operators: what it answers, whom it refuses, and that nothing depends on it.

use anyhow::{Context as _, ensure};
use proto::v1::{Step, StepState};
use tonic::Code;

use crate::cases::props::watched;
use crate::cases::{Case, Context};
use crate::scene::Scene;
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::operator::{Operator, Plan};
use crate::scene::snapshot::same;

pub fn cases() -> Vec<Case> {
    vec![
        Case::api("channel::a_query_tells_where_a_pool_stands", |context| {
            Box::pin(query(context))
        }),
        Case::api("channel::a_stranger_is_refused", |context| {
            Box::pin(stranger(context))
        }),
        Case::api("channel::nothing_depends_on_it", |context| Box::pin(cut(context))),
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
    ensure!(
        status.code() == Code::Unavailable,
        "refused otherwise than by the handshake: {status}"
    );
    Ok(())
}

/// The end is the same with a channel, with none, and with one that leads nowhere.
async fn cut(context: Context) -> anyhow::Result<()> {
    let company = context.served().await?;
    let scene = context.scene().await?;
    scene.backend().await?;
    let connected = watched_end(company, &scene).await?;

    let plane = context.quiet().await?;
    for (name, peer) in [("none", ""), ("nowhere", "https://127.0.0.1:9")] {
        let scene = Scene::create(&plane.client(), &format!("channel-{name}")).await?;
        scene.backend().await?;
        let mut operators = Vec::new();
        for operator in ["provisioner", "ops-manager"] {
            let plan = Plan::new(&context.operator(operator)?, plane.kubeconfig()).within(scene.namespace());
            let plan = if operator == "provisioner" {
                plan.with("peer-address", peer)
            } else {
                plan
            };
            operators.push(Operator::start(plane, &format!("{}-{operator}", scene.namespace()), plan).await?);
        }
        let end = end(&scene).await.with_context(|| {
            operators
                .iter()
                .map(|operator| operator.said(""))
                .collect::<Vec<_>>()
                .join("\n")
        })?;
        same(&connected, &end).with_context(|| format!("channel: {name}"))?;
    }
    Ok(())
}

async fn watched_end(
    company: &crate::cases::props::Company,
    scene: &Scene,
) -> anyhow::Result<crate::scene::snapshot::Snapshot> {
    let mut snapshot = None;
    watched(company, scene, async {
        snapshot = Some(end(scene).await?);
        Ok(())
    })
    .await?;
    snapshot.context("no snapshot")
}

async fn end(scene: &Scene) -> anyhow::Result<crate::scene::snapshot::Snapshot> {
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    scene.settled(POOL).await
}
