//! Who wrote a certificate Secret, read from its managed fields. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// Every field manager of cert-manager begins so, whichever of its controllers writes.
const CERT_MANAGER: &str = "cert-manager";

/// The entries of a certificate.
const ENTRIES: [&str; 3] = ["f:tls.crt", "f:tls.key", "f:ca.crt"];

/// Who beside cert-manager wrote what stands in the entries of a certificate; of several, the last one.
///
/// The API server notes for each field who gave it its present value: once cert-manager has written a value again,
/// whoever had written another one before is no longer named. Who only removed entries is never named.
pub(super) fn foreign(fields: &[ManagedFieldsEntry]) -> Option<String> {
    let writers = fields.iter().filter(|entry| wrote(entry));
    let foreign = writers.filter_map(|entry| {
        let manager = entry.manager.as_ref()?;
        let time = entry.time.as_ref().map(|time| time.0);
        (!manager.starts_with(CERT_MANAGER)).then_some((time, manager))
    });
    foreign.max().map(|(_, manager)| manager.clone())
}

fn wrote(entry: &ManagedFieldsEntry) -> bool {
    let data = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data"));
    data.is_some_and(|data| ENTRIES.iter().any(|field| data.get(field).is_some()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(manager: &str, minute: u32, fields: &Value) -> ManagedFieldsEntry {
        serde_json::from_value(json!({
            "manager": manager,
            "operation": "Update",
            "time": format!("2026-06-01T12:{minute:02}:00Z"),
            "fieldsV1": fields,
        }))
        .unwrap()
    }

    #[test]
    fn the_last_who_is_not_cert_manager_is_named() {
        let all = json!({"f:data": {".": {}, "f:tls.crt": {}, "f:tls.key": {}, "f:ca.crt": {}}});
        let key = json!({"f:data": {"f:tls.key": {}}});
        let labels = json!({"f:metadata": {"f:labels": {"f:a": {}}}});
        let password = json!({"f:data": {"f:password": {}}});
        let issuing = "cert-manager-certificates-issuing";
        let rows: [(&[ManagedFieldsEntry], Option<&str>); 6] = [
            (&[], None),
            (&[entry(issuing, 0, &all)], None),
            (&[entry(issuing, 0, &all), entry("reflector", 1, &labels)], None),
            (&[entry("vault", 1, &password)], None),
            (
                &[entry(issuing, 2, &all), entry("kubectl-edit", 1, &key)],
                Some("kubectl-edit"),
            ),
            (
                &[entry("external-secrets", 3, &key), entry("kubectl-edit", 1, &key)],
                Some("external-secrets"),
            ),
        ];
        for (fields, expected) in rows {
            assert_eq!(foreign(fields).as_deref(), expected, "{fields:?}");
        }
    }
}
