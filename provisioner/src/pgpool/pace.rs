//! Remembers when the status of a `Pgpool` was last written, so that a change of wording alone (one of three Secrets
//! came) does not cost a write each time. In memory: after a restart the first change is written at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;

/// Time between two writes that differ in words only.
const PAUSE: Duration = Duration::from_secs(1);

/// When each status was last written.
#[derive(Clone, Default)]
pub struct Pace(Arc<Mutex<HashMap<ObjectRef<Pgpool>, Timestamp>>>);

impl Pace {
    /// Notes a write.
    pub fn written(&self, key: &ObjectRef<Pgpool>, now: Timestamp) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone(), now);
    }

    /// How long a change of wording has to wait; `None` when it may be written now.
    pub fn pause(&self, key: &ObjectRef<Pgpool>, now: Timestamp) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key)?;
        let age: Duration = now.duration_since(last).try_into().unwrap_or(PAUSE);
        PAUSE.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// Forgets a `Pgpool` that is gone.
    pub fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
