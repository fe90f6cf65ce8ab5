//! What ops-manager thinks of the certificates of each Pgpool, and the board on which it says so to whoever listens.
//!
//! The board is a copy for listeners. It is filled anew by the first reconciles of a process, and nothing is decided
//! from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use shared_types::Alias;
use shared_types::conditions::Reason;
use tls_bundle::Fingerprint;
use tokio::sync::broadcast;

/// How many changes a listener may fall behind before it has to begin anew.
const BACKLOG: usize = 1024;

/// A Pgpool, apart from a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PgpoolId {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// The verdict on all certificates of a Pgpool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The Pgpool.
    pub pgpool: PgpoolId,
    /// The generation of its spec that this is about.
    pub generation: i64,
    /// Every certificate is there and fits.
    pub ready: bool,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence that names the object and the cure.
    pub message: String,
    /// The certificates, in the order of [`Alias::ALL`].
    pub certificates: Vec<CertificateVerdict>,
}

/// The verdict on one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateVerdict {
    /// Which.
    pub alias: Alias,
    /// The Secret that it stands in.
    pub secret_name: String,
    /// It is there and fits.
    pub ready: bool,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence. The Secret is not named again.
    pub message: String,
    /// The leaf, when one could be read.
    pub leaf: Option<Leaf>,
}

/// What is told of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of its DER form.
    pub fingerprint: Fingerprint,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
}

/// What listeners hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A verdict that is new, or differs from the one before.
    Verdict(Arc<Verdict>),
    /// The Pgpool is gone, or asks for TLS no more.
    Removed(PgpoolId),
}

impl From<Arc<Verdict>> for News {
    fn from(verdict: Arc<Verdict>) -> Self {
        Self::Verdict(verdict)
    }
}

/// All that is known now, and all that will be.
#[derive(Debug)]
pub struct Subscription {
    /// What is known.
    pub known: Vec<Arc<Verdict>>,
    /// What changes from then on.
    pub news: broadcast::Receiver<News>,
}

/// The present verdicts.
#[derive(Debug)]
pub struct Board {
    verdicts: Mutex<BTreeMap<(String, String), Arc<Verdict>>>,
    news: broadcast::Sender<News>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            verdicts: Mutex::default(),
            news: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Board {
    /// Puts up a verdict; listeners hear of it when it differs from the one before.
    pub fn publish(&self, verdict: Verdict) {
        let key = (verdict.pgpool.namespace.clone(), verdict.pgpool.name.clone());
        let mut verdicts = self.verdicts();
        let before = verdicts.get(&key).cloned();
        if before.as_deref() == Some(&verdict) {
            return;
        }
        if let Some(before) = before.filter(|before| before.pgpool != verdict.pgpool) {
            self.tell(News::Removed(before.pgpool.clone()));
        }
        let verdict = Arc::new(verdict);
        verdicts.insert(key, Arc::clone(&verdict));
        // Told under the lock: a listener that subscribes now sees the verdict exactly once.
        self.tell(News::Verdict(verdict));
    }

    /// Takes down the verdict on a Pgpool, if there is one.
    pub fn remove(&self, namespace: &str, name: &str) {
        let mut verdicts = self.verdicts();
        if let Some(before) = verdicts.remove(&(namespace.to_owned(), name.to_owned())) {
            self.tell(News::Removed(before.pgpool.clone()));
        }
    }

    /// Gives the verdict on one Pgpool.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Verdict>> {
        self.verdicts()
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    /// Gives all verdicts, and every change from then on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let verdicts = self.verdicts();
        Subscription {
            known: verdicts.values().cloned().collect(),
            news: self.news.subscribe(),
        }
    }

    fn tell(&self, news: News) {
        // Nobody may be listening, which is well.
        let _ = self.news.send(news);
    }

    fn verdicts(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Verdict>>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
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
            reason: if ready {
                Reason::CertificatesIssued
            } else {
                Reason::Issuing
            },
            message: String::new(),
            certificates: Vec::new(),
        }
    }

    #[test]
    fn a_listener_hears_what_is_known_then_what_changes() {
        let board = Board::default();
        board.publish(verdict("a", "1", false));
        let mut heard = board.subscribe();
        assert_eq!(heard.known, [Arc::new(verdict("a", "1", false))]);

        board.publish(verdict("a", "1", false));
        board.publish(verdict("a", "1", true));
        board.remove("demo", "a");
        board.remove("demo", "a");
        assert_eq!(
            heard.news.try_recv(),
            Ok(News::Verdict(Arc::new(verdict("a", "1", true))))
        );
        assert_eq!(
            heard.news.try_recv(),
            Ok(News::Removed(verdict("a", "1", true).pgpool))
        );
        assert!(heard.news.try_recv().is_err());
    }

    #[test]
    fn a_successor_of_the_same_name_takes_the_verdict_of_the_old_one_down() {
        let board = Board::default();
        board.publish(verdict("a", "1", true));
        let mut heard = board.subscribe();
        board.publish(verdict("a", "2", false));
        assert_eq!(
            heard.news.try_recv(),
            Ok(News::Removed(verdict("a", "1", true).pgpool))
        );
        assert_eq!(
            heard.news.try_recv(),
            Ok(News::Verdict(Arc::new(verdict("a", "2", false))))
        );
        assert_eq!(
            board.get("demo", "a").map(|verdict| verdict.pgpool.uid.clone()),
            Some("2".into())
        );
    }
}
