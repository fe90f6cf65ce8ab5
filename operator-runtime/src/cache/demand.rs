//! The objects that need a cache which is filled on demand.

use std::collections::HashSet;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::watch;

/// The objects whose reconciles read a cache that is filled on demand. Clones are the same set.
pub struct Demand<R: Resource<DynamicType = ()>>(Arc<watch::Sender<HashSet<ObjectRef<R>>>>);

impl<R: Resource<DynamicType = ()>> Clone for Demand<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Resource<DynamicType = ()>> Default for Demand<R> {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(HashSet::new())))
    }
}

impl<R: Resource<DynamicType = ()>> Debug for Demand<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Demand").field(&self.0.borrow().len()).finish()
    }
}

impl<R: Resource<DynamicType = ()> + Clone> Demand<R> {
    /// Sets whether an object needs the cache. Call it with `false` for deleted objects too.
    pub fn set(&self, who: &ObjectRef<R>, needs: bool) {
        self.0.send_if_modified(|all| {
            let before = all.is_empty();
            if needs {
                all.insert(who.clone());
            } else {
                all.remove(who);
            }
            before != all.is_empty()
        });
    }

    /// Returns whether any object needs it.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    /// Waits until an object needs it.
    pub(super) async fn rises(&self) {
        self.wait(|all| !all.is_empty()).await;
    }

    /// Waits until no object needs it.
    pub(super) async fn ends(&self) {
        self.wait(HashSet::is_empty).await;
    }

    async fn wait(&self, until: impl FnMut(&HashSet<ObjectRef<R>>) -> bool) {
        // Fails only when the sender is gone, which `self` holds.
        let _ = self.0.subscribe().wait_for(until).await;
    }
}
