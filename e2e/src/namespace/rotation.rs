//! Follows a certificate from its Secret into the pods: when each pod was deleted, created, running and ready, and when a
//! handshake of our own proved that it serves the new leaf.
//!
//! Moments of objects are those at which a watch showed them; handshakes are made over and over with each pod that
//! has not shown the leaf yet.

mod pods;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::bail;
use base64::Engine as _;
use futures::future::join_all;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use local_cluster::progress::Elapsed;
use tls_bundle::Fingerprint;

pub(crate) use self::pods::PodTimes;
use self::pods::Pods;
use super::cert_manager::{SECRETS, SERVER};
use super::fixtures::{Manifest, POOL};
use super::issuers::same_text;
use super::pool::is_ready;
use super::timeline::{CurrentObjects, Observation, Timeline, holds};
use super::{TestNamespace, handshake};

const ROUND: Duration = Duration::from_millis(50);

/// Old pods are tried once in so many rounds: perhaps one needs no restart.
const SELDOM: u32 = 20;

/// How long nothing must change for all to be calm.
const CALM: Duration = Duration::from_secs(2);

/// What a rotation was, and how long it took.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    /// From what was done to the change of the Secret.
    pub(crate) issued: Duration,
    /// From the change of the Secret to the last proof.
    pub(crate) served: Duration,
    /// From what was done to the last proof.
    pub(crate) whole: Duration,
    /// The pods, in the order in which they were proven; times from the change of the Secret.
    pub(crate) pods: Vec<PodTimes>,
}

/// What is to happen to the server certificate of the pool of the fixtures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal<'a> {
    pub(crate) pods: usize,
    /// The CA that the new leaf must come from, PEM; any when there is none.
    pub(crate) ca: Option<&'a str>,
    pub(crate) limit: Duration,
}

pub(crate) type Requests = BTreeMap<String, usize>;

/// Follows the pool of the fixtures in one namespace.
pub(crate) struct Follower {
    ns: TestNamespace,
    timeline: Timeline,
    objects: CurrentObjects,
    fleet: Pods,
    requests: BTreeMap<String, String>,
}

struct Course {
    begin: Instant,
    before: Option<Fingerprint>,
    changed: Option<(Instant, Fingerprint)>,
}

impl Follower {
    pub(crate) async fn start(ns: &TestNamespace) -> anyhow::Result<Self> {
        Ok(Self {
            ns: ns.clone(),
            timeline: Timeline::start(ns).await?,
            objects: CurrentObjects::default(),
            fleet: Pods::default(),
            requests: BTreeMap::new(),
        })
    }

    /// Creates a pool, waits until it is ready and nothing changes any more, and watches it.
    pub(crate) async fn of_new_pool(
        ns: &TestNamespace,
        pool: &Manifest,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        ns.put(pool).await?;
        ns.ready(POOL, limit).await?;
        let mut follower = Self::start(ns).await?;
        follower.calm(None, limit).await?;
        Ok(follower)
    }

    /// Follows a change as [`Follower::follow`] does, then waits until nothing changes any more, and counts the requests
    /// that it caused.
    pub(crate) async fn rotate(
        &mut self,
        goal: Goal<'_>,
        change: impl Future<Output = anyhow::Result<()>> + Send,
    ) -> anyhow::Result<(Rotation, Requests)> {
        let before = self.requests();
        let rotation = self.follow(goal, change).await?;
        self.calm(goal.ca, goal.limit).await?;
        Ok((rotation, between(&before, &self.requests())))
    }

    /// All `CertificateRequests` seen so far, those that are gone included.
    pub(crate) fn requests(&self) -> Requests {
        let mut requests = Requests::new();
        for certificate in self.requests.values() {
            *requests.entry(certificate.clone()).or_default() += 1;
        }
        requests
    }

