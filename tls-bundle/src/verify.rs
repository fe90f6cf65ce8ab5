//! The order of the checks: first whether the entries can be parsed, then whether they belong together, then
//! whether they meet the requirements. Independent checks all run, so that one result shows every failure.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::certificate::Certificate;
use crate::chain::{Listed, Sources};
use crate::pem::Problem;
use crate::public_key::Numbers;
use crate::shortened::shortened;
use crate::time::Moment;
use crate::{Bundle, Entry, Failure, Leaf, Required, Verification, Warning};
use crate::{certificate, chain, key, limits, names, pem, usage};

/// What presented certificates are called.
const PRESENTED: &str = "what the server presents";

/// See [`crate::verify()`].
pub(crate) fn verify(bundle: &Bundle<'_>, required: &Required, now: Timestamp) -> Verification {
    verify_with(bundle, private_key(bundle.key), required, now)
}

/// See [`crate::verify_with_public_part`].
pub(crate) fn verify_with(
    bundle: &Bundle<'_>,
    key: Result<Numbers, Failure>,
    required: &Required,
    now: Timestamp,
) -> Verification {
    let mut found = Verification::empty();
    let chain = found.collect(chain_der(bundle)).unwrap_or_default();
    let presented = Presented {
        chain: &chain,
        file: Entry::Certificate.as_str(),
        key: Some(key),
    };
    verified(presented, bundle.ca, required, now, found)
}

/// See [`crate::verify_presented`].
pub(crate) fn verify_presented(
    chain: &[CertificateDer<'_>],
    ca: Option<&[u8]>,
    required: &Required,
    now: Timestamp,
) -> Verification {
    let mut found = Verification::empty();
    if chain.is_empty() {
        found.failures.push(unreadable("the server presents none".into()));
    }
    let bytes = chain.iter().map(|certificate| certificate.len()).sum();
    if let Err(problem) = pem::within_limits(chain.len(), bytes) {
        found.failures.push(unreadable(problem));
        return found;
    }
    let presented = Presented {
        chain,
        file: PRESENTED,
        key: None,
    };
    verified(presented, ca, required, now, found)
}

/// The certificates of a server or client.
struct Presented<'c> {
    chain: &'c [CertificateDer<'c>],
    /// What they are called.
    file: &'static str,
    /// `None` where a handshake has proved it.
    key: Option<Result<Numbers, Failure>>,
}

fn verified(
    presented: Presented<'_>,
    ca: Option<&[u8]>,
    required: &Required,
    now: Timestamp,
    mut found: Verification,
) -> Verification {
    let Presented { chain, file, key } = presented;
    let chain = found.collect(parsed(chain, file, unreadable)).unwrap_or_default();
    let key = key.and_then(|key| found.collect(key));
    let ca = present(ca);
    if ca.is_none() {
        let top = chain.last();
        let issuer = top.map(|top| top.issuer.display()).unwrap_or_default();
        found.warn(Warning::CaMissing { issuer }, required);
    }
    let ca_der = ca.and_then(|text| found.collect(pem::certificates(text).map_err(ca_unreadable)));
    let ca_der = ca_der.unwrap_or_default();
    let anchors = found
        .collect(parsed(&ca_der, "ca.crt", ca_unreadable))
        .unwrap_or_default();

    let Some(certificate) = chain.first() else {
        return found;
    };
    let Some(leaf) = certificate.leaf() else {
        found
            .failures
            .push(unreadable("the validity of certificate 1 is malformed".into()));
        return found;
    };
    let unsuitable = unsuitable(&chain, file);
    if let Some(public) = certificate.key.numbers() {
        found
            .failures
            .extend(key.and_then(|key| key::mismatch(&key, &public)));
    }
    found.failures.extend(outside_validity(certificate, &leaf, now));
    if let Some(unsuitable) = unsuitable {
        found.failures.push(unsuitable);
    } else if ca.is_none() || !anchors.is_empty() {
        let sources = Sources {
            presented: &chain,
            file,
            anchors: &anchors,
        };
        match chain::check(&sources, required.role, now) {
            Ok(Some(chain)) => {
                found.signers = chain.signers;
                if let Some(warning) = chain.warning {
                    found.warn(warning, required);
                }
            }
            Ok(None) => {}
            Err(fault) => found.failures.push(Failure::ChainBroken { fault }),
        }
    }
    found.failures.extend(names::missing(certificate, required));
    found.failures.extend(common_name_mismatch(&leaf, required));
    found.failures.extend(usage::missing(certificate, required.role));
    found.leaf = Some(leaf);
    found
}

