//! What this process has just written and its caches do not show yet.
//!
//! A write wakes its own writer, and often sooner than the cache that it reads has heard of it: without this the same
//! thing would be sent twice. Nothing here outlives the answer of the cache by more than a moment, and losing it costs
//! no more than a request.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use shared_types::{Alias, Pgpool};
use tls_bundle::Fingerprint;
use tokio::time::Instant;

use super::apply::Problem;
use super::desired::Desired;
use super::observe::Observed;
use super::status::OwnStatus;
use crate::cert_manager::Certificate;

/// How long an object of somebody else is taken to be there still. No watch tells when it goes, and asking at every
/// event would not tell either.
const CONFLICT: Duration = Duration::from_secs(25);

/// How long the Secret may take to show a new certificate. After that it is asked for again, if it is not being issued.
const RENEWAL: Duration = Duration::from_mins(2);

/// The state of an object before a write, by which it is seen whether the cache has heard of the write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    uid: Option<String>,
    version: Option<String>,
}

impl State {
    fn of(object: &impl Resource) -> Self {
        Self {
            uid: object.meta().uid.clone(),
            version: object.meta().resource_version.clone(),
        }
    }
}

/// The last writes about each Pgpool.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// New Certificates, and our part of the status.
    sent: operator_runtime::PendingWrites<Pgpool, OwnStatus>,
    /// What else is known of writes.
    writes: Mutex<HashMap<(String, String), Writes>>,
}

#[derive(Debug, Default)]
struct Writes {
    /// Certificates of other owners that stand in the way, and when that was seen.
    conflicts: HashMap<Alias, (Problem, Instant)>,
    /// Secrets that were given an owner.
    adopted: Vec<State>,
    /// Leaves in whose place new ones were asked for, and when.
    renewed: HashMap<Alias, (Fingerprint, Instant)>,
}

impl Written {
    /// Remembers a Certificate that was created.
    pub(crate) fn certificate(&self, pgpool: &Pgpool, certificate: Certificate) {
        self.sent.object(&ObjectRef::from_obj(pgpool), certificate, None);
    }

    /// Remembers that somebody else owns the Certificate of an alias.
    pub(crate) fn conflict(&self, pgpool: &Pgpool, alias: Alias, problem: Problem) {
        self.with(pgpool, |writes| {
            writes
                .conflicts
                .entry(alias)
                .or_insert_with(|| (problem, Instant::now()));
        });
    }

    /// Takes out of what is desired what somebody else was found to own a moment ago.
    pub(crate) fn hold_back(&self, pgpool: &Pgpool, desired: &mut Desired) -> BTreeMap<Alias, Problem> {
        self.with(pgpool, |writes| {
            writes.conflicts.retain(|_, (_, seen)| seen.elapsed() < CONFLICT);
            desired
                .certificates
                .retain(|(alias, _)| !writes.conflicts.contains_key(alias));
            let conflicts = writes.conflicts.iter();
            conflicts
                .map(|(alias, (problem, _))| (*alias, problem.clone()))
                .collect()
        })
    }

    /// Remembers a Secret that was given an owner.
    pub(crate) fn adopted(&self, pgpool: &Pgpool, secret: &Secret) {
        self.with(pgpool, |writes| writes.adopted.push(State::of(secret)));
    }

    /// Remembers that a new certificate was asked for in the place of this leaf.
    pub(crate) fn renewed(&self, pgpool: &Pgpool, alias: Alias, leaf: Fingerprint) {
        self.with(pgpool, |writes| {
            writes.renewed.insert(alias, (leaf, Instant::now()))
        });
    }

    /// Tells whether a new certificate was asked for in the place of this leaf a while ago: the Certificate may tell that
    /// it is issued before the cache of Secrets has heard of it.
    pub(crate) fn was_renewed(&self, pgpool: &Pgpool, alias: Alias, leaf: Fingerprint) -> bool {
        self.with(pgpool, |writes| {
            let asked = writes.renewed.get(&alias);
            asked.is_some_and(|(of, at)| *of == leaf && at.elapsed() < RENEWAL)
        })
    }

