//! Killing an operator, wherever it is. Each case lets one of them do a single write, kills it before it hears
//! the answer, starts it again, and so on until nothing is left to write: every point between two writes is
//! passed. What has come of the Pgpool is then compared with one that was left in peace.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};

use crate::cases::{Case, Context};
use crate::control_plane::ControlPlane;
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::operator::{Operator, Plan};
use crate::scene::snapshot::{Snapshot, same};
use crate::scene::tollgate::Tollgate;
use crate::scene::{SOON, Scene};
use crate::wait;

pub fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "crash::a_provisioner_killed_after_each_write_arrives",
            |context| Box::pin(killed(context, "provisioner")),
        ),
        Case::api(
            "crash::an_ops_manager_killed_after_each_write_arrives",
            |context| Box::pin(killed(context, "ops-manager")),
        ),
    ]
}

/// More writes than a single Pgpool can possibly need.
const TOO_MANY: usize = 80;

/// Fewer would not prove much.
const ENOUGH: usize = 3;

const OPERATORS: [&str; 2] = ["provisioner", "ops-manager"];

async fn killed(context: Context, victim: &str) -> anyhow::Result<()> {
    let plane = context.quiet().await?;
    let undisturbed = peaceful(&context, plane, victim)
        .await
        .context("without a kill")?;

    let scene = Scene::create(&plane.client(), victim).await?;
    scene.backend().await?;
    let mut gate = Tollgate::open(plane.client()).await?;
    let folder = tempfile::tempdir()?;
    let mut others = Vec::new();
    for name in OPERATORS.into_iter().filter(|name| *name != victim) {
        others.push(start(&context, plane, &scene, name).await?);
    }
    let kubeconfig = gate.kubeconfig(folder.path(), victim)?;
    let plan = Plan::new(&context.operator(victim)?, &kubeconfig).within(scene.namespace());
    let mut operator = Operator::start(plane, &format!("{}-{victim}", scene.namespace()), plan).await?;
    scene.apply(ISSUER).await?;
    gate.one_more();
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;

    let mut kills = Vec::new();
    let arrival = wait::until("it becomes what it becomes in peace", SOON * 3, async || {
        same(&undisturbed, &scene.snapshot(POOL).await?)
    });
    let mut arrival = std::pin::pin!(arrival);
    loop {
        tokio::select! {
            arrived = &mut arrival => {
                arrived.with_context(|| format!("killed after {kills:#?}\n{}", operator.said("")))?;
                break;
            }
            crossing = gate.crossing() => {
                operator.kill();
                kills.push(crossing);
                if kills.len() > TOO_MANY {
                    bail!("it never comes to an end: {kills:#?}");
                }
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
    drop(others);
    Ok(())
}

/// What becomes of a Pgpool that nobody disturbs.
async fn peaceful(context: &Context, plane: &Arc<ControlPlane>, about: &str) -> anyhow::Result<Snapshot> {
    let scene = Scene::create(&plane.client(), &format!("peace-{about}")).await?;
    scene.backend().await?;
    let mut operators = Vec::new();
    for name in OPERATORS {
        operators.push(start(context, plane, &scene, name).await?);
    }
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    scene.settled(POOL).await
}

async fn start(
    context: &Context,
    plane: &Arc<ControlPlane>,
    scene: &Scene,
    name: &str,
) -> anyhow::Result<Operator> {
    let plan = Plan::new(&context.operator(name)?, plane.kubeconfig()).within(scene.namespace());
    Operator::start(plane, &format!("{}-{name}", scene.namespace()), plan).await
}
