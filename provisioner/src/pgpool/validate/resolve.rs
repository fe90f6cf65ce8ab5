//! Resolves a reference to another object, or explains why that fails.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::limits;

use crate::pgpool::observe::Lookup;

/// A reference, with what messages say about it.
pub(super) struct Reference<'a> {
    /// Kind and name, such as ``Secret `demo/pg-auth` ``.
    pub(crate) what: &'a str,
    /// How to fix its absence.
    pub(crate) how_to_fix: &'a str,
    /// Reason when it does not exist.
    pub(crate) absent: Reason,
    /// Reason when it may not be read.
    pub(crate) forbidden: Reason,
}

impl Reference<'_> {
    /// The object, if it exists and can be read.
    pub(crate) fn read<T>(&self, lookup: &Lookup<Arc<T>>) -> Result<Arc<T>, Blocked> {
        let what = self.what;
        match lookup {
            Lookup::Present(found) => Ok(Arc::clone(found)),
            Lookup::Pending => Err(Blocked::Unknown),
            Lookup::Absent => Err(Blocked::waiting(
                self.absent,
                format!("{what} does not exist: {}.", self.how_to_fix),
            )),
            Lookup::Undecodable(why) => Err(Blocked::stuck(
                Reason::ReferenceDecodeFailed,
                format!("{}.", why.explain(what)),
            )),
            Lookup::Forbidden => Err(Blocked::waiting(
                self.forbidden,
                format!(
                    "The provisioner may not read {what}: grant its service account `get`, `list` and `watch` on it."
                ),
            )),
        }
    }
}

/// One key of a Secret as text, such as a user name or a password.
///
/// # Errors
/// The end of a sentence about the Secret: the key is missing, empty, too long or not text.
pub(super) fn text(secret: &Secret, key: &str) -> Result<String, String> {
    text_of_at_most(limits::SECRET_VALUE_BYTES, secret, key)
}

/// The same with another limit.
pub(super) fn text_of_at_most(limit: usize, secret: &Secret, key: &str) -> Result<String, String> {
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .filter(|bytes| !bytes.0.is_empty())
        .ok_or_else(|| format!("has no key `{key}`"))?;
    if bytes.0.len() > limit {
        return Err(format!(
            "has a key `{key}` of {} bytes, and at most {limit} are read: shorten it",
            bytes.0.len()
        ));
    }
    String::from_utf8(bytes.0.clone()).map_err(|_| format!("has a key `{key}` that is not UTF-8 text"))
}
