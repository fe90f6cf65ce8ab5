//! The current verdict on the certificates of each Pgpool, and its subscribers.
//!
//! In memory only: the first reconciles of a process fill it, and nothing is decided from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::verdict::{Event, Verdict};
use tokio::sync::broadcast;

/// How many changes a subscriber may fall behind before its stream ends and it has to subscribe again.
const BACKLOG: usize = 1024;

/// Every current verdict, and every change from then on.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) current: Vec<Arc<Verdict>>,
    /// [`Event::Verdict`] and [`Event::Removed`] only.
    pub(crate) changes: broadcast::Receiver<Event>,
}

#[derive(Debug)]
pub(crate) struct VerdictStore {
    /// By namespace and name.
    verdicts: Mutex<BTreeMap<(String, String), Arc<Verdict>>>,
    changes: broadcast::Sender<Event>,
}

impl Default for VerdictStore {
    fn default() -> Self {
        Self {
            verdicts: Mutex::default(),
            changes: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl VerdictStore {
    /// Replaces the verdict on a Pgpool. Subscribers are notified when it differs from the one before.
    pub(crate) fn publish(&self, verdict: Verdict) {
        let key = (verdict.pgpool.namespace.clone(), verdict.pgpool.name.clone());
        let mut verdicts = self.lock();
        if let Some(before) = verdicts.get(&key) {
            if **before == verdict {
                return;
            }
            if before.pgpool != verdict.pgpool {
                self.notify(Event::Removed(before.pgpool.clone()));
            }
        }
        let verdict = Arc::new(verdict);
        verdicts.insert(key, Arc::clone(&verdict));
        // Sent under the lock: a new subscriber sees the verdict exactly once.
        self.notify(Event::Verdict(verdict));
    }

    pub(crate) fn remove(&self, namespace: &str, name: &str) {
        let mut verdicts = self.lock();
        if let Some(before) = verdicts.remove(&(namespace.to_owned(), name.to_owned())) {
            self.notify(Event::Removed(before.pgpool.clone()));
        }
    }

    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<Verdict>> {
        let key = (namespace.to_owned(), name.to_owned());
        self.lock().get(&key).cloned()
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        let verdicts = self.lock();
        Subscription {
            current: verdicts.values().cloned().collect(),
            changes: self.changes.subscribe(),
        }
    }

    fn notify(&self, event: Event) {
        // An error means that there is no subscriber.
        let _ = self.changes.send(event);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Verdict>>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proto::verdict::PgpoolId;
    use shared_types::conditions::Reason;

    use super::*;

    fn verdict(name: &str, uid: &str, ready: bool) -> Verdict {
        Verdict {
            pgpool: PgpoolId {
                namespace: "demo".into(),
                name: name.into(),
                uid: uid.into(),
            },
            generation: 1,
            ready,
            reason: Some(if ready {
                Reason::CertificatesIssued
            } else {
                Reason::Issuing
            }),
            message: String::new(),
            certificates: Vec::new(),
        }
    }

    #[test]
    fn a_subscriber_receives_every_change() {
        let store = VerdictStore::default();
        store.publish(verdict("a", "1", false));
        let mut subscription = store.subscribe();
        assert_eq!(subscription.current, [Arc::new(verdict("a", "1", false))]);

        store.publish(verdict("a", "1", false));
        store.publish(verdict("a", "1", true));
        store.remove("demo", "a");
        store.remove("demo", "a");
        assert_eq!(
            subscription.changes.try_recv(),
            Ok(Event::Verdict(Arc::new(verdict("a", "1", true))))
        );
        assert_eq!(
            subscription.changes.try_recv(),
            Ok(Event::Removed(verdict("a", "1", true).pgpool))
        );
        assert!(subscription.changes.try_recv().is_err());
    }

    #[test]
    fn a_new_pgpool_of_the_same_name_removes_the_verdict_on_the_old_one() {
        let store = VerdictStore::default();
        store.publish(verdict("a", "1", true));
        let mut subscription = store.subscribe();
        store.publish(verdict("a", "2", false));
        assert_eq!(
            subscription.changes.try_recv(),
            Ok(Event::Removed(verdict("a", "1", true).pgpool))
        );
        assert_eq!(
            subscription.changes.try_recv(),
            Ok(Event::Verdict(Arc::new(verdict("a", "2", false))))
        );
        assert_eq!(
            store.get("demo", "a").map(|verdict| verdict.pgpool.uid.clone()),
            Some("2".into())
        );
    }
}
