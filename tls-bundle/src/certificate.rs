//! Parses one certificate more strictly than the parser does, so that no check sees an encoding that two libraries
//! interpret differently.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use crate::shortened::shortened;
use crate::{Fingerprint, Leaf, der, limits, names};

pub(crate) fn parse<'a>(bytes: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, &'static str> {
    if !der::canonical_frame(bytes) {
        return Err("a certificate in it is malformed");
    }
    let (_, certificate) =
        X509Certificate::from_der(bytes).map_err(|_| "a certificate in it is malformed")?;
    let extensions = certificate.extensions_map();
    let extensions = extensions.map_err(|_| "a certificate in it has an extension twice")?;
    let malformed = |extension: &ParsedExtension<'_>| extension.error().is_some();
    if extensions
        .values()
        .any(|extension| malformed(extension.parsed_extension()))
    {
        return Err("a certificate in it has a malformed extension");
    }
    Ok(certificate)
}

/// Returns the public facts about a leaf certificate.
pub(crate) fn leaf(certificate: &X509Certificate<'_>) -> Leaf {
    Leaf {
        fingerprint: Fingerprint::of_der(certificate.as_raw()),
        not_before: timestamp(certificate.validity().not_before),
        not_after: timestamp(certificate.validity().not_after),
        common_name: common_name(certificate),
        dns_names: names::dns_names(certificate).map(str::to_owned).collect(),
    }
}

/// The first common name, which PostgreSQL compares with the user at login.
pub(crate) fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

/// Seconds since 1970. Times beyond are taken for these: RFC 5280 writes 99991231235959Z for a certificate that never
/// expires, and a status can contain times of years 1000 to 9998.
const YEAR_1000: i64 = -30_610_224_000;
const END_OF_YEAR_9998: i64 = 253_370_764_799;

/// Converts a time of a certificate; one before the year 1000 or after the year 9998 becomes the nearest within.
pub(crate) fn timestamp(time: ASN1Time) -> Timestamp {
    let second = time.timestamp().clamp(YEAR_1000, END_OF_YEAR_9998);
    Timestamp::from_second(second).unwrap_or_default()
}

/// Formats a subject or issuer, shortened to fit into a condition.
pub(crate) fn display_name(name: &X509Name<'_>) -> String {
    let length = name.as_raw().len();
    if length > limits::SHOWN_NAME_BYTES {
        return format!("a name of {length} bytes");
    }
    shortened(name.to_string())
}

/// Formats an object identifier.
pub(crate) fn display_oid(oid: &Oid<'_>) -> String {
    let length = oid.as_bytes().len();
    if length > limits::SHOWN_OID_BYTES {
        return format!("with an identifier of {length} bytes");
    }
    oid.to_id_string()
}
