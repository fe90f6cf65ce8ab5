//! When an object was last changed, the only part of its managed fields that is kept.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use kube::Resource;

/// The API server writes whole seconds, and reads the clock once for each of the two times.
const ROUNDING: SignedDuration = SignedDuration::from_secs(1);

/// Returns when an object was last changed, by the clock of the API server; `None` when it was not changed since
/// its creation. Works on complete managed fields, and on those that [`keep_last_change`] leaves.
#[must_use]
pub fn last_change(object: &impl Resource) -> Option<Timestamp> {
    let meta = object.meta();
    let entries = meta.managed_fields.iter().flatten();
    let last = entries.filter_map(|entry| Some(entry.time.as_ref()?.0)).max()?;
    let created = meta.creation_timestamp.as_ref().map(|time| time.0);
    (created.is_none_or(|created| last.duration_since(created) > ROUNDING)).then_some(last)
}

/// Drops managed fields except what [`last_change`] needs. For the `reduce` function of a watch.
pub fn keep_last_change(object: &mut impl Resource) {
    let last = last_change(object);
    object.meta_mut().managed_fields = last.map(|time| {
        vec![ManagedFieldsEntry {
            time: Some(Time(time)),
            ..ManagedFieldsEntry::default()
        }]
    });
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::ResourceExt;
    use serde_json::json;

    use super::*;
    use crate::cache::source::reduced;

    fn secret(times: &[&str]) -> Secret {
        let entry = |time: &&str| json!({ "manager": "other", "time": time, "fieldsV1": { "f:data": {} } });
        serde_json::from_value(json!({ "metadata": {
            "creationTimestamp": "2026-11-24T10:00:00Z",
            "managedFields": times.iter().map(entry).collect::<Vec<_>>(),
        }}))
        .unwrap()
    }

    #[test]
    fn only_a_change_after_the_creation_counts() {
        let rows: [(&[&str], Option<&str>); 6] = [
            (&[], None),
            (&["2026-11-24T10:00:00Z"], None),
            (&["2026-11-24T10:00:01Z"], None),
            (&["2026-11-24T10:00:02Z"], Some("2026-11-24T10:00:02Z")),
            (
                &["2026-11-24T11:00:00Z", "2026-11-24T10:30:00Z"],
                Some("2026-11-24T11:00:00Z"),
            ),
            // The last time that can be represented: users may write managed fields.
            (&["9999-12-30T22:00:00Z"], Some("9999-12-30T22:00:00Z")),
        ];
        for (times, expected) in rows {
            let mut secret = secret(times);
            let expected = expected.map(|time| time.parse().unwrap());
            assert_eq!(last_change(&secret), expected, "{times:?}");
            secret = reduced(secret, keep_last_change);
            assert_eq!(last_change(&secret), expected, "kept of {times:?}");
            assert_eq!(secret.managed_fields().len(), usize::from(expected.is_some()));
            secret = reduced(secret, |_| {});
            assert_eq!(last_change(&secret), expected, "and not lost the second time");
        }
        let mut secret = secret(&["2026-11-24T11:00:00Z"]);
        secret = reduced(secret, |_| {});
        assert!(secret.managed_fields().is_empty(), "dropped by default");
    }
}
