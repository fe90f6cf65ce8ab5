//! Server-side apply that sends nothing when nothing differs.

use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::controller::Classified;
use crate::placement::Placement;

/// The annotation that carries the hash of what was last applied.
pub const APPLIED: &str = "pgpool.kubedb.com/applied";

/// Applies objects in the name of one field manager.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    field_manager: &'static str,
}

/// What an apply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing was sent.
    None,
    /// The object did not exist.
    Created,
    /// The object existed and was changed.
    Configured,
}

/// An object as it stands after an apply.
#[derive(Clone, Debug)]
pub struct Applied<K> {
    /// The object.
    pub object: K,
    /// What was done.
    pub change: Change,
}

/// Why an apply or a delete failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An object of this name belongs to somebody else.
    #[error("{kind} {name} exists and belongs to {owner}; rename or delete it")]
    NameConflict {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// Who it belongs to.
        owner: String,
    },
    /// The API server did not answer in time.
    #[error("the API server did not answer in time about {kind} {name}")]
    Timeout {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
    },
    /// The API server refused.
    #[error("{kind} {name} could not be written")]
    Api {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// The answer.
        #[source]
        source: kube::Error,
    },
    /// The object could not be turned into JSON.
    #[error("{kind} {name} could not be serialised")]
    Serialize {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Classified for ApplyError {
    fn class(&self) -> &'static str {
        match self {
            Self::NameConflict { .. } => "name-conflict",
            Self::Timeout { .. } => "timeout",
            Self::Api { .. } => "api",
            Self::Serialize { .. } => "serialize",
        }
    }
}

impl Applier {
    /// Makes an applier.
    #[must_use]
    pub fn new(client: Client, field_manager: &'static str) -> Self {
        Self {
            client,
            field_manager,
        }
    }

    /// Brings an object to what is desired. `live` is the object in the cache.
    pub async fn apply<K>(&self, desired: &K, live: Option<&K>) -> Result<Applied<K>, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
        K::Scope: Placement<K>,
    {
        let _ = (desired, live, &self.client, self.field_manager);
        unimplemented!()
    }

    /// Deletes exactly this object. Returns whether it was still there.
    pub async fn delete<K>(&self, live: &K) -> Result<bool, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
        K::Scope: Placement<K>,
    {
        let _ = live;
        unimplemented!()
    }
}
