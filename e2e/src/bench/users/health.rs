//! How many connections the health check makes, out of what the pods' pgpool writes about those it takes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Client, ResourceExt as _};
use local_cluster::progress::Elapsed;

use crate::bench::figures::Figure;
use crate::bench::statistics::{longest, number};
use crate::namespace::{TestNamespace, pods};
use crate::workspace::Workspace;

const WATCHED: Duration = Duration::from_mins(1);

/// Period of the health check where the Pgpool names none, in seconds.
const PERIOD: f64 = 10.0;

/// Connections of the provisioner per pod and period, in the pod that has most.
pub(crate) async fn measure(
    workspace: &Workspace,
    client: &Client,
    ns: &TestNamespace,
    pool: &str,
) -> anyhow::Result<Figure> {
    let title = format!("watch the health check for {}", Elapsed(WATCHED));
    let step = workspace.progress.step(title);
    let asker = pods::leader(client, "provisioner").await?;
    let address = asker
        .status
        .and_then(|status| status.pod_ip)
        .context("the provisioner has no address")?;
    tokio::time::sleep(WATCHED).await;
    let mut rates = Vec::new();
    for pod in ns.pods(pool).await? {
        let parameters = LogParams {
            container: Some("pgpool".to_owned()),
            since_seconds: Some(WATCHED.as_secs().try_into()?),
            timestamps: true,
            ..LogParams::default()
        };
        let log = ns.api::<Pod>().logs(&pod.name_any(), &parameters).await?;
        let rate = rate(&arrivals(&log, &address))
            .with_context(|| format!("{} writes of no connections from {address}", pod.name_any()))?;
        rates.push(rate);
    }
    ensure!(!rates.is_empty(), "{pool} has no pods");
    step.done();
    let title = "health check connections per pod and period of 10 s, most";
    Ok(Figure::new(title, Some(longest(rates)), "").at_most(1.0))
}

fn arrivals(log: &str, address: &str) -> Vec<Timestamp> {
    let from = format!("connecting host={address} ");
    log.lines()
        .filter(|line| line.contains(&from))
        .filter_map(|line| line.split_once(' ')?.0.parse().ok())
        .collect()
}

/// Connections in a period, out of the distances between them: to hundredths, since nobody is that punctual.
fn rate(arrivals: &[Timestamp]) -> Option<f64> {
    let (first, last) = (arrivals.first()?, arrivals.last()?);
    let seconds = (last.as_millisecond() - first.as_millisecond()).max(1);
    let seconds = Duration::from_millis(seconds.try_into().ok()?).as_secs_f64();
    let rate = number(arrivals.len() - 1) * PERIOD / seconds;
    Some((rate * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_askers_connections_count() {
        let log = "\
2026-01-01T00:00:00.5Z 2026-01-01: [unknown] pid 7: DETAIL:  connecting host=10.0.0.9 port=1
2026-01-01T00:00:03.5Z 2026-01-01: [unknown] pid 7: DETAIL:  connecting host=10.0.0.90 port=1
2026-01-01T00:00:10.5Z 2026-01-01: [unknown] pid 7: DETAIL:  connecting host=10.0.0.9 port=2
2026-01-01T00:00:20.5Z 2026-01-01: [unknown] pid 7: DETAIL:  connecting host=10.0.0.9 port=3";
        let found = arrivals(log, "10.0.0.9");
        assert_eq!(found.len(), 3);
        assert_eq!(rate(&found), Some(1.0));
        assert_eq!(rate(&[]), None);
    }
}
