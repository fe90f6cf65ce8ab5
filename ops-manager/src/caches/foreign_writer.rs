//! Who wrote a certificate Secret, read from its managed fields. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// The field managers of all of cert-manager's controllers start with this.
const CERT_MANAGER: &str = "cert-manager";

const CERTIFICATE_FIELDS: [&str; 3] = ["f:tls.crt", "f:tls.key", "f:ca.crt"];

/// Returns the field manager other than cert-manager that owns part of a certificate; of several, the last one.
///
/// The API server records for each field the manager that set its current value: once cert-manager has written a value
/// again, the manager of the value before is no longer listed. A manager that only removed entries is never listed.
pub(super) fn foreign_writer(fields: &[ManagedFieldsEntry]) -> Option<String> {
    let foreign = fields
        .iter()
        .filter(|entry| owns_certificate(entry))
        .filter_map(|entry| {
            let manager = entry.manager.as_ref()?;
            if manager.starts_with(CERT_MANAGER) {
                return None;
            }
            Some((entry.time.as_ref().map(|time| time.0), manager))
        });
    foreign.max().map(|(_, manager)| manager.clone())
}

fn owns_certificate(entry: &ManagedFieldsEntry) -> bool {
    let data = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data"));
    data.is_some_and(|data| CERTIFICATE_FIELDS.iter().any(|field| data.get(field).is_some()))
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
    fn the_last_writer_other_than_cert_manager_is_named() {
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
            assert_eq!(foreign_writer(fields).as_deref(), expected, "{fields:?}");
        }
    }
}
