//! Whether a `Pgpool` may use an `AppBinding` of another namespace, and with it the Secrets and users there. Pure, but for
//! the record of who may not.
//!
//! Whoever may create a `Pgpool` could otherwise have the passwords of any PostgreSQL copied into a namespace of his own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use shared_types::{AppBinding, Pgpool, names};

/// Which `AppBinding`s of other namespaces Pgpools may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AcrossNamespaces {
    /// None.
    None,
    /// Those whose annotation `pgpool.kubedb.com/allowed-namespaces` lists the namespace of the Pgpool.
    #[default]
    Granted,
    /// All. Whoever may create a Pgpool can read the credentials of every `AppBinding`.
    All,
}

impl AcrossNamespaces {
    /// Whether a `Pgpool` may use the `AppBinding` that it refers to, as far as the namespaces are concerned.
    pub(crate) fn permits(self, pgpool: &Pgpool, binding: Option<&AppBinding>) -> bool {
        if !is_across(pgpool) {
            return true;
        }
        match self {
            Self::None => false,
            Self::Granted => binding.is_some_and(|binding| {
                pgpool
                    .namespace()
                    .is_some_and(|namespace| binding.allows(&namespace))
            }),
            Self::All => true,
        }
    }
}

/// Whether a `Pgpool` refers to an `AppBinding` of another namespace.
pub(crate) fn is_across(pgpool: &Pgpool) -> bool {
    Some(names::app_binding_namespace(pgpool)) != pgpool.namespace()
}

/// Whether a `Pgpool` may use what is in another namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It may, or it refers to its own namespace.
    #[default]
    Given,
    /// Nothing is known about the `AppBinding` yet.
    Unknown,
    /// The owner of the `AppBinding` does not allow it, or there is no such `AppBinding`.
    Missing,
    /// No `Pgpool` may.
    SwitchedOff,
}

/// The `Pgpool`s to which consent was missing when they were last observed. Changes in the other namespace do not trigger
/// them, except for the one that gives them consent: nobody learns from them what happens there. Clones share the record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<Mutex<HashSet<ObjectRef<Pgpool>>>>);

impl Refused {
    /// Records whether a `Pgpool` is refused. Before it is observed, that it is not: so no change is missed meanwhile.
    pub(crate) fn set(&self, key: &ObjectRef<Pgpool>, refused: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused {
            known.insert(key.clone());
        } else {
            known.remove(key);
        }
    }

    pub(crate) fn contains(&self, key: &ObjectRef<Pgpool>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(key)
    }
}
