//! Kubernetes events: one for a transition, none for a retry.
//!
//! Events are informative: a failure to send one is logged and never fails a reconcile.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use shared_types::text;
use tracing::debug;

use crate::client::REQUEST_TIMEOUT;
use crate::error_chain;

/// Publishes events of one controller.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Returns a publisher; `kubectl describe` shows `controller` as the source.
    #[must_use]
    pub fn new(client: Client, controller: &str) -> Self {
        Self {
            recorder: Recorder::new(client, Reporter::from(controller)),
        }
    }

    /// Publishes an event of type `Normal`.
    pub async fn normal<K>(&self, about: &K, action: &str, reason: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish(about, EventType::Normal, action, reason, note).await;
    }

    /// Publishes an event of type `Warning`.
    pub async fn warning<K>(&self, about: &K, action: &str, reason: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish(about, EventType::Warning, action, reason, note)
            .await;
    }

    async fn publish<K>(&self, about: &K, type_: EventType, action: &str, reason: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(shortened(note)),
            action: action.to_owned(),
            secondary: None,
        };
        let reference = about.object_ref(&());
        let sent = tokio::time::timeout(REQUEST_TIMEOUT, self.recorder.publish(&event, &reference)).await;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%reason, error = %error_chain(&error), "an event was not published"),
            Err(_) => debug!(%reason, "an event was not published in time"),
        }
    }
}

/// The API server accepts notes of up to 1024 bytes.
fn shortened(note: &str) -> String {
    text::within_bytes(note.to_owned(), 1024)
}

/// Returns whether a condition has another status or another reason than before.
#[must_use]
pub fn is_transition(before: Option<&Condition>, after: &Condition) -> bool {
    before.is_none_or(|before| before.status != after.status || before.reason != after.reason)
}

#[cfg(test)]
mod tests;
