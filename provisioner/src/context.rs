//! What every reconcile uses.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::events::Events;
use operator_runtime::{Applier, Named, Policies, Scope};
use shared_types::{AppBinding, Pgpool};

use crate::across_namespaces::AcrossNamespaces;
use crate::caches::Caches;
use crate::health::Health;
use crate::maintenance_window::Window;
use crate::passwords::PasswordSource;
use crate::peer::Verdicts;
use crate::pgpool::memory::Memory;
use crate::pgpool::observe::Subscriptions;
use crate::rotation_limiter::ClusterRotationLimiter;

/// Handles to everything outside, and the settings. What is kept in memory here is a cache or a hint: losing it costs time,
/// never an end state.
#[derive(Clone)]
pub(crate) struct Context {
    /// For the status and the reads of `observe`.
    pub(crate) client: Client,
    pub(crate) applier: Applier,
    pub(crate) events: Events,
    pub(crate) caches: Caches,
    /// Secrets that users name.
    pub(crate) named_secrets: Named<Secret, Pgpool>,
    /// `AppBinding`s in namespaces that this process does not serve.
    pub(crate) remote_app_bindings: Named<AppBinding, Pgpool>,
    /// Jobs that run scripts, each watched while its `Pgpool` has scripts.
    pub(crate) jobs: Named<Job, Pgpool>,
    /// From ops-manager.
    pub(crate) verdicts: Arc<dyn Verdicts>,
    /// Probes the pods.
    pub(crate) health: Health,
    /// What this process remembers about each `Pgpool`.
    pub(crate) memory: Memory,
    /// Limits rotations over all Pgpools.
    pub(crate) rotation_limiter: ClusterRotationLimiter,
    /// The maintenance window of Pgpools that name none.
    pub(crate) window: Option<Window>,
    pub(crate) passwords: PasswordSource,
    /// The namespaces that this process serves.
    pub(crate) scope: Scope,
    /// Which `AppBinding`s of other namespaces may be used.
    pub(crate) across_namespaces: AcrossNamespaces,
    /// Whether settings may make pgpool run a command although tenants do not trust each other.
    pub(crate) allow_commands: bool,
    /// Of the API server.
    pub(crate) policies: Policies,
    pub(crate) cluster_domain: String,
    /// How long ops-manager may take to verify certificates.
    pub(crate) handoff_grace: Duration,
    /// How long former CAs stay trusted.
    pub(crate) ca_overlap: Duration,
    /// How long one read may take.
    pub(crate) deadline: Duration,
}

impl Context {
    /// Watches for a `Pgpool` what it subscribes to, and nothing else.
    pub(crate) fn subscribe(&self, key: &ObjectRef<Pgpool>, subscriptions: &Subscriptions) {
        let Subscriptions {
            secrets,
            remote_app_bindings,
            jobs,
            service_monitors,
            user_secrets,
            refused,
        } = subscriptions;
        self.named_secrets.follow(key, secrets);
        self.remote_app_bindings.follow(key, remote_app_bindings);
        self.jobs.follow(key, jobs);
        self.caches.monitored.set(key, *service_monitors);
        self.caches.synced.set(key, *user_secrets);
        self.caches.refused.set(key, *refused);
    }

    /// Forgets a `Pgpool` that no longer exists.
    pub(crate) fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.subscribe(key, &Subscriptions::default());
        self.health.forget(key);
        self.rotation_limiter.update(key, None, false);
        self.memory.remove(key);
    }

    /// Forgets a `Pgpool` if none of that name exists.
    pub(crate) fn forget_if_gone(&self, key: &ObjectRef<Pgpool>) {
        let pgpools = &self.caches.pgpools;
        if pgpools.get(key.namespace.as_deref(), &key.name).is_none() {
            self.forget(key);
        }
    }
}
