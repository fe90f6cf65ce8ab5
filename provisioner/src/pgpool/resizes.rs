//! Remembers which pods could not be resized because the API server did not take it: they are replaced. In memory: a
//! restart asks once more and is told the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;

use super::pods::PodFacts;

/// UIDs of pods, by their Pgpool.
type Known = HashMap<ObjectRef<Pgpool>, BTreeSet<String>>;

/// Which pods could not be resized.
#[derive(Clone, Debug, Default)]
pub struct Resizes(Arc<Mutex<Known>>);

impl Resizes {
    /// Remembers a pod.
    pub fn refused(&self, key: &ObjectRef<Pgpool>, uid: &str) {
        self.lock().entry(key.clone()).or_default().insert(uid.to_owned());
    }

    /// Marks the pods that are remembered, and forgets those that are gone.
    pub fn mark(&self, key: &ObjectRef<Pgpool>, pods: &mut [PodFacts]) {
        let mut known = self.lock();
        let Some(refused) = known.get_mut(key) else {
            return;
        };
        refused.retain(|uid| pods.iter().any(|pod| pod.uid == *uid));
        for pod in pods {
            pod.resize.refused = refused.contains(&pod.uid);
        }
        if refused.is_empty() {
            known.remove(key);
        }
    }

    /// Forgets a `Pgpool` that is gone.
    pub fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
