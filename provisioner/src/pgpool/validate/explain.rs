//! How what is wrong in the spec is explained.

use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;

/// The spec has to be corrected as `message` describes.
pub(super) fn invalid(message: &str) -> Blocked {
    Blocked::stuck(Reason::ConfigurationInvalid, message)
}

/// The same about `spec.podTemplate`: `predicate` continues the sentence.
pub(super) fn invalid_pod_template(predicate: &str) -> Blocked {
    invalid(&format!("`spec.podTemplate` {predicate}."))
}
