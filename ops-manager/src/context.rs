//! What the reconciles of both controllers share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use kube::{Client, Resource};
use operator_runtime::events::Events;
use operator_runtime::{Applier, Cache, PendingWrites};
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, names};
use tokio::sync::{Mutex, MutexGuard};

use crate::caches::Caches;
use crate::certificates::decide::breaker::Limits;
use crate::certificates::pending_writes::Memory;
use crate::verdicts::VerdictStore;

pub(crate) struct Context {
    pub(crate) caches: Caches,
    pub(crate) client: Client,
    pub(crate) applier: Applier,
    pub(crate) events: Events,
    pub(crate) verdicts: Arc<VerdictStore>,
    /// The DNS domain of the cluster.
    pub(crate) cluster_domain: String,
    pub(crate) limits: Limits,
    /// What was written about each Pgpool and may not be in the caches yet.
    pub(crate) memory: Memory,
    /// The status of requests, and the Pgpools and Certificates that they changed.
    pub(crate) pending: PendingWrites<PgpoolOpsRequest, PgpoolOpsRequestStatus>,
    pub(crate) starting: Starting,
}

/// Held while a request starts, so that two for one Pgpool do not start at once. After that the status shows which one
/// runs. Pgpools share few locks, so that a slow answer delays few others.
#[derive(Default)]
pub(crate) struct Starting([Mutex<()>; 32]);

impl Starting {
    pub(crate) async fn lock(&self, request: &PgpoolOpsRequest) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (&request.metadata.namespace, &request.spec.database_ref.name).hash(&mut hasher);
        let [first, rest @ ..] = &self.0;
        let number = usize::try_from(hasher.finish() % 32).unwrap_or_default();
        let lock = number.checked_sub(1).and_then(|at| rest.get(at));
        lock.unwrap_or(first).lock().await
    }
}

impl Context {
    pub(crate) fn new(
        client: Client,
        events: Events,
        caches: Caches,
        cluster_domain: String,
        limits: Limits,
    ) -> Self {
        Self {
            caches,
            applier: Applier::new(client.clone(), names::OPS_MANAGER, names::ANNOTATION_APPLIED_HASH),
            client,
            events,
            verdicts: Arc::default(),
            cluster_domain,
            limits,
            memory: Memory::default(),
            pending: PendingWrites::default(),
            starting: Starting::default(),
        }
    }

    pub(crate) fn forget_pgpool(&self, key: &ObjectRef<Pgpool>) {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        self.caches.unsubscribe(key);
        self.verdicts.remove(namespace, &key.name);
        self.memory.forget(key);
    }

    pub(crate) fn forget_pgpool_if_gone(&self, key: &ObjectRef<Pgpool>) {
        if is_gone(&self.caches.pgpools, key) {
            self.forget_pgpool(key);
        }
    }

    pub(crate) fn forget_request_if_gone(&self, key: &ObjectRef<PgpoolOpsRequest>) {
        if is_gone(&self.caches.requests, key) {
            self.pending.forget(key);
        }
    }
}

fn is_gone<K>(cache: &Cache<K>, key: &ObjectRef<K>) -> bool
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    cache.get(key.namespace.as_deref(), &key.name).is_none()
}
