//! Why a write failed, with the object that it was about.

use kube::core::Status;
use kube::{Resource, ResourceExt};

use crate::client::REQUEST_TIMEOUT;
use crate::controller::{Classified, NAMESPACE_TERMINATING};
use crate::error_chain;

/// The object that a request is about, as error messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub(super) kind: String,
    pub(super) name: String,
}

impl Subject {
    /// Returns the subject of a request about a namespaced object by its name.
    #[must_use]
    pub fn named<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> Self {
        Self {
            kind: K::kind(&()).into_owned(),
            name: format!("{namespace}/{name}"),
        }
    }

    pub(crate) fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let name = object.name_any();
        Self {
            kind: K::kind(&()).into_owned(),
            name: match object.namespace() {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            },
        }
    }

    fn failed(&self, source: kube::Error) -> ApplyError {
        ApplyError::Api {
            kind: self.kind.clone(),
            name: self.name.clone(),
            source: Box::new(source),
        }
    }

    pub(super) fn conflict(&self, owner: String) -> ApplyError {
        ApplyError::NameConflict {
            kind: self.kind.clone(),
            name: self.name.clone(),
            owner,
        }
    }

    pub(crate) fn unserializable(&self, source: serde_json::Error) -> ApplyError {
        ApplyError::Serialize {
            kind: self.kind.clone(),
            name: self.name.clone(),
            source,
        }
    }

    /// Waits for the response to a request, at most for [`REQUEST_TIMEOUT`].
    ///
    /// # Errors
    /// When the API server rejects the request or does not respond in time.
    pub async fn answered<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ApplyError> {
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(answer) => answer.map_err(|source| self.failed(source)),
            Err(_) => Err(ApplyError::Timeout {
                kind: self.kind.clone(),
                name: self.name.clone(),
            }),
        }
    }
}

/// Why an apply or a delete failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An object of this name has another owner.
    #[error("{kind} {name} exists and belongs to {owner}; rename or delete it")]
    NameConflict {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// The other owner.
        owner: String,
    },
    /// The API server did not respond in time.
    #[error("the API server did not respond in time to the request for {kind} {name}")]
    Timeout {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
    },
    /// The API server rejected the request.
    #[error("{kind} {name} could not be written: {}", error_chain(source.as_ref()))]
    Api {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// The response.
        #[source]
        source: Box<kube::Error>,
    },
    /// The object could not be converted to JSON.
    #[error("{kind} {name} could not be serialized: {}", error_chain(source))]
    Serialize {
        /// The kind.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl ApplyError {
    /// Returns the HTTP status of a rejected request.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    /// Whether the API server refuses new objects because their namespace is being deleted.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        let details = self.status().and_then(|status| status.details.as_ref());
        details.is_some_and(|details| {
            details
                .causes
                .iter()
                .any(|cause| cause.reason == "NamespaceTerminating")
        })
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.as_ref()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Classified for ApplyError {
    fn class(&self) -> &'static str {
        match self {
            Self::NameConflict { .. } => "name_conflict",
            Self::Timeout { .. } => "timeout",
            Self::Api { .. } if self.is_namespace_terminating() => NAMESPACE_TERMINATING,
            Self::Api { .. } => match self.code() {
                Some(403) => "forbidden",
                Some(404) => "not_found",
                Some(409) => "conflict",
                Some(422) => "invalid",
                Some(429) => "throttled",
                Some(500..) => "server",
                _ => "request",
            },
            Self::Serialize { .. } => "serialize",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_that_is_being_deleted_is_not_a_missing_permission() {
        let refused = |details| {
            let status = json!({"status": "Failure", "reason": "Forbidden", "code": 403, "details": details});
            ApplyError::Api {
                kind: "Secret".to_owned(),
                name: "demo/pool".to_owned(),
                source: Box::new(kube::Error::Api(Box::new(
                    serde_json::from_value(status).unwrap(),
                ))),
            }
        };
        let terminating =
            json!({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]});
        assert_eq!(refused(terminating).class(), NAMESPACE_TERMINATING);
        assert_eq!(refused(json!({})).class(), "forbidden");
    }
}
