//! Killing an operator, wherever it is. Each case lets one of them do a single write, kills it before it hears
//! the answer, starts it again, and so on until nothing is left to write: every point between two writes is
//! passed. What has come of the Pgpool is then compared with one that was left in peace.

use anyhow::{Context as _, ensure};
use local_cluster::wait;

use crate::case::{Case, Context};
use crate::scene::SOON;
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::operator::explained;
use crate::scene::snapshot::{Snapshot, same};
use crate::scene::write_barrier::Tollgate;

pub fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "crash::a_provisioner_killed_after_each_write_arrives",
            |context| killed(context, "provisioner"),
        ),
        Case::api(
            "crash::an_ops_manager_killed_after_each_write_arrives",
            |context| killed(context, "ops-manager"),
        ),
    ]
}

/// More writes than a single Pgpool can possibly need.
const TOO_MANY: usize = 80;

/// Fewer would not prove much.
const ENOUGH: usize = 3;

const OPERATORS: [&str; 2] = ["provisioner", "ops-manager"];

async fn killed(context: Context, victim: &str) -> anyhow::Result<()> {
    let undisturbed = peaceful(&context, victim).await.context("without a kill")?;
    let scene = context.quiet_scene(victim).await?;
    let mut gate = Tollgate::open(scene.client().clone()).await?;
    let folder = tempfile::tempdir()?;
    let mut others = Vec::new();
    for name in OPERATORS.into_iter().filter(|name| *name != victim) {
        others.push(
            context
                .start(name, &scene, context.plan(name, &scene).await?)
                .await?,
        );
    }
    let kubeconfig = gate.kubeconfig(folder.path(), victim)?.display().to_string();
    let plan = context
        .plan(victim, &scene)
        .await?
        .with("kubeconfig", &kubeconfig);
    let mut operator = context.start(victim, &scene, plan).await?;
    scene.apply(ISSUER).await?;
    gate.one_more();
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;

    let arrival = wait::until("it becomes what it becomes in peace", SOON * 3, async || {
        same(&undisturbed, &scene.snapshot(POOL).await?)
    });
    let (mut arrival, mut kills) = (std::pin::pin!(arrival), Vec::new());
    loop {
        tokio::select! {
            arrived = &mut arrival => {
                explained(arrived, || format!("killed after {kills:#?}\n{}", operator.said("")))?;
                break;
            }
            crossing = gate.crossing() => {
                operator.kill();
                kills.push(crossing);
                ensure!(kills.len() <= TOO_MANY, "it never comes to an end: {kills:#?}");
                gate.one_more();
                operator.begin()?;
            }
        }
    }
    ensure!(
        kills.len() >= ENOUGH,
        "it was killed only {} times: {kills:#?}",
        kills.len()
    );
    Ok(())
}

/// What becomes of a Pgpool that nobody disturbs.
async fn peaceful(context: &Context, about: &str) -> anyhow::Result<Snapshot> {
    let scene = context.quiet_scene(&format!("peace-{about}")).await?;
    let mut operators = Vec::new();
    for name in OPERATORS {
        operators.push(
            context
                .start(name, &scene, context.plan(name, &scene).await?)
                .await?,
        );
    }
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    scene.settled(POOL).await
}
