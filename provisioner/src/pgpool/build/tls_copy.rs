//! The TLS copy: an immutable Secret with a verified key pair, every CA that the pool verifies others against, and the key pair
//! of the exporter if it logs in by certificate. One Secret, so that all of it changes in one step.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use shared_types::names;

use super::{metadata, paths};
use crate::hex::first_digits;
use crate::pgpool::decide::TlsMaterial;
use crate::pgpool::decide::ca_overlap::{self, client_cas};
use crate::pgpool::validate::Validated;

/// Hexadecimal digits of the name.
const HASH_LENGTH: usize = 10;

/// The name follows from the content, so that new certificates are a new object.
pub(super) fn tls_copy(validated: &Validated, material: &TlsMaterial<'_>) -> Secret {
    let ca = trust(validated, material);
    let mut files: Vec<(&str, &[u8])> = vec![
        (paths::CERTIFICATE, material.certificate),
        (paths::KEY, material.key),
        (paths::CA, ca.as_bytes()),
        // As it is: OpenSSL and the verification before may prefer the first of several CAs of one name.
        (paths::SERVER_CA, material.ca),
    ];
    if validated.exporter_shows_certificate() {
        files.push((paths::EXPORTER_CERTIFICATE, material.exporter_certificate));
        files.push((paths::EXPORTER_KEY, material.exporter_key));
    }
    let mut hash = Sha256::new();
    for (name, content) in &files {
        // Lengths keep the boundary between two files part of what is hashed.
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(content);
    }
    let hash = first_digits(&hash.finalize(), HASH_LENGTH);
    let data: BTreeMap<_, _> = files
        .into_iter()
        .map(|(name, content)| (name.to_owned(), ByteString(content.to_vec())))
        .collect();
    let note = ca_overlap::annotation(&client_cas(validated, material), &material.former_cas);
    let name = names::tls_secret(&validated.name, &hash);
    Secret {
        metadata: ObjectMeta {
            // Not part of the hash: time passes, and pods do not restart for that.
            annotations: Some(BTreeMap::from([(names::ANNOTATION_TRUSTED_CAS.to_owned(), note)])),
            ..metadata::owned(validated, &name)
        },
        data: Some(data),
        immutable: Some(true),
        type_: Some("kubernetes.io/tls".to_owned()),
        ..Secret::default()
    }
}

/// Whether a copy serves an exporter that logs in by certificate.
pub(super) fn has_exporter_pair(copy: &Secret) -> bool {
    let has = |key: &str| copy.data.as_ref().is_some_and(|data| data.contains_key(key));
    has(paths::EXPORTER_CERTIFICATE) && has(paths::EXPORTER_KEY)
}

/// Whether a copy has every file that pods read: one of an earlier release may lack the CA of the server.
pub(super) fn is_complete(copy: &Secret) -> bool {
    let data = copy.data.as_ref();
    data.is_some_and(|data| data.contains_key(paths::SERVER_CA))
}

/// The CAs of clients and of PostgreSQL: pgpool has one store for both.
fn trust(validated: &Validated, material: &TlsMaterial<'_>) -> String {
    let mut all = client_cas(validated, material);
    all.extend(material.former_cas.iter().map(|former| former.der.clone()));
    let backend = &validated.backend;
    all.extend(backend.ca.iter().cloned());
    if backend.verify && backend.ca.is_empty() {
        // `validate` has excluded that clients log in by certificates of a CA that is trusted for this alone.
        all.extend(ca_overlap::read(material.ca));
    }
    pem(&all)
}

/// Certificates as PEM: each once, in an order that does not depend on the input.
pub(super) fn pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut certificates: Vec<&[u8]> = certificates.iter().map(AsRef::as_ref).collect();
    certificates.sort_unstable();
    certificates.dedup();
    let encode = |der: &[u8]| {
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        pem::encode_config(&Pem::new("CERTIFICATE", der), config)
    };
    certificates.into_iter().map(encode).collect()
}
