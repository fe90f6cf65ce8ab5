//! Builds one cert-manager `Certificate`. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shared_types::pgpool::{KeyEncoding, Subject};

use crate::cert_manager::{self, Certificate, CertificateSpec, PrivateKey, SecretTemplate};
use crate::certificates::validate::{Order, Parent, Wanted};

/// Defaults that cert-manager has changed in the past are written out, so that its upgrade issues nothing.
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
            // The caches select Secrets by these labels.
            secret_template: Some(SecretTemplate {
                labels: parent.labels.clone(),
            }),
            issuer_ref: order.issuer.clone(),
            usages: order.usages.iter().map(|usage| (*usage).to_owned()).collect(),
            private_key: Some(PrivateKey {
                algorithm: Some(order.key.algorithm.as_str().to_owned()),
                encoding: Some(encoding(order.key.encoding).to_owned()),
                size: order.key.size,
                rotation_policy: Some(order.key.rotation.as_str().to_owned()),
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

fn subject(subject: &Subject) -> cert_manager::Subject {
    cert_manager::Subject {
        organizations: subject.organizations.clone(),
        organizational_units: subject.organizational_units.clone(),
        countries: subject.countries.clone(),
        localities: subject.localities.clone(),
        provinces: subject.provinces.clone(),
        street_addresses: subject.street_addresses.clone(),
        postal_codes: subject.postal_codes.clone(),
        serial_number: subject.serial_number.clone(),
    }
}
