//! Reads the audit log of kube-apiserver: the exact number of requests that anybody made.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;

/// One answered request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Names the request; what takes long is logged when its answer begins and again when it ends.
    #[serde(rename = "auditID")]
    pub id: String,
    /// When kube-apiserver received it.
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// Who asked.
    pub user: User,
    /// The program, as it calls itself.
    #[serde(default)]
    pub user_agent: String,
    /// The object, unless the request was for something else.
    pub object_ref: Option<Object>,
    /// The answer.
    pub response_status: Option<Status>,
}

/// The user of a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct User {
    /// `system:serviceaccount:<namespace>:<name>` for a service account.
    pub username: String,
}

/// The object of a request.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Object {
    /// The plural of the kind.
    pub resource: String,
    /// Empty for what is in none.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
    /// `status` and the like, or empty.
    pub subresource: String,
}

/// The outcome of a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Status {
    /// The code of the HTTP answer.
    pub code: u16,
}

impl Entry {
    /// Whether the request was meant to change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether a service account asked.
    #[must_use]
    pub fn by_service_account(&self, namespace: &str, name: &str) -> bool {
        self.user.username == format!("system:serviceaccount:{namespace}:{name}")
    }
}

/// Reads the requests received in `[from, to)`, each once.
pub fn read(log: &Path, from: Timestamp, to: Timestamp) -> anyhow::Result<Vec<Entry>> {
    let file = File::open(log).with_context(|| format!("opening {}", log.display()))?;
    let (mut entries, mut seen) = (Vec::new(), HashSet::new());
    for line in BufReader::new(file).lines() {
        // The last line may be in the making.
        let Ok(entry) = serde_json::from_str::<Entry>(&line?) else {
            continue;
        };
        let within = from <= entry.received && entry.received < to;
        if within && seen.insert(entry.id.clone()) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"kind":"Event","level":"Metadata","auditID":"7","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/secrets/b?x=1","verb":"patch","user":{"username":"system:serviceaccount:pgpool-system:provisioner","groups":["g"]},"userAgent":"provisioner/0.1","objectRef":{"resource":"secrets","namespace":"a","name":"b","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.678901Z","stageTimestamp":"2026-01-02T03:04:05.700000Z"}"#;

    #[test]
    fn a_line_is_read_and_one_in_the_making_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{LINE}\n{LINE}\n{}", &LINE[..100])).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let entries = read(
            file.path(),
            at("2026-01-02T03:04:00Z"),
            at("2026-01-02T03:05:00Z"),
        )
        .unwrap();
        assert_eq!(entries.len(), 1);
        assert!(entries[0].writes());
        assert!(entries[0].by_service_account("pgpool-system", "provisioner"));
        assert_eq!(entries[0].object_ref.as_ref().unwrap().resource, "secrets");
        let later = read(
            file.path(),
            at("2026-01-02T03:05:00Z"),
            at("2026-01-02T03:06:00Z"),
        )
        .unwrap();
        assert!(later.is_empty());
    }
}
