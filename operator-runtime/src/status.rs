//! Writes a status when it differs.

use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde::Serialize;
use serde_json::json;
use tracing::debug;

use crate::apply::{ApplyError, Subject, drop_nulls};
use crate::kind::Kind;
use crate::scope::Placement;

/// Applies `desired` as the part of `.status` that this field manager owns, unless it equals `current`, the
/// same part of the live status. Returns whether anything was sent.
///
/// The API server removes fields of an earlier call that `desired` lacks. An object that was deleted
/// meanwhile, or replaced by another of its name, is not an error.
pub async fn write_status<K, S>(
    client: &Client,
    field_manager: &str,
    object: &K,
    desired: &S,
    current: &S,
) -> Result<bool, ApplyError>
where
    K: Kind,
    K::Scope: Placement<K>,
    S: Serialize,
{
    let subject = Subject::of(object);
    let json = |status: &S| {
        let mut json = serde_json::to_value(status).map_err(|error| subject.unserializable(error))?;
        drop_nulls(&mut json);
        Ok::<_, ApplyError>(json)
    };
    let status = json(desired)?;
    if status == json(current)? {
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
            debug!(%error, "the status was not written: the object is gone");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The responses to a patch with the UID of an object that no longer exists.
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
