//! The pods of a pool while they are replaced: the moments of each, and what its handshakes showed. Pure but for the
//! clock.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use shared_types::names;
use tls_bundle::Fingerprint;

use crate::namespace::fixtures::POOL;
use crate::namespace::timeline::{Observation, holds};

/// The moments of one pod, counted from the change of the Secret. What was not seen is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodTimes {
    pub(crate) name: String,
    pub(crate) leaving: Option<Duration>,
    pub(crate) gone: Option<Duration>,
    pub(crate) made: Option<Duration>,
    pub(crate) running: Option<Duration>,
    pub(crate) ready: Option<Duration>,
    pub(crate) proven: Duration,
}

impl fmt::Display for PodTimes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |moment: Option<Duration>| {
            moment.map_or_else(|| "?".to_owned(), |at| format!("{:.1}", at.as_secs_f64()))
        };
        write!(
            formatter,
            "{}: deleted {}, gone {}, created {}, running {}, ready {}, proven {} s",
            self.name,
            at(self.leaving),
            at(self.gone),
            at(self.made),
            at(self.running),
            at(self.ready),
            at(Some(self.proven)),
        )
    }
}

/// One pod, from its first observation to its last.
#[derive(Debug, Default)]
struct Life {
    name: String,
    address: Option<IpAddr>,
    made: Option<Instant>,
    leaving: Option<Instant>,
    gone: Option<Instant>,
    running: Option<Instant>,
    ready: Option<Instant>,
    old: bool,
    proven: Option<(Fingerprint, Instant)>,
}

/// All pods of the pool by their UIDs.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    pods: BTreeMap<String, Life>,
}

impl Pods {
    /// A rotation begins: the pods that exist now are old, those that are gone are forgotten.
    pub(crate) fn begin(&mut self) {
        self.pods.retain(|_, life| life.gone.is_none());
        for life in self.pods.values_mut() {
            life.old = true;
        }
    }

    pub(crate) fn see(&mut self, observation: &Observation) {
        let pod = &observation.object;
        let labels = pod.labels();
        let is_ours = labels.get(names::LABEL_INSTANCE).is_some_and(|pool| pool == POOL)
            && labels
                .get(names::LABEL_NAME)
                .is_some_and(|name| name == names::APPLICATION);
        if !is_ours {
            return;
        }
        let at = observation.at;
        let life = self.pods.entry(pod.uid().unwrap_or_default()).or_default();
        life.name = pod.name_any();
        life.address = pod.data["status"]["podIP"]
            .as_str()
            .and_then(|address| address.parse().ok());
        life.made.get_or_insert(at);
        if pod.metadata.deletion_timestamp.is_some() {
            life.leaving.get_or_insert(at);
        }
        if observation.gone {
            life.gone.get_or_insert(at);
        }
        if is_running(pod) {
            life.running.get_or_insert(at);
        }
        if holds(pod, "Ready") {
            life.ready.get_or_insert(at);
        }
    }

    /// The pods that may serve the leaf and have not shown it; old ones only with `all`.
    pub(crate) fn unproven(&self, leaf: Fingerprint, all: bool) -> Vec<(String, IpAddr)> {
        let each = self.pods.iter().filter(|(_, life)| {
            life.gone.is_none() && life.leaving.is_none() && !life.shows(leaf) && (all || !life.old)
        });
        each.filter_map(|(uid, life)| Some((uid.clone(), life.address?)))
            .collect()
    }

    /// A pod showed a leaf in a handshake.
    pub(crate) fn shaken(&mut self, uid: &str, served: Fingerprint) {
        if let Some(life) = self.pods.get_mut(uid)
            && !life.shows(served)
        {
            life.proven = Some((served, Instant::now()));
        }
    }

    /// The times of the pods, once there are as many as wanted, all of them ready, and all have shown the leaf.
    pub(crate) fn served(&self, leaf: Fingerprint, pods: usize, since: Instant) -> Option<Vec<PodTimes>> {
        let there: Vec<_> = self.pods.values().filter(|life| life.gone.is_none()).collect();
        let all = there.len() == pods
            && there
                .iter()
                .all(|life| life.leaving.is_none() && life.ready.is_some() && life.shows(leaf));
        if !all {
            return None;
        }
        let mut times: Vec<_> = there.iter().map(|life| self.times(life, since)).collect();
        times.sort_by_key(|times| times.proven);
        Some(times)
    }