    /// Does something that changes the server certificate, and follows the new leaf until every pod serves it and is
    /// ready.
    ///
    /// # Errors
    /// It took longer than the limit: the error has how far it came.
    pub(crate) async fn follow(
        &mut self,
        goal: Goal<'_>,
        change: impl Future<Output = anyhow::Result<()>> + Send,
    ) -> anyhow::Result<Rotation> {
        self.catch_up(Duration::ZERO).await?;
        let before = self.leaf(None);
        self.fleet.begin();
        let begin = Instant::now();
        change.await?;
        let mut course = Course {
            begin,
            before,
            changed: None,
        };
        let end = tokio::time::timeout(goal.limit, self.run(goal, &mut course)).await;
        match end {
            Ok(rotation) => rotation,
            Err(_) => bail!(
                "not served by {} pods after {}: {}; {}",
                goal.pods,
                Elapsed(goal.limit),
                self.fleet.describe(course.changed.is_some()),
                self.ns.conditions(POOL).await?
            ),
        }
    }

    async fn run(&mut self, goal: Goal<'_>, course: &mut Course) -> anyhow::Result<Rotation> {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut round = 0_u32;
        loop {
            tokio::select! {
                biased;
                observation = self.timeline.next() => {
                    let observation = observation?;
                    self.see(&observation);
                    self.note_change(goal, course, observation.at);
                }
                _ = rounds.tick() => {
                    round = round.wrapping_add(1);
                    if let Some((_, leaf)) = course.changed {
                        self.prove(leaf, round.is_multiple_of(SELDOM)).await;
                    }
                }
            }
            if let Some((changed, leaf)) = course.changed
                && let Some(pods) = self.fleet.served(leaf, goal.pods, changed)
            {
                let served = pods.iter().map(|pod| pod.proven).max().unwrap_or_default();
                let issued = changed.saturating_duration_since(course.begin);
                return Ok(Rotation {
                    issued,
                    served,
                    whole: issued + served,
                    pods,
                });
            }
        }
    }

    fn note_change(&self, goal: Goal<'_>, course: &mut Course, at: Instant) {
        let leaf = self.leaf(goal.ca);
        let known = course.changed.map(|(_, leaf)| leaf);
        if let Some(leaf) = leaf.filter(|leaf| Some(*leaf) != course.before && Some(*leaf) != known) {
            // When it changes once more, the time still runs from the first change.
            let since = course.changed.map_or(at, |(since, _)| since);
            course.changed = Some((since, leaf));
        }
    }

    /// Shakes hands with the pods that have not proven the leaf.
    async fn prove(&mut self, leaf: Fingerprint, all: bool) {
        let asked = self.fleet.unproven(leaf, all);
        let answers = asked.into_iter().map(|(uid, address)| async move {
            // A pod that does not answer yet is tried again.
            (uid, handshake::served(address).await.ok())
        });
        for (uid, answer) in join_all(answers).await {
            if let Some(served) = answer {
                self.fleet.shaken(&uid, served);
            }
        }
    }

    /// The leaf in the Secret, when it comes from `ca`.
    fn leaf(&self, ca: Option<&str>) -> Option<Fingerprint> {
        let secret = self.objects.get("Secret", SERVER)?;
        if let Some(ca) = ca
            && !same_text(&entry(secret, "ca.crt")?, ca)
        {
            return None;
        }
        handshake::leaf(entry(secret, "tls.crt")?.as_bytes()).ok()
    }

    /// Waits until nothing changes any more and all is well: the pool ready, its workload settled, every certificate
    /// issued and, if one is named, by that CA.
    pub(crate) async fn calm(&mut self, ca: Option<&str>, limit: Duration) -> anyhow::Result<()> {
        let mut missing = None;
        let calm = async {
            loop {
                self.catch_up(CALM).await?;
                missing = self.unsettled(ca);
                if missing.is_none() {
                    return anyhow::Ok(());
                }
            }
        };
        let Ok(calm) = tokio::time::timeout(limit, calm).await else {
            let missing = missing.unwrap_or_else(|| "something changes all the time".to_owned());
            bail!(
                "not calm after {}: {missing}; {}",
                Elapsed(limit),
                self.ns.conditions(POOL).await?
            )
        };
        calm
    }

