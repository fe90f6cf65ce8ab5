//! One cert-manager `Certificate`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shared_types::pgpool::{KeyEncoding, Subject};

use crate::cert_manager::{self, Certificate, CertificateSpec, PrivateKey, SecretTemplate};
use crate::certificates::validate::{Order, Parent, Wanted};

/// Bits of a key.
const KEY_SIZE: i32 = 2048;

/// Builds the Certificate that asks cert-manager for `order`.
///
/// Whatever cert-manager has changed the default of in the past is written out, so that its upgrade issues nothing.
pub(crate) fn certificate(parent: &Parent, wanted: &Wanted, order: &Order) -> Certificate {
    Certificate {
        metadata: ObjectMeta {
            name: Some(wanted.certificate.clone()),
            namespace: Some(parent.namespace.clone()),
            labels: Some(parent.labels.clone()),
            owner_references: Some(vec![parent.owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: CertificateSpec {
            common_name: order.common_name.clone(),
            subject: order.subject.as_ref().map(subject),
            duration: order.duration.clone(),
            renew_before: order.renew_before.clone(),
            dns_names: order.names.dns.clone(),
            ip_addresses: order.names.ips.iter().map(ToString::to_string).collect(),
            uris: order.names.uris.clone(),
            email_addresses: order.names.emails.clone(),
            secret_name: wanted.secret.clone(),
            // By these labels the Secret is found again.
            secret_template: Some(SecretTemplate {
                labels: parent.labels.clone(),
            }),
            issuer_ref: order.issuer.clone(),
            usages: order.usages.iter().map(|usage| (*usage).to_owned()).collect(),
            private_key: Some(PrivateKey {
                algorithm: Some("RSA".to_owned()),
                encoding: Some(encoding(order.encoding).to_owned()),
                size: Some(KEY_SIZE),
                rotation_policy: Some("Always".to_owned()),
            }),
            revision_history_limit: Some(1),
        },
        status: None,
    }
}

fn encoding(encoding: KeyEncoding) -> &'static str {
    match encoding {
        KeyEncoding::Pkcs1 => "PKCS1",
        KeyEncoding::Pkcs8 => "PKCS8",
    }
}

fn subject(asked: &Subject) -> cert_manager::Subject {
    cert_manager::Subject {
        organizations: asked.organizations.clone(),
        organizational_units: asked.organizational_units.clone(),
        countries: asked.countries.clone(),
        localities: asked.localities.clone(),
        provinces: asked.provinces.clone(),
        street_addresses: asked.street_addresses.clone(),
        postal_codes: asked.postal_codes.clone(),
        serial_number: asked.serial_number.clone(),
    }
}
