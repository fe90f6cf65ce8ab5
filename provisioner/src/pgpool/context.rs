//! What every reconcile is given.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::events::Events;
use operator_runtime::{Applier, Named, Scope};
use shared_types::{AppBinding, Pgpool};

use super::caches::Caches;
use super::pace::Pace;
use super::patience::Patience;
use super::resizes::Resizes;
use super::window::Window;
use super::written::Written;
use crate::fleet::Fleet;
use crate::health::Health;
use crate::peer::Verdicts;
use crate::rotations::Rotations;

/// Handles to everything outside, and the settings. What is kept in memory here is a cache or a hint: losing it
/// costs time, never an end state.
#[derive(Clone)]
pub struct Context {
    /// For the status and the one question of `observe`.
    pub client: Client,
    /// Writes owned objects.
    pub applier: Applier,
    /// Publishes events.
    pub events: Events,
    /// What the API server holds.
    pub caches: Caches,
    /// Secrets that users name.
    pub named: Named<Secret, Pgpool>,
    /// `AppBinding`s in namespaces that this process does not serve.
    pub elsewhere: Named<AppBinding, Pgpool>,
    /// Jobs that run scripts, each watched while its `Pgpool` has scripts.
    pub jobs: Named<Job, Pgpool>,
    /// ops-manager.
    pub verdicts: Arc<dyn Verdicts>,
    /// The checks of pods.
    pub health: Health,
    /// Since when certificates are complete.
    pub patience: Patience,
    /// How many Pgpools replace pods for the sake of certificates.
    pub fleet: Fleet,
    /// How long that takes.
    pub rotations: Rotations,
    /// When that may be, where a Pgpool does not say so itself.
    pub window: Option<Window>,
    /// What the caches do not show yet.
    pub written: Written,
    /// Which pods cannot be resized.
    pub resizes: Resizes,
    /// When each status was last written.
    pub pace: Pace,
    /// The namespaces that this process serves.
    pub scope: Scope,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// How long ops-manager may take to judge certificates.
    pub grace: Duration,
    /// How long certificates of an earlier authority are accepted.
    pub ca_overlap: Duration,
    /// How long one question to the API server may take.
    pub deadline: Duration,
}

impl Context {
    /// Forgets a `Pgpool` that is gone.
    pub fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.named.follow(key, &[]);
        self.elsewhere.follow(key, &[]);
        self.jobs.follow(key, &[]);
        self.caches.monitored.set(key, false);
        self.caches.synced.set(key, false);
        self.health.forget(key);
        self.fleet.note(key, None, false);
        self.rotations.forget(key);
        self.patience.forget(key);
        self.resizes.forget(key);
        self.written.forget(key);
        self.pace.forget(key);
    }

    /// Forgets a `Pgpool` if there is none of that name.
    pub fn forget_if_gone(&self, key: &ObjectRef<Pgpool>) {
        let pgpools = &self.caches.pgpools;
        if pgpools.get(key.namespace.as_deref(), &key.name).is_none() {
            self.forget(key);
        }
    }
}
