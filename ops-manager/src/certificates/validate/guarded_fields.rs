//! Certificates that not everybody may request who may write a Pgpool. A policy of the API server checks the rights of the
//! author; while it is missing, such certificates are not requested. Those that exist are renewed by cert-manager as before.

use serde_json::json;
use shared_types::pgpool::{CertificateSpec, IssuerRef};
use shared_types::rights::{Part, guarded};
use shared_types::{Alias, Pgpool};

use super::Refusal;
use crate::certificates::observe::Observed;

/// # Errors
/// The policy is missing, and the certificate has an issuer or names that it guards.
pub(super) fn checked(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Result<(), Refusal> {
    let Some(missing) = observed.rights.missing() else {
        return Ok(());
    };
    let certificate = pgpool.spec.certificate(alias);
    match guarded_fields(pgpool.spec.issuer_ref(alias), certificate) {
        None => Ok(()),
        Some(fields) => Err(Refusal::RightsNotChecked {
            alias: alias.as_str(),
            fields,
            missing: missing.to_owned(),
        }),
    }
}

/// The guarded fields of one certificate and of the issuer that it has in the end.
fn guarded_fields(issuer: Option<&IssuerRef>, certificate: Option<&CertificateSpec>) -> Option<String> {
    let own = CertificateSpec {
        issuer_ref: None,
        ..certificate.cloned().unwrap_or_default()
    };
    let object = json!({"spec": {"tls": {"issuerRef": issuer, "certificates": [own]}}});
    guarded(&object, Part::Certificates).map(|guarded| guarded.paths())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(kind: &str) -> IssuerRef {
        serde_json::from_value(json!({"kind": kind, "name": "ca"})).unwrap()
    }

    #[test]
    fn an_issuer_of_the_namespace_and_own_names_are_everybodys() {
        let own: CertificateSpec = serde_json::from_value(
            json!({"alias": "server", "dnsNames": ["localhost"], "duration": "2400h"}),
        )
        .unwrap();
        assert_eq!(guarded_fields(Some(&issuer("Issuer")), None), None);
        assert_eq!(guarded_fields(Some(&issuer("Issuer")), Some(&own)), None);
        let shared = guarded_fields(Some(&issuer("ClusterIssuer")), Some(&own));
        assert_eq!(shared.as_deref(), Some("`spec.tls.issuerRef`"));
        for (field, value) in [
            ("dnsNames", json!(["billing.prod.svc"])),
            ("ipAddresses", json!(["10.0.0.1"])),
            ("uris", json!(["spiffe://a/b"])),
            ("emailAddresses", json!(["a@example.com"])),
            ("subject", json!({"organizations": ["system:masters"]})),
        ] {
            let spec = serde_json::from_value(json!({"alias": "server", field: value})).unwrap();
            let found = guarded_fields(Some(&issuer("Issuer")), Some(&spec));
            assert!(found.is_some_and(|paths| paths.contains(field)), "{field}");
        }
    }
}
