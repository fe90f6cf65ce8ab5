//! Whether this process acts on an object.
//!
//! Every reconcile checks it. Leadership of one lease is the only implementation; sharding over replicas can
//! replace it behind the same trait without a change in any controller.

use std::fmt::Debug;

/// Names an object for [`Ownership`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// The namespace, `None` for cluster-scoped kinds.
    pub namespace: Option<&'a str>,
    /// The name.
    pub name: &'a str,
}

/// Decides whether this process acts on an object at this moment.
pub trait Ownership: Debug + Send + Sync + 'static {
    /// Returns whether this process may act on the object now. Must not block.
    fn owns(&self, key: Key<'_>) -> bool;
}

/// Owns every object, always.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everything;

impl Ownership for Everything {
    fn owns(&self, _: Key<'_>) -> bool {
        true
    }
}
