//! Sees objects of one namespace as they appear and change, by watches, with the moment at which each change
//! was seen. That is what steps are told from and what times are measured with.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context as _;
use futures::stream::{SelectAll, StreamExt as _};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{SOON, Scene};

/// The kinds that tell how far a Pgpool has come.
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

/// One change that was seen.
pub struct Sighting {
    /// When.
    pub at: Instant,
    /// Kind of the object.
    pub kind: &'static str,
    /// The object, as it was last.
    pub object: DynamicObject,
    /// It is gone.
    pub gone: bool,
}

/// Watches over one namespace; they end with the value.
pub struct Sightings {
    changes: mpsc::UnboundedReceiver<Sighting>,
    task: JoinHandle<()>,
}

impl Sightings {
    /// Starts to watch. What happens after this has returned is seen as it happens.
    pub async fn start(scene: &Scene) -> anyhow::Result<Self> {
        let mut watches = SelectAll::new();
        for (group, version, kind) in KINDS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> =
                Api::namespaced_with(scene.client().clone(), scene.namespace(), &resource);
            let events = watcher(api, watcher::Config::default()).default_backoff();
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
                    .send(Sighting {
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

    /// The next change.
    pub async fn next(&mut self) -> anyhow::Result<Sighting> {
        self.changes.recv().await.context("the watches ended")
    }
}

impl Drop for Sightings {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The objects of a namespace, as they were last seen.
#[derive(Default)]
pub struct Board {
    objects: BTreeMap<(&'static str, String), DynamicObject>,
}

impl Board {
    /// Takes one change in.
    pub fn see(&mut self, sighting: &Sighting) {
        let key = (sighting.kind, sighting.object.name_any());
        if sighting.gone {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, sighting.object.clone());
        }
    }

    /// An object by its name.
    #[must_use]
    pub fn get(&self, kind: &str, name: &str) -> Option<&DynamicObject> {
        self.of(kind)
            .find(|object| object.metadata.name.as_deref() == Some(name))
    }

    /// All objects of a kind.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &DynamicObject> {
        self.objects
            .iter()
            .filter(move |((found, _), _)| *found == kind)
            .map(|(_, object)| object)
    }
}

/// The condition of a type holds, in an object of any kind.
#[must_use]
pub fn holds(object: &DynamicObject, condition: &str) -> bool {
    let conditions = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions
        .into_iter()
        .any(|found| found["type"] == condition && found["status"] == "True")
}
