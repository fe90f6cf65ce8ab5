//! Writes a status once, and only when it differs.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::debug;

use crate::apply::{ApplyError, Subject, drop_nulls};
use crate::scope::Placement;

/// Applies `desired` as what this field manager says under `.status` of the object, unless it equals
/// `current`, the same part of the status as it stands. Returns whether anything was sent.
///
/// What an earlier call said and `desired` leaves out is removed by the API server. An object that is
/// gone meanwhile, or was replaced by another of its name, is not an error: nothing is left to tell.
pub async fn write_status<K, S>(
    client: &Client,
    field_manager: &str,
    object: &K,
    desired: &S,
    current: &S,
) -> Result<bool, ApplyError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    K::Scope: Placement<K>,
    S: Serialize,
{
    let subject = Subject::of(object);
    let said = |status: &S| {
        let mut said = serde_json::to_value(status).map_err(|error| subject.unserializable(error))?;
        drop_nulls(&mut said);
        Ok::<_, ApplyError>(said)
    };
    let status = said(desired)?;
    if status == said(current)? {
        return Ok(false);
    }
    let patch = Patch::Apply(json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": object.name_any(), "uid": object.meta().uid },
        "status": status,
    }));
    let api = K::Scope::at(client, object.meta().namespace.as_deref());
    let params = PatchParams::apply(field_manager).force();
    match subject
        .answered(api.patch_status(&object.name_any(), &params, &patch))
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if is_gone(&error) => {
            debug!(%error, "the object is gone, and its status with it");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The answers to a patch that names the UID of an object which is not there any more.
fn is_gone(error: &ApplyError) -> bool {
    match error.code() {
        Some(404) => true,
        Some(409 | 422) => {
            let message = error.to_string();
            message.contains("uid mismatch") || message.contains("metadata.uid")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
