//! The order of the checks: first whether the entries can be parsed, then whether they belong together, then
//! whether they meet the requirements. Independent checks all run, so that one result shows every failure.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use crate::key::PublicKey;
use crate::pem::Problem;
use crate::shortened::shortened;
use crate::{Bundle, Entry, Failure, KeyId, Leaf, Required, Verification, Warning};
use crate::{certificate, chain, key, limits, names, pem, usage};

/// See [`crate::verify()`].
pub(crate) fn verify(bundle: &Bundle<'_>, required: &Required, now: Timestamp) -> Verification {
    let mut found = Found::default();
    let chain = found.collect(chain_der(bundle)).unwrap_or_default();
    let key = Some(private_key(bundle));
    judge(&chain, key, bundle.ca, required, now, found)
}

/// See [`crate::verify_presented`].
pub(crate) fn verify_presented(
    chain: &[CertificateDer<'_>],
    ca: Option<&[u8]>,
    required: &Required,
    now: Timestamp,
) -> Verification {
    let mut found = Found::default();
    if chain.is_empty() {
        found
            .failures
            .push(unreadable("the server presented none".into()));
    }
    if chain.len() > limits::CERTIFICATES {
        found.failures.push(unreadable(pem::too_many()));
        return found.into_verification(required);
    }
    judge(chain, None, ca, required, now, found)
}

/// `key` is `None` where a handshake has proved it.
fn judge(
    chain: &[CertificateDer<'_>],
    key: Option<Result<PublicKey, Failure>>,
    ca: Option<&[u8]>,
    required: &Required,
    now: Timestamp,
    mut found: Found,
) -> Verification {
    let chain = found.collect(parsed(chain, unreadable)).unwrap_or_default();
    let key = key.and_then(|key| found.collect(key));
    let ca_der = match present(ca) {
        Some(text) => found.collect(pem::certificates(text).map_err(ca_unreadable)),
        None => {
            found.warnings.push(Warning::CaMissing);
            None
        }
    };
    let ca_der = ca_der.unwrap_or_default();
    let anchors = found.collect(parsed(&ca_der, ca_unreadable)).unwrap_or_default();

    let Some((certificate, intermediates)) = chain.split_first() else {
        return found.into_verification(required);
    };
    let leaf = certificate::leaf(certificate);
    match PublicKey::of_certificate(certificate.public_key()) {
        Some(public) => found
            .failures
            .extend(key.and_then(|key| key::mismatch(&key, &public))),
        None => found.failures.push(unreadable(UNKNOWN_KEY.into())),
    }
    found.failures.extend(outside_validity(&leaf, now));
    if !anchors.is_empty() {
        match chain::check(certificate, intermediates, &anchors, required.role, now) {
            Ok(keys) => found.signers = keys,
            Err(fault) => found.failures.push(Failure::ChainBroken { fault }),
        }
    }
    found.failures.extend(names::missing(certificate, required));
    found.failures.extend(common_name_mismatch(&leaf, required));
    found.failures.extend(usage::missing(certificate, required.role));
    found.leaf = Some(leaf);
    found.into_verification(required)
}

/// What was found so far.
#[derive(Default)]
struct Found {
    leaf: Option<Leaf>,
    signers: Vec<KeyId>,
    failures: Vec<Failure>,
    warnings: Vec<Warning>,
}

impl Found {
    fn collect<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.failures.push(failure)).ok()
    }

    fn into_verification(self, required: &Required) -> Verification {
        let Self {
            leaf,
            signers,
            mut failures,
            mut warnings,
        } = self;
        if required.ca_required {
            failures.extend(warnings.drain(..).map(Failure::from));
        }
        Verification {
            leaf,
            signers,
            failures,
            warnings,
        }
    }
}

const UNKNOWN_KEY: &str = "its public key is neither RSA, ECDSA P-256, P-384 or P-521, nor Ed25519";

fn unreadable(problem: Problem) -> Failure {
    Failure::CertificateUnreadable { problem }
}

fn ca_unreadable(problem: Problem) -> Failure {
    Failure::CaUnreadable { problem }
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
