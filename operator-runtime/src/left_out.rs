//! Reports in a condition that an object cannot be decoded, and removes the condition once it can be.
//!
//! The write needs no decoded object: it applies one condition under a field manager of its own, so that every other
//! field of the status stays as it is. It is sent once for each version of the spec; nothing is sent at rest.

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::Client;
use kube::Resource;
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::debug;

use crate::apply::{ApplyError, Subject};
use crate::backoff::Backoff;
use crate::cache::Cache;
use crate::clock;
use crate::decode::LeftOut;
use crate::error_chain;
use crate::kind::Kind;
use crate::scope::Placement;

/// Between two writes: many objects that cannot be decoded must not use up what the API server grants this process.
const PAUSE: Duration = Duration::from_millis(200);

/// What to say about an object of one kind.
#[derive(Debug)]
pub struct Wording<K> {
    /// The type of the condition.
    pub condition: &'static str,
    /// Its reason, which no other writer of this condition uses.
    pub reason: &'static str,
    /// What follows: the last sentences of the message.
    pub advice: &'static str,
    /// Returns whether an object has the condition with this reason.
    pub is_shown: fn(&K) -> bool,
}

/// Writes and removes the conditions of one kind until the task is cancelled.
pub(crate) async fn report<K>(client: Client, field_manager: String, cache: Cache<K>, wording: Wording<K>)
where
    K: Kind,
    K::Scope: Placement<K>,
{
    let is_shown = wording.is_shown;
    let decoded = cache.changes().filter_map(move |object| {
        let outdated = is_shown(&object).then(|| (ObjectRef::from_obj(object.as_ref()), None));
        std::future::ready(outdated)
    });
    let mut changes = pin!(stream::select(cache.left_out(), decoded));
    let mut waiting: HashMap<ObjectRef<K>, Option<Arc<LeftOut>>> = HashMap::new();
    let mut written: HashMap<ObjectRef<K>, Arc<LeftOut>> = HashMap::new();
    let mut failures = 0_u32;
    let mut next = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some((key, state)) = changes.next() => {
                let stands = |new: &Arc<LeftOut>| written.get(&key).is_some_and(|old| is_same(old, new));
                if state.as_ref().is_some_and(stands) {
                    waiting.remove(&key);
                } else {
                    waiting.insert(key, state);
                }
            }
            () = tokio::time::sleep_until(next), if !waiting.is_empty() => {
                let Some(key) = waiting.keys().next().cloned() else { continue };
                let state = waiting.remove(&key).flatten();
                next = clock::after(PAUSE);
                if state.is_none() && !is_decoded(&cache, &key) {
                    written.remove(&key);
                    continue;
                }
                match write(&client, &field_manager, &key, state.as_deref(), &wording).await {
                    Ok(()) => {
                        failures = 0;
                        match state {
                            Some(left_out) => written.insert(key, left_out),
                            None => written.remove(&key),
                        };
                    }
                    // Gone, or replaced: there will be another change.
                    Err(error) if matches!(error.code(), Some(404 | 409)) => {
                        written.remove(&key);
                    }
                    Err(error) => {
                        debug!(object = %key, error = %error_chain(&error), "a condition was not written");
                        failures = failures.saturating_add(1);
                        next = clock::after(Backoff::default().delay(failures, &mut rand::rng()));
                        waiting.entry(key).or_insert(state);
                    }
                }
            }
        }
    }
}

fn is_same(old: &LeftOut, new: &LeftOut) -> bool {
    let version = |it: &LeftOut| (it.identity.uid.clone(), it.identity.generation, it.why.clone());
    version(old) == version(new)
}

fn is_decoded<K>(cache: &Cache<K>, key: &ObjectRef<K>) -> bool
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    let namespace = key.namespace.as_deref();
    cache.get(namespace, &key.name).is_some() && cache.undecodable(namespace, &key.name).is_none()
}

async fn write<K>(
    client: &Client,
    field_manager: &str,
    key: &ObjectRef<K>,
    state: Option<&LeftOut>,
    wording: &Wording<K>,
) -> Result<(), ApplyError>
where
    K: Kind,
    K::Scope: Placement<K>,
{
    let namespace = key.namespace.as_deref();
    let status = state.map_or_else(
        || json!({}),
        |left_out| json!({ "conditions": [condition(left_out, wording)] }),
    );
    let uid = state.and_then(|left_out| left_out.identity.uid.as_ref());
    let metadata = match uid {
        Some(uid) => json!({ "name": key.name, "uid": uid }),
        None => json!({ "name": key.name }),
    };
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": metadata,
        "status": status,
    });
    let api = K::Scope::at(client, namespace);
    let params = PatchParams::apply(field_manager).force();
    let patch = Patch::Apply(patch);
    let subject = Subject::named::<K>(namespace.unwrap_or_default(), &key.name);
    subject
        .answered(api.patch_status(&key.name, &params, &patch))
        .await
        .map(drop)
}

fn condition<K>(left_out: &LeftOut, wording: &Wording<K>) -> Value {
    let mut why = left_out.why.to_string();
    if let Some(first) = why.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    json!({
        "type": wording.condition,
        "status": "True",
        "reason": wording.reason,
        "message": format!("{why}. {}. {}", left_out.why.remedy(), wording.advice),
        "observedGeneration": left_out.identity.generation,
        "lastTransitionTime": clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

#[cfg(test)]
mod tests;
