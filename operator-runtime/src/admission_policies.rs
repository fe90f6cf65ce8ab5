//! Whether the admission policies that an operator relies on are in force. Each is watched by its name, so that no right to
//! read others is needed; a look at them costs no request.

use std::sync::Arc;

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::runtime::watcher;
use shared_types::policies::{PolicyState, in_force};
use tokio_stream::wrappers::WatchStream;

use crate::cache::Cache;
use crate::runtime::Runtime;

/// The policies that an operator relies on. Clones are the same set.
#[derive(Clone, Debug)]
pub struct Policies {
    watched: Arc<[Watched]>,
}

#[derive(Debug)]
struct Watched {
    name: &'static str,
    policy: Cache<ValidatingAdmissionPolicy>,
    binding: Cache<ValidatingAdmissionPolicyBinding>,
}

impl Policies {
    /// Starts to watch policies and their bindings. The process is ready once each watch has answered.
    pub fn watch(runtime: &mut Runtime, names: &[&'static str]) -> Self {
        let watched = names.iter().map(|name| {
            let config = || watcher::Config::default().fields(&format!("metadata.name={name}"));
            Watched {
                name,
                policy: runtime.watch_optional(config(), |_| {}).0,
                binding: runtime.watch_optional(config(), |_| {}).0,
            }
        });
        Self {
            watched: watched.collect(),
        }
    }

    /// Policies of which none is there, and none is missed: every state is [`PolicyState::Trusted`].
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn trusted() -> Self {
        Self {
            watched: Arc::new([]),
        }
    }

    /// Whether a policy is in force. One that is not watched is not relied on.
    #[must_use]
    pub fn state(&self, name: &str) -> PolicyState {
        let Some(watched) = self.find(name) else {
            return PolicyState::Trusted;
        };
        let policy = watched.policy.get(None, name);
        let binding = watched.binding.get(None, name);
        in_force(name, policy.as_deref(), binding.as_deref())
    }

    /// When a policy and its binding were both there: what was made earlier was not checked. `None` if one is missing.
    #[must_use]
    pub fn since(&self, name: &str) -> Option<Timestamp> {
        let watched = self.find(name)?;
        let policy = watched
            .policy
            .get(None, name)?
            .metadata
            .creation_timestamp
            .clone()?;
        let binding = watched
            .binding
            .get(None, name)?
            .metadata
            .creation_timestamp
            .clone()?;
        Some(policy.0.max(binding.0))
    }

    /// Whenever a policy or the right to read one may have changed.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        let mut changes: SelectAll<BoxStream<'static, ()>> = SelectAll::new();
        for Watched { policy, binding, .. } in self.watched.iter() {
            changes.push(policy.changes().map(drop).boxed());
            changes.push(binding.changes().map(drop).boxed());
            let availability = [policy.watch_availability(), binding.watch_availability()];
            for receiver in availability {
                changes.push(WatchStream::from_changes(receiver).map(drop).boxed());
            }
        }
        changes
    }

    fn find(&self, name: &str) -> Option<&Watched> {
        self.watched.iter().find(|watched| watched.name == name)
    }
}
