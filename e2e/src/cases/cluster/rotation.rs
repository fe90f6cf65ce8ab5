//! Certificates change under load: every pod serves the new one in the end, and no client is rejected meanwhile.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::cert_manager::{SECRETS, SERVER};
use crate::namespace::fixtures::POOL;
use crate::namespace::pgbench::{Load, Login};
use crate::namespace::rotation::{Follower, Goal};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "rotation::nobody_is_turned_away_while_certificates_change",
        under_load,
    )]
}

const PODS: usize = 2;
const LIMIT: Duration = Duration::from_mins(5);

async fn under_load(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let pool = pool.with("/spec/replicas", json!(PODS));
    let mut follower = Follower::of_new_pool(&ns, &pool, READY).await?;
    let ca = ns.secret_text(SERVER, "ca.crt").await?;
    let load = Load::start(&ns, POOL, context.database().await?, &ca, Login::Password).await?;
    // The server certificate only, then all three as if they expired together, then the server certificate only.
    for certificates in [&SECRETS[..1], &SECRETS, &SECRETS[..1]] {
        let goal = Goal {
            pods: PODS,
            ca: Some(&ca),
            limit: LIMIT,
        };
        let ask = async {
            for certificate in certificates {
                ns.reissue(certificate).await?;
            }
            Ok(())
        };
        let (rotation, requests) = follower.rotate(goal, ask).await?;
        ensure!(rotation.pods.len() == PODS, "{rotation:?}");
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
        clients.output.join("\n")
    );
    Ok(())
}
