//! Certificates change under load: every pod comes to serve the new one, and no client is turned away meanwhile.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::flow::{READY, prepared};
use crate::case::{Case, Context};
use crate::scene::certificates::{SECRETS, SERVER};
use crate::scene::fixtures::POOL;
use crate::scene::load::{Load, Proof};
use crate::scene::rotation::{Follower, Goal, between};

pub fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "rotation::nobody_is_turned_away_while_certificates_change",
        under_load,
    )]
}

/// Pods of the pool.
const PODS: usize = 2;
/// Time for one rotation.
const LIMIT: Duration = Duration::from_mins(5);

async fn under_load(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene.put(&pool.with("/spec/replicas", json!(PODS))).await?;
    scene.ready(POOL, READY).await?;
    let mut follower = Follower::start(&scene).await?;
    follower.calm(None, READY).await?;
    let authority = scene.secret_text(SERVER, "ca.crt").await?;
    let load = Load::start(
        &scene,
        POOL,
        context.database().await?,
        &authority,
        Proof::Password,
    )
    .await?;
    // The server's alone, all three as when their time ends together, the server's alone.
    for certificates in [&SECRETS[..1], &SECRETS, &SECRETS[..1]] {
        let before = follower.requests();
        let goal = Goal {
            pods: PODS,
            authority: Some(&authority),
            limit: LIMIT,
        };
        let ask = async {
            for certificate in certificates {
                scene.reissue(certificate).await?;
            }
            Ok(())
        };
        let rotation = follower.follow(goal, ask).await?;
        ensure!(rotation.pods.len() == PODS, "{rotation:?}");
        follower.calm(Some(&authority), LIMIT).await?;
        let requests = between(&before, &follower.requests());
        let each = certificates.iter().map(|name| ((*name).to_owned(), 1)).collect();
        ensure!(
            requests == each,
            "these requests were made for {certificates:?}: {requests:?}"
        );
    }
    let clients = load.stop().await?;
    ensure!(
        clients.failed == 0,
        "{} new connections failed beside {}: {}",
        clients.failed,
        clients.connections,
        clients.said.join("\n")
    );
    Ok(())
}
