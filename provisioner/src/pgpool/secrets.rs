//! How the caches of Secrets are kept small.

use k8s_openapi::api::core::v1::Secret;
use operator_runtime::cache::keep_last_change;

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
