//! The requests of the operators to the API server, from the audit log.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use local_cluster::audit::{self, Entry};

use crate::operators;

/// Requests of one operator by verb and kind, such as `patch pgpools/status`.
pub(crate) type Counts = BTreeMap<String, usize>;

/// Counts the requests of an operator received in `[from, to)`.
pub(crate) fn of_operator(log: &Path, name: &str, from: Timestamp, to: Timestamp) -> anyhow::Result<Counts> {
    Ok(counted(&audit::read(log, from, to)?, &operators::object(name)))
}

/// Whether a request of that kind writes a lease: a leader keeps renewing it, even when there is nothing to do.
pub(crate) fn is_lease(what: &str) -> bool {
    what.ends_with(" leases")
}

/// Whether a request of that kind is meant to change something.
pub(crate) fn writes(what: &str) -> bool {
    !["get ", "list ", "watch "]
        .iter()
        .any(|verb| what.starts_with(verb))
}

fn counted(entries: &[Entry], account: &str) -> Counts {
    let mut counts = Counts::new();
    let ours = entries
        .iter()
        .filter(|entry| entry.by_service_account(operators::NAMESPACE, account));
    for entry in ours {
        let what = match &entry.object_ref {
            Some(object) if object.subresource.is_empty() => object.resource.clone(),
            Some(object) => format!("{}/{}", object.resource, object.subresource),
            None => entry.uri.split('?').next().unwrap_or_default().to_owned(),
        };
        *counts.entry(format!("{} {what}", entry.verb)).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_verb_and_kind() {
        let entry = |user: &str, verb: &str, resource: &str, subresource: &str| -> Entry {
            serde_json::from_value(serde_json::json!({
                "auditID": "",
                "requestReceivedTimestamp": "2026-01-02T03:04:05Z",
                "verb": verb,
                "requestURI": "/",
                "user": {"username": format!("system:serviceaccount:pgpool-system:{user}")},
                "objectRef": {"resource": resource, "subresource": subresource},
            }))
            .unwrap()
        };
        let entries = [
            entry("pgpool-provisioner", "patch", "secrets", ""),
            entry("pgpool-provisioner", "patch", "secrets", ""),
            entry("pgpool-provisioner", "patch", "pgpools", "status"),
            entry("pgpool-provisioner", "update", "leases", ""),
            entry("pgpool-ops-manager", "patch", "certificates", ""),
        ];
        let counts = counted(&entries, "pgpool-provisioner");
        let expected = [
            ("patch pgpools/status", 1),
            ("patch secrets", 2),
            ("update leases", 1),
        ];
        assert_eq!(
            counts,
            expected.map(|(what, count)| (what.to_owned(), count)).into()
        );
        assert!(is_lease("update leases") && writes("update leases") && !writes("list secrets"));
    }
}
