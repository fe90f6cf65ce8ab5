//! Reads the audit log of kube-apiserver: every request, by whichever client.

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
    /// A request that takes long is logged twice: when its response begins and when it ends.
    #[serde(rename = "auditID")]
    pub id: String,
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    #[serde(rename = "requestURI")]
    pub uri: String,
    pub user: User,
    #[serde(default)]
    pub user_agent: String,
    /// Absent where the request was not for an object.
    pub object_ref: Option<Object>,
    pub response_status: Option<Status>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct User {
    /// `system:serviceaccount:<namespace>:<name>` for a service account.
    pub username: String,
}

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

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status.
    pub code: u16,
}

impl Entry {
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    pub fn by_service_account(&self, namespace: &str, name: &str) -> bool {
        self.user.username == format!("system:serviceaccount:{namespace}:{name}")
    }
}

/// The requests received in `[from, to)`, each once.
pub fn read(log: &Path, from: Timestamp, to: Timestamp) -> anyhow::Result<Vec<Entry>> {
    let file = File::open(log).with_context(|| format!("opening {}", log.display()))?;
    let (mut entries, mut seen) = (Vec::new(), HashSet::new());
    for line in BufReader::new(file).lines() {
        // The last line may be incomplete.
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

    const LINE: &str = r#"{"kind":"Event","level":"Metadata","auditID":"7","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/secrets/b?x=1","verb":"patch","user":{"username":"system:serviceaccount:operators:one","groups":["g"]},"userAgent":"one/0.1","objectRef":{"resource":"secrets","namespace":"a","name":"b","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.678901Z","stageTimestamp":"2026-01-02T03:04:05.700000Z"}"#;

    #[test]
    fn complete_lines_are_read_once() {
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
        assert!(entries[0].is_write());
        assert!(entries[0].by_service_account("operators", "one"));
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
