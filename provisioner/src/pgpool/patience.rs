//! Remembers since when the certificates of a `Pgpool` are all there for its present spec, so that ops-manager is given
//! its time exactly once for each set of them and each spec. In memory: a restart starts the grace time anew and changes
//! nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;
use tls_bundle::Fingerprint;

#[cfg(test)]
mod tests;

/// One leaf for each certificate; `None` where none can be read.
type Set = Vec<Option<Fingerprint>>;

/// Since when which certificates are complete.
#[derive(Clone, Default)]
pub struct Patience(Arc<Mutex<Known>>);

/// What ops-manager is asked about: a generation of the spec, and the leaves.
type Question = (Option<i64>, Set);

type Known = HashMap<ObjectRef<Pgpool>, (Question, Timestamp)>;

impl Patience {
    /// How long these certificates have all been there under this generation of the spec; zero when that has just become
    /// so, or is not.
    pub fn complete_for(
        &self,
        key: &ObjectRef<Pgpool>,
        generation: Option<i64>,
        leaves: Option<Set>,
        now: Timestamp,
    ) -> Duration {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(leaves) = leaves else {
            known.remove(key);
            return Duration::ZERO;
        };
        let question = (generation, leaves);
        let since = match known.get(key) {
            Some((same, since)) if *same == question => *since,
            _ => {
                known.insert(key.clone(), (question, now));
                now
            }
        };
        // A clock that was set back gives a negative age; that is no age.
        now.duration_since(since).try_into().unwrap_or_default()
    }

    /// Forgets a `Pgpool` that is gone.
    pub fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
