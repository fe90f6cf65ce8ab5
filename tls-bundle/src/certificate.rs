//! Reads one certificate more strictly than the parser does, so that the checks never meet a form that two
//! libraries could read differently.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use crate::{Fingerprint, Leaf, der, names};

/// Parses a certificate.
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

/// Tells what is worth telling about a leaf.
pub(crate) fn leaf(certificate: &X509Certificate<'_>) -> Leaf {
    Leaf {
        fingerprint: Fingerprint::of_der(certificate.as_raw()),
        not_before: timestamp(certificate.validity().not_before),
        not_after: timestamp(certificate.validity().not_after),
        common_name: common_name(certificate),
        dns_names: names::dns_names(certificate).map(str::to_owned).collect(),
    }
}

/// The first common name, which is the one that is compared with the user when logging in.
pub(crate) fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

/// Converts a time of a certificate. Certificates know times that the type does not ("never expires" is the last
/// second of the year 9999); those become the nearest there is.
pub(crate) fn timestamp(time: ASN1Time) -> Timestamp {
    let second = time.timestamp();
    let nearest = if second < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(second).unwrap_or(nearest)
}

/// Writes a subject or issuer for people, cut to a length that a condition can carry.
pub(crate) fn display_name(name: &X509Name<'_>) -> String {
    const LONGEST: usize = 160;
    let text = name.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