    /// Remembers the status that was written over what `pgpool` shows.
    pub(crate) fn status(&self, pgpool: &Pgpool, status: OwnStatus) {
        let key = ObjectRef::from_obj(pgpool);
        self.sent.part(&key, OwnStatus::of(pgpool), status);
    }

    /// Our part of the status as it stands, whether or not the cache shows it yet.
    pub(crate) fn current_status(&self, pgpool: &Pgpool) -> OwnStatus {
        let key = ObjectRef::from_obj(pgpool);
        self.sent.current_part(&key, OwnStatus::of(pgpool))
    }

    /// Tells whether a Secret was given its owner since the state that the cache shows.
    pub(crate) fn is_adopted(&self, pgpool: &Pgpool, secret: &Secret) -> bool {
        self.with(pgpool, |writes| writes.adopted.contains(&State::of(secret)))
    }

    /// Adds new Certificates to what the caches show, and drops what they have shown by now.
    pub(crate) fn complete(&self, pgpool: &Pgpool, observed: &mut Observed) {
        let key = ObjectRef::from_obj(pgpool);
        for (alias, child) in &mut observed.children {
            let name = shared_types::names::certificate(pgpool, *alias);
            child.certificate = self.sent.current(&key, &name, child.certificate.take());
        }
        self.with(pgpool, |writes| {
            let secrets: Vec<_> = observed
                .secrets()
                .map(|secret| State::of(secret.as_ref()))
                .collect();
            writes.adopted.retain(|state| secrets.contains(state));
        });
    }

    /// Forgets a Pgpool that is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.sent.forget(&ObjectRef::new(name).within(namespace));
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    fn with<T>(&self, pgpool: &Pgpool, look: impl FnOnce(&mut Writes) -> T) -> T {
        let key = (pgpool.namespace().unwrap_or_default(), pgpool.name_any());
        look(self.lock().entry(key).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Writes>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures::{issued, pgpool};

    fn shown(version: &str, certificates: &OwnStatus) -> Pgpool {
        let mut pgpool = pgpool();
        pgpool.metadata.resource_version = Some(version.into());
        let status = pgpool.status.get_or_insert_default();
        status.certificates.clone_from(&certificates.certificates);
        pgpool
    }

    #[tokio::test]
    async fn a_status_counts_until_the_cache_shows_another_of_ours() {
        let certificates = serde_json::from_str(r#"[{"alias": "server", "ready": true}]"#);
        let some = OwnStatus {
            certificates: certificates.unwrap(),
            ..OwnStatus::default()
        };
        let (written, none) = (Written::default(), OwnStatus::default());
        written.status(&shown("1", &none), some.clone());
        assert_eq!(written.current_status(&shown("1", &none)), some);
        // The other operator has written meanwhile, and the cache heard of that first.
        assert_eq!(written.current_status(&shown("2", &none)), some);
        assert_eq!(written.current_status(&shown("3", &some)), some);
        let back = written.current_status(&shown("1", &none));
        assert_eq!(back, none, "it does not come back");
    }

    #[test]
    fn an_owner_counts_for_the_state_it_was_written_over() {
        let (written, pgpool) = (Written::default(), pgpool());
        let mut observed = issued(&pgpool);
        let before = Arc::clone(observed.secrets().next().unwrap());
        written.adopted(&pgpool, &before);
        written.complete(&pgpool, &mut observed);
        assert!(written.is_adopted(&pgpool, &before));
        let mut after = Secret::clone(&before);
        after.metadata.resource_version = Some("2".into());
        assert!(!written.is_adopted(&pgpool, &after));
        written.forget("demo", "pool");
        assert!(!written.is_adopted(&pgpool, &before));
    }
}
