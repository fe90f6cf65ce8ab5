//! Sees objects of one namespace as they appear and change, by watches, with the moment at which each change
//! was seen. Times are measured with it.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context as _;
use futures::stream::{SelectAll, StreamExt as _};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{SOON, TestNamespace};

/// The kinds that show how far a Pgpool has come.
const KINDS: [(&str, &str, &str); 11] = [
    ("", "v1", "Pod"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "StatefulSet"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("appcatalog.appscode.com", "v1alpha1", "AppBinding"),
    ("cert-manager.io", "v1", "Issuer"),
    ("cert-manager.io", "v1", "Certificate"),
    ("cert-manager.io", "v1", "CertificateRequest"),
    ("kubedb.com", "v1alpha2", "Pgpool"),
];

pub(crate) struct Observation {
    pub(crate) at: Instant,
    pub(crate) kind: &'static str,
    pub(crate) object: DynamicObject,
    pub(crate) gone: bool,
}

/// Watches over one namespace; they end with the value.
pub(crate) struct Timeline {
    changes: mpsc::UnboundedReceiver<Observation>,
    task: JoinHandle<()>,
}

impl Timeline {
    /// Starts the watches. Every change after this function has returned is observed.
    pub(crate) async fn start(ns: &TestNamespace) -> anyhow::Result<Self> {
        let mut watches = SelectAll::new();
        for (group, version, kind) in KINDS {
            let events =
                watcher(ns.dynamic(group, version, kind), watcher::Config::default()).default_backoff();
            watches.push(events.map(move |event| (kind, event)).boxed());
        }
        let (sender, changes) = mpsc::unbounded_channel();
        let (begun, mut begins) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some((kind, event)) = watches.next().await {
                let at = Instant::now();
                let (object, gone) = match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => (object, false),
                    Ok(Event::Delete(object)) => (object, true),
                    Ok(Event::InitDone) => {
                        // Nobody counts any more once all have begun.
                        let _ = begun.send(kind);
                        continue;
                    }
                    Ok(Event::Init) => continue,
                    Err(error) => {
                        tracing::debug!(%error, kind, "a watch is begun again");
                        continue;
                    }
                };
                if sender
                    .send(Observation {
                        at,
                        kind,
                        object,
                        gone,
                    })
                    .is_err()
                {
                    break;
                }
            }
        });
        let all = async {
            for _ in KINDS {
                begins.recv().await.context("the watches ended")?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(SOON, all)
            .await
            .context("starting to watch")??;
        Ok(Self { changes, task })
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<Observation> {
        self.changes.recv().await.context("the watches ended")
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The objects of a namespace, as they were last seen.
#[derive(Default)]
pub(crate) struct CurrentObjects {
    objects: BTreeMap<(&'static str, String), DynamicObject>,
}

impl CurrentObjects {
    pub(crate) fn see(&mut self, observation: &Observation) {
        let key = (observation.kind, observation.object.name_any());
        if observation.gone {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, observation.object.clone());
        }
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<&DynamicObject> {
        self.of(kind)
            .find(|object| object.metadata.name.as_deref() == Some(name))
    }

    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &DynamicObject> {
        self.objects
            .iter()
            .filter(move |((found, _), _)| *found == kind)
            .map(|(_, object)| object)
    }
}

/// The condition of a type holds, in an object of any kind.
pub(crate) fn holds(object: &DynamicObject, condition: &str) -> bool {
    let conditions = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions
        .into_iter()
        .any(|found| found["type"] == condition && found["status"] == "True")
}