    fn times(&self, life: &Life, since: Instant) -> PodTimes {
        let after = |moment: Option<Instant>| moment.map(|at| at.saturating_duration_since(since));
        // The one before it of that name: a pod may be replaced more than once, the last time counts.
        let former = self
            .pods
            .values()
            .filter(|other| other.name == life.name && other.gone.is_some())
            .max_by_key(|other| other.gone);
        PodTimes {
            name: life.name.clone(),
            leaving: after(former.and_then(|former| former.leaving)),
            gone: after(former.and_then(|former| former.gone)),
            made: after(life.made),
            running: after(life.running),
            ready: after(life.ready),
            proven: after(life.proven.map(|(_, at)| at)).unwrap_or_default(),
        }
    }

    pub(crate) fn describe(&self, changed: bool) -> String {
        if !changed {
            return "the Secret did not change".to_owned();
        }
        let each = self.pods.values().filter(|life| life.gone.is_none()).map(|life| {
            let state = match life {
                Life { leaving: Some(_), .. } => "is ending",
                Life { old: true, .. } => "was not replaced",
                Life { running: None, .. } => "does not run",
                Life { proven: None, .. } => "has shown no leaf",
                Life { ready: None, .. } => "is not ready",
                _ => "serves",
            };
            format!("{} {state}", life.name)
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

impl Life {
    fn shows(&self, leaf: Fingerprint) -> bool {
        self.proven.is_some_and(|(shown, _)| shown == leaf)
    }
}

fn is_running(pod: &DynamicObject) -> bool {
    let containers = pod.data["status"]["containerStatuses"].as_array();
    containers
        .into_iter()
        .flatten()
        .any(|container| container["name"] == "pgpool" && container["state"]["running"].is_object())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn observation(uid: &str, leaving: bool, gone: bool, ready: bool, at: Instant) -> Observation {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "pool-0", "uid": uid, "labels": {
                "app.kubernetes.io/name": "pgpools.kubedb.com", "app.kubernetes.io/instance": "pool",
            }},
            "status": {
                "podIP": "10.0.0.1",
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
                "containerStatuses": [{"name": "pgpool", "state": {"running": {}}}],
            },
        });
        if leaving {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Observation {
            at,
            kind: "Pod",
            object: serde_json::from_value(object).unwrap(),
            gone,
        }
    }

    #[test]
    fn a_pod_is_served_once_it_is_new_ready_and_proven() {
        let (old, new) = (Fingerprint::of_der(b"old"), Fingerprint::of_der(b"new"));
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut fleet = Pods::default();
        fleet.see(&observation("1", false, false, true, start));
        fleet.shaken("1", old);
        fleet.begin();
        assert_eq!(fleet.served(new, 1, start), None);
        assert!(fleet.unproven(new, false).is_empty());
        assert_eq!(fleet.unproven(new, true).len(), 1);
        fleet.see(&observation("1", true, false, true, start + second));
        fleet.see(&observation("1", true, true, true, start + 2 * second));
        fleet.see(&observation("2", false, false, true, start + 3 * second));
        assert_eq!(fleet.unproven(new, false).len(), 1);
        assert_eq!(fleet.served(new, 1, start), None);
        fleet.shaken("2", new);
        let times = fleet.served(new, 1, start).unwrap();
        assert_eq!(times[0].leaving, Some(second));
        assert_eq!(times[0].gone, Some(2 * second));
        assert_eq!(times[0].ready, Some(3 * second));
    }

    #[test]
    fn an_old_pod_may_serve_the_new_leaf_without_a_restart() {
        let new = Fingerprint::of_der(b"new");
        let mut fleet = Pods::default();
        fleet.see(&observation("1", false, false, true, Instant::now()));
        fleet.begin();
        fleet.shaken("1", new);
        assert!(fleet.served(new, 1, Instant::now()).is_some());
    }
}