    fn unsettled(&self, ca: Option<&str>) -> Option<String> {
        for name in SECRETS {
            let Some(secret) = self.objects.get("Secret", name) else {
                return Some(format!("there is no Secret {name}"));
            };
            let found = entry(secret, "ca.crt").unwrap_or_default();
            if ca.is_some_and(|ca| !same_text(&found, ca)) {
                return Some(format!("Secret {name} comes from another CA"));
            }
            let issued = self.objects.get("Certificate", name).is_some_and(is_issued);
            if !issued {
                return Some(format!("Certificate {name} is not issued"));
            }
        }
        let workload = self.objects.get("StatefulSet", POOL);
        if !workload.is_some_and(is_settled) {
            return Some("the workload is not settled".to_owned());
        }
        let pool = self.objects.get("Pgpool", POOL).cloned();
        let ready = pool
            .and_then(|pool| pool.try_parse().ok())
            .is_some_and(|pool| is_ready(&pool));
        (!ready).then(|| "the pool is not ready".to_owned())
    }

    /// Takes in what was seen until nothing came for a while.
    async fn catch_up(&mut self, quiet: Duration) -> anyhow::Result<()> {
        while let Ok(observation) = tokio::time::timeout(quiet, self.timeline.next()).await {
            let observation = observation?;
            self.see(&observation);
        }
        Ok(())
    }

    fn see(&mut self, observation: &Observation) {
        self.objects.see(observation);
        match observation.kind {
            "Pod" => self.fleet.see(observation),
            "CertificateRequest" => {
                let object = &observation.object;
                let certificate = object.annotations().get("cert-manager.io/certificate-name");
                self.requests.insert(
                    object.uid().unwrap_or_default(),
                    certificate.cloned().unwrap_or_default(),
                );
            }
            _ => {}
        }
    }
}

pub(crate) fn between(before: &Requests, after: &Requests) -> Requests {
    let each = after.iter().map(|(certificate, count)| {
        let before = before.get(certificate).copied().unwrap_or_default();
        (certificate.clone(), count.saturating_sub(before))
    });
    each.filter(|(_, count)| *count > 0).collect()
}

fn entry(secret: &DynamicObject, key: &str) -> Option<String> {
    let value = secret.data["data"][key].as_str()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    String::from_utf8(bytes).ok()
}

fn is_issued(certificate: &DynamicObject) -> bool {
    holds(certificate, "Ready") && !holds(certificate, "Issuing")
}

fn is_settled(workload: &DynamicObject) -> bool {
    let (spec, status) = (&workload.data["spec"], &workload.data["status"]);
    let wanted = spec["replicas"].as_i64();
    status["observedGeneration"].as_i64() == workload.metadata.generation
        && status["readyReplicas"].as_i64() == wanted
        && status["replicas"].as_i64() == wanted
        && status["currentRevision"] == status["updateRevision"]
}

/// Seconds between two moments of a pod, where both were seen.
pub(crate) fn span(from: Option<Duration>, to: Option<Duration>) -> Option<f64> {
    from.zip(to)
        .map(|(from, to)| to.saturating_sub(from).as_secs_f64())
}

impl Rotation {
    /// One line for each pod, with its moments after the change of the Secret.
    pub(crate) fn describe(&self) -> String {
        let lines: Vec<_> = self.pods.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    /// When the previous pod was proven to serve the new leaf; for the first pod, when the Secret changed.
    pub(crate) fn turn(&self, index: usize) -> Duration {
        match index.checked_sub(1).and_then(|before| self.pods.get(before)) {
            Some(pod) => pod.proven,
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_requests_count() {
        let count = |server, client| -> Requests {
            [("server", server), ("client", client)]
                .map(|(name, count)| (name.to_owned(), count))
                .into()
        };
        assert_eq!(
            between(&count(1, 1), &count(3, 1)),
            Requests::from([("server".to_owned(), 2)])
        );
        assert!(between(&count(1, 1), &count(1, 1)).is_empty());
    }

    #[test]
    fn a_workload_is_settled_when_all_its_pods_are_of_one_kind() {
        let workload = |current: &str| -> DynamicObject {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "pool", "generation": 2},
                "spec": {"replicas": 2},
                "status": {
                    "observedGeneration": 2, "readyReplicas": 2, "replicas": 2,
                    "currentRevision": current, "updateRevision": "b",
                },
            }))
            .unwrap()
        };
        assert!(is_settled(&workload("b")) && !is_settled(&workload("a")));
    }
}
