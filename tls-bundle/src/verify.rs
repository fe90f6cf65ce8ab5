//! The order of the checks: first whether the entries can be parsed, then whether they belong together, then
//! whether they meet the requirements. Independent checks all run, so that one result shows every failure.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use crate::key::PublicKey;
use crate::pem::Problem;
use crate::shortened::shortened;
use crate::{Bundle, Entry, Failure, Leaf, Required, Verification};
use crate::{certificate, chain, key, names, pem, usage};

/// See [`crate::verify()`].
pub(crate) fn verify(bundle: &Bundle<'_>, required: &Required, now: Timestamp) -> Verification {
    let mut failures = Vec::new();
    let chain_der = collected(chain_der(bundle), &mut failures).unwrap_or_default();
    let chain = collected(parsed(&chain_der, unreadable), &mut failures).unwrap_or_default();
    let key = collected(private_key(bundle), &mut failures);
    let ca_der = collected(ca_der(bundle), &mut failures).unwrap_or_default();
    let anchors = collected(parsed(&ca_der, ca_unreadable), &mut failures).unwrap_or_default();

    let Some((certificate, intermediates)) = chain.split_first() else {
        return Verification {
            leaf: None,
            signers: Vec::new(),
            failures,
        };
    };
    let leaf = certificate::leaf(certificate);
    match PublicKey::of_certificate(certificate.public_key()) {
        Some(public) => failures.extend(key.and_then(|key| key::mismatch(&key, &public))),
        None => failures.push(unreadable(UNKNOWN_KEY.into())),
    }
    failures.extend(outside_validity(&leaf, now));
    let mut signers = Vec::new();
    if !anchors.is_empty() {
        match chain::check(certificate, intermediates, &anchors, required.role, now) {
            Ok(keys) => signers = keys,
            Err(fault) => failures.push(Failure::ChainBroken { fault }),
        }
    }
    failures.extend(names::missing(certificate, required));
    failures.extend(common_name_mismatch(&leaf, required));
    failures.extend(usage::missing(certificate, required.role));
    Verification {
        leaf: Some(leaf),
        signers,
        failures,
    }
}

const UNKNOWN_KEY: &str = "its public key is neither RSA, ECDSA P-256, P-384 or P-521, nor Ed25519";

fn unreadable(problem: Problem) -> Failure {
    Failure::CertificateUnreadable { problem }
}

fn ca_unreadable(problem: Problem) -> Failure {
    Failure::CaUnreadable { problem }
}

fn collected<T>(result: Result<T, Failure>, failures: &mut Vec<Failure>) -> Option<T> {
    result.map_err(|failure| failures.push(failure)).ok()
}

/// An entry of white space only counts as missing.
fn present(entry: Option<&[u8]>) -> Option<&[u8]> {
    entry.filter(|text| !text.trim_ascii().is_empty())
}

fn chain_der(bundle: &Bundle<'_>) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let text = present(bundle.certificate);
    let text = text.ok_or(Failure::Incomplete {
        entry: Entry::Certificate,
    })?;
    pem::certificates(text).map_err(unreadable)
}

fn ca_der(bundle: &Bundle<'_>) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let text = present(bundle.ca).ok_or(Failure::CaMissing)?;
    pem::certificates(text).map_err(ca_unreadable)
}

fn private_key(bundle: &Bundle<'_>) -> Result<PublicKey, Failure> {
    let text = present(bundle.key).ok_or(Failure::Incomplete { entry: Entry::Key })?;
    let key = pem::private_key(text).and_then(|key| PublicKey::of_private(&key).map_err(Problem::from));
    key.map_err(|problem| Failure::KeyUnreadable { problem })
}

fn parsed<'a>(
    ders: &'a [CertificateDer<'_>],
    failure: fn(Problem) -> Failure,
) -> Result<Vec<X509Certificate<'a>>, Failure> {
    ders.iter()
        .map(certificate::parse)
        .collect::<Result<_, _>>()
        .map_err(|problem: &'static str| failure(problem.into()))
}

fn outside_validity(leaf: &Leaf, now: Timestamp) -> Option<Failure> {
    let Leaf {
        not_before,
        not_after,
        ..
    } = *leaf;
    if now < not_before {
        return Some(Failure::NotYetValid { not_before });
    }
    (now > not_after).then_some(Failure::Expired { not_after })
}

fn common_name_mismatch(leaf: &Leaf, required: &Required) -> Option<Failure> {
    let needed = required.common_name.as_ref()?;
    (leaf.common_name.as_ref() != Some(needed)).then(|| Failure::CommonNameMismatch {
        required: needed.clone(),
        found: leaf.common_name.clone().map(shortened),
    })
}
