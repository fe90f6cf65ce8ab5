//! How the caches of Secrets are kept small.

use k8s_openapi::api::core::v1::Secret;
use operator_runtime::cache::keep_last_change;
use shared_types::names;

/// Of ours everything counts, since it is compared with what is desired; and when it last changed, since that tells
/// which pods have to hear of it.
pub fn trim_ours(secret: &mut Secret) {
    keep_last_change(secret);
}

/// Drops what nobody here reads before a Secret that users name enters the cache.
pub fn trim(secret: &mut Secret) {
    secret.metadata.annotations = None;
    secret.metadata.owner_references = None;
}

/// Keeps who a Secret is about, and nothing else of it: other Secrets of a PostgreSQL bear the same labels.
pub fn trim_user(secret: &mut Secret) {
    secret.metadata.annotations = None;
    if let Some(labels) = &mut secret.metadata.labels {
        labels.retain(|key, _| key == names::LABEL_INSTANCE);
    }
    if let Some(data) = &mut secret.data {
        data.retain(|key, _| ["username", "user", "password"].contains(&key.as_str()));
    }
}