/// The first certificate that pgpool would refuse to load: OpenSSL looks at the key of every certificate in the file, and at
/// the signature algorithm of those that are not self-signed, whether a chain needs them or not.
fn unsuitable(chain: &[Certificate<'_>], file: &'static str) -> Option<Failure> {
    // To unpack a point takes a tenth of a millisecond.
    let compressed = chain.iter().filter(|certificate| certificate.key.is_compressed());
    if compressed.count() > limits::CHAIN {
        let problem = format!("more than {} of its keys are compressed points", limits::CHAIN);
        return Some(Failure::CertificateUnsuitable { problem });
    }
    chain.iter().zip(1..).find_map(|(certificate, number)| {
        let subject = Listed {
            certificate,
            file,
            number,
        };
        let problem = match certificate.key.strength() {
            Err(problem) => format!("the key of {} {problem}", subject.subject()),
            Ok(()) if certificate.is_self_signed() => return None,
            Ok(()) => {
                let problem = certificate.algorithm.strength().err()?;
                format!("the signature of {} {problem}", subject.subject())
            }
        };
        Some(Failure::CertificateUnsuitable { problem })
    })
}

/// What is found, step by step.
impl Verification {
    const fn empty() -> Self {
        Self {
            leaf: None,
            signers: Vec::new(),
            failures: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn collect<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.failures.push(failure)).ok()
    }

    /// Notes a warning, as a failure where `ca.crt` must be enough.
    fn warn(&mut self, warning: Warning, required: &Required) {
        if required.ca_required {
            self.failures.push(warning.into());
        } else {
            self.warnings.push(warning);
        }
    }
}

const fn unreadable(problem: Problem) -> Failure {
    Failure::CertificateUnreadable { problem }
}

const fn ca_unreadable(problem: Problem) -> Failure {
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

/// The public key of a `tls.key`.
pub(crate) fn private_key(key: Option<&[u8]>) -> Result<Numbers, Failure> {
    let text = present(key).ok_or(Failure::Incomplete { entry: Entry::Key })?;
    let key = pem::private_key(text).and_then(|key| key::public_of(&key).map_err(Problem::from));
    key.map_err(|problem| Failure::KeyUnreadable { problem })
}

fn parsed<'a>(
    ders: &'a [CertificateDer<'_>],
    file: &str,
    failure: fn(Problem) -> Failure,
) -> Result<Vec<Certificate<'a>>, Failure> {
    let parsed = ders.iter().zip(1..).map(|(der, number): (_, usize)| {
        certificate::parse(der)
            .map_err(|problem| failure(format!("certificate {number} of {file} {problem}").into()))
    });
    parsed.collect()
}

fn outside_validity(certificate: &Certificate<'_>, leaf: &Leaf, now: Timestamp) -> Option<Failure> {
    let Leaf {
        not_before,
        not_after,
        ..
    } = *leaf;
    match certificate.validity.at(now) {
        Moment::Before => Some(Failure::NotYetValid { not_before }),
        Moment::After => Some(Failure::Expired { not_after }),
        Moment::Within | Moment::Unknown => None,
    }
}

fn common_name_mismatch(leaf: &Leaf, required: &Required) -> Option<Failure> {
    let needed = required.common_name.as_ref()?;
    (leaf.common_name.as_ref() != Some(needed)).then(|| Failure::CommonNameMismatch {
        required: needed.clone(),
        found: leaf.common_name.clone().map(shortened),
    })
}
