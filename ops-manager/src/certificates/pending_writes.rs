//! What this process has written about each Pgpool and its caches may not show yet.
//!
//! A write causes a reconcile of its own, often before the cache shows the write: without this memory the same request
//! would be sent twice. An entry lasts until the cache shows the write; losing it costs one request.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use shared_types::explanation::Explanation;
use shared_types::{Alias, Pgpool};
use tls_bundle::Fingerprint;
use tokio::time::Instant;

use super::own_status::OwnStatus;
use crate::cert_manager::Certificate;

/// How long a cache may take to show a write. What it does not show by then was removed by someone else.
const ARRIVAL: Duration = Duration::from_secs(2);

/// How long a Certificate of another owner is taken to exist. It need not have our labels, so no watch reports when it is
/// deleted.
const CONFLICT: Duration = Duration::from_secs(25);

/// How long a requested certificate may take to arrive in its Secret before it is requested again.
const RENEWAL: Duration = Duration::from_mins(2);

/// By Pgpool.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<ObjectRef<Pgpool>, Writes>>);

#[derive(Debug, Default)]
struct Writes {
    status: Option<StatusWrite>,
    /// Certificates that were created, and when.
    created: BTreeMap<Alias, (Arc<Certificate>, Instant)>,
    /// Certificates of other owners in the way of ours, and when they were found.
    conflicts: BTreeMap<Alias, (Explanation, Instant)>,
    /// Leaf certificates in whose place new ones were requested, and when.
    renewals: BTreeMap<Alias, (Fingerprint, Instant)>,
    /// UID and resource version that Secrets had before they were given their owners.
    adopted: Vec<Version>,
}

/// The provisioner writes to the same status, so that the resource version of the Pgpool says nothing; our part of the
/// status does.
#[derive(Debug)]
struct StatusWrite {
    before: OwnStatus,
    written: OwnStatus,
    at: Instant,
}

/// UID and resource version.
type Version = (Option<String>, Option<String>);

/// What of it matters to the next reconcile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    /// Our part of the status as it is in the API server.
    pub(crate) status: OwnStatus,
    /// Certificates that were created and are not in the cache yet.
    pub(crate) created: BTreeMap<Alias, Arc<Certificate>>,
    pub(crate) conflicts: BTreeMap<Alias, Explanation>,
    /// Leaf certificates that a new certificate was requested for.
    pub(crate) renewals: BTreeMap<Alias, Fingerprint>,
    adopted: Vec<Version>,
}

impl Recent {
    /// Whether the Secret has its owners, although the cache does not show them yet.
    pub(crate) fn is_adopted(&self, secret: &Secret) -> bool {
        self.adopted.contains(&version(secret))
    }
}

fn version(secret: &Secret) -> Version {
    (secret.uid(), secret.resource_version())
}

impl Memory {
    pub(crate) fn record_status(&self, pgpool: &Pgpool, written: OwnStatus) {
        self.with(pgpool, |writes| {
            // Written twice before the cache has moved: it still shows what was there before the first time.
            let before = writes.status.take().map(|write| write.before);
            writes.status = Some(StatusWrite {
                before: before.unwrap_or_else(|| OwnStatus::of(pgpool)),
                written,
                at: Instant::now(),
            });
        });
    }

    pub(crate) fn record_created(&self, pgpool: &Pgpool, alias: Alias, certificate: Certificate) {
        self.with(pgpool, |writes| {
            writes
                .created
                .insert(alias, (Arc::new(certificate), Instant::now()));
        });
    }

    pub(crate) fn record_conflict(&self, pgpool: &Pgpool, alias: Alias, explanation: Explanation) {
        self.with(pgpool, |writes| {
            let conflict = writes.conflicts.entry(alias);
            conflict.or_insert_with(|| (explanation, Instant::now()));
        });
    }

    pub(crate) fn record_renewal(&self, pgpool: &Pgpool, alias: Alias, leaf: Fingerprint) {
        self.with(pgpool, |writes| {
            writes.renewals.insert(alias, (leaf, Instant::now()));
        });
    }

