//! Which Secrets cert-manager issued for a Pgpool.

use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use operator_runtime::Claim;
use operator_runtime::claim::controller;
use shared_types::Pgpool;

use crate::cert_manager::{self, Certificate};

/// Type of the Secrets that cert-manager writes.
const TLS: &str = "kubernetes.io/tls";

/// Whether cert-manager issued a Secret for a Certificate of this Pgpool, and nobody else controls it. The annotation with
/// the name of the Certificate stays on a Secret when that Certificate is deleted, so it proves nothing alone.
pub(crate) fn is_issued_for(pgpool: &Pgpool, certificate: &Certificate, secret: &Secret) -> bool {
    let issued_for = secret.annotations().get(cert_manager::CERTIFICATE_NAME);
    let is_free = |secret: &Secret| {
        controller(secret.meta()).is_none_or(|controller| Some(&controller.uid) == certificate.uid().as_ref())
    };
    Claim::of(pgpool).controls(certificate.meta())
        && issued_for == Some(&certificate.name_any())
        && certificate.spec.secret_name == secret.name_any()
        && secret.type_.as_deref() == Some(TLS)
        && is_free(secret)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use shared_types::names;

    use super::*;
    use crate::fixtures::pgpool;

    fn certificate(owner: &Value, secret: &str) -> Certificate {
        serde_json::from_value(json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {
                "name": "pool-server-cert", "namespace": "demo", "uid": "c1", "ownerReferences": [owner],
                "labels": names::selector_labels("pool"),
            },
            "spec": {"secretName": secret, "issuerRef": {"kind": "Issuer", "name": "ca"}},
        }))
        .unwrap()
    }

    fn secret(note: &str, type_: &str, owners: &Value) -> Secret {
        serde_json::from_value(json!({
            "metadata": {
                "name": "web-tls", "namespace": "demo", "ownerReferences": owners,
                "annotations": {cert_manager::CERTIFICATE_NAME: note},
            },
            "type": type_,
        }))
        .unwrap()
    }

    fn controlled_by(kind: &str, uid: &str) -> Value {
        json!([{"apiVersion": "v1", "kind": kind, "name": "x", "uid": uid, "controller": true}])
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn only_what_was_issued_for_our_own_certificate_is_adopted() {
        let pgpool = pgpool();
        let ours = serde_json::to_value(names::owner_reference(&pgpool)).unwrap();
        let changed = |field: &str, value: &str| {
            let mut owner = ours.clone();
            owner[field] = json!(value);
            owner
        };
        let noted = |owners: Value| secret("pool-server-cert", TLS, &owners);
        let none = json!([]);
        let here = || certificate(&ours, "web-tls");
        let rows = [
            ("issued for ours", here(), noted(json!([])), true),
            (
                "controlled by our Certificate",
                here(),
                noted(controlled_by("Certificate", "c1")),
                true,
            ),
            (
                "controlled by another",
                here(),
                noted(controlled_by("Certificate", "c2")),
                false,
            ),
            (
                "issued for another",
                here(),
                secret("web-server-cert", TLS, &none),
                false,
            ),
            (
                "of another type",
                here(),
                secret("pool-server-cert", "Opaque", &none),
                false,
            ),
            (
                "ours is written elsewhere",
                certificate(&ours, "other"),
                noted(json!([])),
                false,
            ),
            (
                "the Certificate is another Pgpool's",
                certificate(&changed("name", "other"), "web-tls"),
                noted(json!([])),
                false,
            ),
            (
                "the Certificate is of another kind of owner",
                certificate(&changed("kind", "Ingress"), "web-tls"),
                noted(json!([])),
                false,
            ),
            (
                "the Certificate is of a deleted namesake",
                certificate(&changed("uid", "gone"), "web-tls"),
                noted(json!([])),
                false,
            ),
        ];
        for (what, certificate, secret, expected) in rows {
            assert_eq!(is_issued_for(&pgpool, &certificate, &secret), expected, "{what}");
        }
    }
}
