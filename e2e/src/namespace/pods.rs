//! Questions about running pods: whether they are still the same, who leads, how much memory they take.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use local_cluster::process::Recorded;
use local_cluster::wait;
use rustix::process::Signal;
use shared_types::names;

use super::{SOON, TestNamespace};
use crate::operators;

/// Which pods there are, and how often their containers were started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identities(BTreeMap<String, (String, i32)>);

impl Identities {
    fn of(pods: &[Pod]) -> Self {
        let each = pods.iter().map(|pod| {
            let containers = pod
                .status
                .iter()
                .flat_map(|status| status.container_statuses.iter().flatten());
            let restarts = containers.map(|container| container.restart_count).sum();
            (pod.name_any(), (pod.uid().unwrap_or_default(), restarts))
        });
        Self(each.collect())
    }

    /// Fails when these are not the very same pods, without a restart.
    pub(crate) fn same(&self, later: &Self) -> anyhow::Result<()> {
        ensure!(
            self == later,
            "the pods were touched: {:?}, before {:?}",
            later.0,
            self.0
        );
        Ok(())
    }
}

impl TestNamespace {
    pub(crate) async fn pods(&self, pool: &str) -> anyhow::Result<Vec<Pod>> {
        let labels = format!("{},{}={pool}", names::SELECTOR, names::LABEL_INSTANCE);
        Ok(self
            .api::<Pod>()
            .list(&ListParams::default().labels(&labels))
            .await?
            .items)
    }

    /// Waits until the first pod of a pool exists, whether it runs or not. The status of the pool changes
    /// once more then.
    pub(crate) async fn first_pod(&self, pool: &str) -> anyhow::Result<()> {
        wait::object(&self.api::<Pod>(), &format!("{pool}-0"), SOON, "is made", |_| {
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// What a pod with one container has written so far.
    pub(crate) async fn log(&self, pod: &str) -> anyhow::Result<String> {
        let log = self.api::<Pod>().logs(pod, &LogParams::default()).await;
        log.with_context(|| format!("reading the log of {pod}"))
    }

    /// Waits until a client has written lines with a mark and a time, one for each pod that it has seen something in.
    pub(crate) async fn times(
        &self,
        client: &str,
        mark: &str,
        pods: usize,
        limit: Duration,
    ) -> anyhow::Result<Vec<f64>> {
        wait::until(&format!("{mark}: in {pods} pods"), limit, async || {
            let log = self.log(client).await?;
            let times = log
                .lines()
                .filter_map(|line| line.strip_prefix(mark)?.trim().parse().ok());
            let times: Vec<f64> = times.collect();
            ensure!(times.len() == pods, "in {} of {pods} pods: {log}", times.len());
            Ok(times)
        })
        .await
    }

    pub(crate) async fn client_runs(&self, limit: Duration) -> anyhow::Result<()> {
        wait::until("a client connects", limit, async || {
            let pods = self.api::<Pod>().list(&ListParams::default()).await?.items;
            let runs = |pod: &Pod| {
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                pod.name_any().starts_with("psql-") && phase == Some("Running")
            };
            ensure!(pods.iter().any(runs), "no client runs");
            Ok(())
        })
        .await
    }

    /// The pods of a pool, to be compared later.
    pub(crate) async fn identities(&self, pool: &str) -> anyhow::Result<Identities> {
        let pods = self.pods(pool).await?;
        ensure!(!pods.is_empty(), "{pool} has no pods");
        Ok(Identities::of(&pods))
    }
}

/// Seconds, as `date` in a client writes them: all pods are on this machine.
pub(crate) fn now() -> anyhow::Result<f64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(since.as_secs_f64())
}

/// The address of one pod of a pool.
pub(crate) fn host(pool: &str, pod: usize, namespace: &str) -> String {
    format!("{pool}-{pod}.{pool}-pods.{namespace}.svc")
}

pub(crate) fn is_up(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| &status.conditions).flatten();
    let ready = conditions
        .filter(|it| it.type_ == "Ready")
        .any(|it| it.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

pub(crate) async fn of_operator(client: &Client, name: &str) -> anyhow::Result<Vec<Pod>> {
    let labels = format!("app.kubernetes.io/name={}", operators::object(name));
    let api: Api<Pod> = Api::namespaced(client.clone(), operators::NAMESPACE);
    let pods = api.list(&ListParams::default().labels(&labels)).await?.items;
    ensure!(
        !pods.is_empty(),
        "no pod in {} is labeled {labels}",
        operators::NAMESPACE
    );
    Ok(pods)
}

pub(crate) async fn leader(client: &Client, name: &str) -> anyhow::Result<Pod> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), operators::NAMESPACE);
    let lease = leases
        .get(&operators::object(name))
        .await
        .context("looking for the leader")?;
    let holder = lease
        .spec
        .and_then(|spec| spec.holder_identity)
        .context("nobody leads")?;
    let pods = of_operator(client, name).await?;
    pods.into_iter()
        .find(|pod| pod.name_any() == holder)
        .with_context(|| format!("{holder} leads, but there is no such pod"))
}

/// Resident memory of the largest process in a pod that runs on this machine, in bytes: all of it, the pages
/// of the program itself included.
pub(crate) fn resident(pod: &Pod) -> anyhow::Result<u64> {
    Ok(largest(pod)?.0)
}

/// Kills the largest process in a pod that runs on this machine, which gets no chance to do anything about it.
pub(crate) fn kill(pod: &Pod) -> anyhow::Result<()> {
    Recorded::of(largest(pod)?.1)?.signal(Signal::KILL)
}

/// The largest process of a pod, with its resident memory.
fn largest(pod: &Pod) -> anyhow::Result<(u64, i32)> {
    let uid = pod.uid().context("a pod without a UID")?;
    let mut largest = None;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(process) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        // Processes come and go while this looks.
        let Ok(groups) = fs::read_to_string(path.join("cgroup")) else {
            continue;
        };
        if !groups.contains(&uid) && !groups.contains(&uid.replace('-', "_")) {
            continue;
        }
        let Ok(status) = fs::read_to_string(path.join("status")) else {
            continue;
        };
        largest = largest.max(resident_of(&status).map(|resident| (resident, process)));
    }
    largest.with_context(|| format!("pod {} has no process on this machine", pod.name_any()))
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        assert_eq!(
            resident_of("Name:\tx\nVmRSS:\t   20480 kB\nRssAnon:\t 1 kB\n"),
            Some(20 << 20)
        );
        assert_eq!(resident_of("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn a_restart_is_seen() {
        let pod = |restarts: i32| -> Pod {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "a", "uid": "1"},
                "status": {"containerStatuses": [{
                    "name": "c", "image": "", "imageID": "", "ready": true, "restartCount": restarts,
                }]},
            }))
            .unwrap()
        };
        let (before, after) = (Identities::of(&[pod(0)]), Identities::of(&[pod(1)]));
        before.same(&before.clone()).unwrap();
        assert!(before.same(&after).is_err());
    }
}