    pub(crate) fn record_adoption(&self, pgpool: &Pgpool, secret: &Secret) {
        self.with(pgpool, |writes| writes.adopted.push(version(secret)));
    }

    /// Returns what the caches do not show yet, and forgets the rest. `certificates` and `secrets` are those in the caches.
    pub(crate) fn recall<'a>(
        &self,
        pgpool: &Pgpool,
        certificates: &[Alias],
        secrets: impl Iterator<Item = &'a Secret>,
    ) -> Recent {
        let shown = OwnStatus::of(pgpool);
        let secrets: Vec<_> = secrets.map(version).collect();
        self.with(pgpool, |writes| {
            writes
                .status
                .take_if(|write| write.before != shown || write.at.elapsed() > ARRIVAL);
            writes
                .created
                .retain(|alias, (_, at)| !certificates.contains(alias) && at.elapsed() < ARRIVAL);
            writes.conflicts.retain(|_, (_, at)| at.elapsed() < CONFLICT);
            writes.renewals.retain(|_, (_, at)| at.elapsed() < RENEWAL);
            writes.adopted.retain(|version| secrets.contains(version));
            Recent {
                status: writes
                    .status
                    .as_ref()
                    .map_or(shown, |write| write.written.clone()),
                created: without_time(&writes.created),
                conflicts: without_time(&writes.conflicts),
                renewals: without_time(&writes.renewals),
                adopted: writes.adopted.clone(),
            }
        })
    }

    pub(crate) fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.lock().remove(key);
    }

    fn with<T>(&self, pgpool: &Pgpool, change: impl FnOnce(&mut Writes) -> T) -> T {
        change(self.lock().entry(ObjectRef::from_obj(pgpool)).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<Pgpool>, Writes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_time<T: Clone>(entries: &BTreeMap<Alias, (T, Instant)>) -> BTreeMap<Alias, T> {
    entries
        .iter()
        .map(|(alias, (entry, _))| (*alias, entry.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use operator_runtime::Lookup;

    use super::*;
    use crate::fixtures::{issued, pgpool};

    fn shown(version: &str, certificates: &OwnStatus) -> Pgpool {
        let mut pgpool = pgpool();
        pgpool.metadata.resource_version = Some(version.into());
        let status = pgpool.status.get_or_insert_default();
        status.certificates.clone_from(&certificates.certificates);
        pgpool
    }

    fn recent(memory: &Memory, pgpool: &Pgpool) -> Recent {
        let mut observed = issued(pgpool);
        observed.recall(memory, pgpool);
        observed.recent
    }

    #[tokio::test]
    async fn a_written_status_counts_until_the_cache_shows_another_of_ours() {
        let certificates = serde_json::from_str(r#"[{"alias": "server", "ready": true}]"#);
        let some = OwnStatus {
            certificates: certificates.unwrap(),
            ..OwnStatus::default()
        };
        let (memory, none) = (Memory::default(), OwnStatus::default());
        let current = |pgpool: &Pgpool| recent(&memory, pgpool).status;
        memory.record_status(&shown("1", &none), some.clone());
        assert_eq!(current(&shown("1", &none)), some);
        // The other operator has written meanwhile, and the cache shows that first.
        assert_eq!(current(&shown("2", &none)), some);
        assert_eq!(current(&shown("3", &some)), some);
        assert_eq!(current(&shown("1", &none)), none, "it does not come back");
    }

    #[tokio::test]
    async fn owners_count_for_the_version_they_were_written_over() {
        let (memory, pgpool) = (Memory::default(), pgpool());
        let mut observed = issued(&pgpool);
        let Lookup::Present(before) = observed.children[&Alias::Server].secret.clone() else {
            panic!("it is issued")
        };
        memory.record_adoption(&pgpool, &before);
        observed.recall(&memory, &pgpool);
        assert!(observed.recent.is_adopted(&before));
        let mut after = Secret::clone(&before);
        after.metadata.resource_version = Some("2".into());
        assert!(!observed.recent.is_adopted(&after));
        memory.forget(&ObjectRef::from_obj(&pgpool));
        assert!(!recent(&memory, &pgpool).is_adopted(&before));
    }
}
