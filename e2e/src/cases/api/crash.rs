//! Killing an operator at any point. Each case lets one of them do a single write, kills it before it receives
//! the answer, starts it again, and so on until nothing is left to write: every point between two writes is
//! tried. The result is then compared with that of an undisturbed Pgpool.

use anyhow::{Context as _, ensure};
use local_cluster::wait;

use crate::case::{Case, Context};
use crate::namespace::SOON;
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::operator_process::with_logs;
use crate::namespace::snapshot::{Snapshot, same};
use crate::namespace::write_barrier::WriteBarrier;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "crash::a_provisioner_killed_after_each_write_converges",
            |context| killed(context, "provisioner"),
        ),
        Case::api(
            "crash::an_ops_manager_killed_after_each_write_converges",
            |context| killed(context, "ops-manager"),
        ),
    ]
}

/// More writes than a single Pgpool can possibly need.
const TOO_MANY: usize = 80;

const ENOUGH: usize = 3;

const OPERATORS: [&str; 2] = ["provisioner", "ops-manager"];

async fn killed(context: Context, victim: &str) -> anyhow::Result<()> {
    let undisturbed = peaceful(&context, victim).await.context("without a kill")?;
    let ns = context.namespace_without_operators(victim).await?;
    let mut barrier = WriteBarrier::open(ns.client().clone()).await?;
    let folder = tempfile::tempdir()?;
    let mut others = Vec::new();
    for name in OPERATORS.into_iter().filter(|name| *name != victim) {
        others.push(context.start(name, &ns, context.plan(name, &ns).await?).await?);
    }
    let kubeconfig = barrier.kubeconfig(folder.path(), victim)?.display().to_string();
    let plan = context.plan(victim, &ns).await?.with("kubeconfig", &kubeconfig);
    let mut operator = context.start(victim, &ns, plan).await?;
    ns.apply(ISSUER).await?;
    barrier.pass_one_more();
    ns.put(&fixtures::pgpool(ns.name())?).await?;

    let arrival = wait::until("it becomes what it becomes in peace", SOON * 3, async || {
        same(&undisturbed, &ns.snapshot(POOL).await?)
    });
    let (mut arrival, mut kills) = (std::pin::pin!(arrival), Vec::new());
    loop {
        tokio::select! {
            arrived = &mut arrival => {
                with_logs(arrived, || format!("killed after {kills:#?}\n{}", operator.log_lines("")))?;
                break;
            }
            crossing = barrier.next_last_write() => {
                operator.kill();
                kills.push(crossing);
                ensure!(kills.len() <= TOO_MANY, "it never comes to an end: {kills:#?}");
                barrier.pass_one_more();
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
    let ns = context
        .namespace_without_operators(&format!("peace-{about}"))
        .await?;
    let mut operators = Vec::new();
    for name in OPERATORS {
        operators.push(context.start(name, &ns, context.plan(name, &ns).await?).await?);
    }
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    ns.settled(POOL).await
}
