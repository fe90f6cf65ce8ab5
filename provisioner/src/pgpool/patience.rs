//! Remembers since when the certificates of a `Pgpool` are all there, so that ops-manager is given its time exactly
//! once for each set of them. In memory: a restart starts the grace time anew and changes nothing else.

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

type Known = HashMap<ObjectRef<Pgpool>, (Set, Timestamp)>;

impl Patience {
    /// How long these certificates have all been there; zero when they have just become complete, or are not.
    pub fn complete_for(&self, key: &ObjectRef<Pgpool>, leaves: Option<Set>, now: Timestamp) -> Duration {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(leaves) = leaves else {
            known.remove(key);
            return Duration::ZERO;
        };
        let since = match known.get(key) {
            Some((same, since)) if *same == leaves => *since,
            _ => {
                known.insert(key.clone(), (leaves, now));
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
