//! Which chain do clients with OpenSSL build for a leaf certificate, and do they accept it?

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::failure::{Place, Subject};
use crate::signature::{self, Signature};
use crate::{ChainFault, KeyId, Role, Warning};

mod checks;
mod path;

pub(crate) use path::Listed;
use path::{End, Path};

/// The certificates of which chains are built.
pub(crate) struct Sources<'c, 'a> {
    /// What a server presents, leaf first; not empty.
    pub(crate) presented: &'c [Certificate<'a>],
    /// What the presented certificates are called.
    pub(crate) file: &'static str,
    /// The certificates of `ca.crt`.
    pub(crate) anchors: &'c [Certificate<'a>],
}

/// A chain that clients accept, or would accept with the certificate that the warning names.
pub(crate) struct Chain {
    /// The keys that have signed it, from the issuer of the leaf to the end.
    pub(crate) signers: Vec<KeyId>,
    pub(crate) warning: Option<Warning>,
}

/// Builds the chain of the leaf and checks it, except what concerns the leaf alone: its validity and usages.
///
/// # Errors
/// Why clients do not accept it.
pub(crate) fn check(
    sources: &Sources<'_, '_>,
    role: Role,
    now: Timestamp,
) -> Result<Option<Chain>, ChainFault> {
    let Some(path) = path::build(sources, now) else {
        return Ok(None);
    };
    if let Some(leaf) = path.links.first() {
        decodable(leaf)?;
    }
    let warning = ends(&path, sources)?;
    checks::check(&path, role, now)?;
    let signers = match path.links.as_slice() {
        [own] if path.end == End::Trusted => vec![KeyId::of(own.certificate)],
        links => links
            .iter()
            .skip(1)
            .map(|link| KeyId::of(link.certificate))
            .collect(),
    };
    Ok(Some(Chain { signers, warning }))
}

/// OpenSSL builds no chain for a certificate with a malformed extension.
fn decodable(link: &Listed<'_, '_>) -> Result<(), ChainFault> {
    match link.certificate.extensions.malformed {
        Some(extension) => Err(ChainFault::Malformed {
            subject: link.subject(),
            extension,
        }),
        None => Ok(()),
    }
}

/// Whether the end of the path is one that clients accept, or would accept with one more certificate.
fn ends(path: &Path<'_, '_>, sources: &Sources<'_, '_>) -> Result<Option<Warning>, ChainFault> {
    let Some(top) = path.links.last() else {
        return Ok(None);
    };
    match path.end {
        End::Trusted => Ok(None),
        End::TooLong => Err(ChainFault::TooManyCertificates),
        // Without ca.crt there is no end to compare with.
        End::SelfSigned | End::Open if sources.anchors.is_empty() => Ok(None),
        End::SelfSigned => Err(ChainFault::RootUnknown {
            subject: top.subject(),
        }),
        End::Open if path.trusted == 0 => Err(no_issuer(top, sources)),
        End::Open => {
            let certificate = top.certificate;
            let subject = || top.subject();
            if certificate.is_self_issued() {
                // A root, but not to OpenSSL; else a CA whose earlier key certifies its new one.
                if certificate.names_key_of(certificate) {
                    return Err(ChainFault::AlgorithmUnsupported { subject: subject() });
                }
                if signature::check(certificate, certificate) == Signature::Valid {
                    return Err(ChainFault::IssuerMismatch {
                        subject: subject(),
                        issuer: subject(),
                    });
                }
            }
            Ok(Some(Warning::RootMissing {
                subject: certificate.subject.display(),
                issuer: certificate.issuer.display(),
            }))
        }
    }
}

/// Why no certificate is taken for the issuer.
fn no_issuer(top: &Listed<'_, '_>, sources: &Sources<'_, '_>) -> ChainFault {
    let named = path::all(sources).find(|other| {
        other.certificate.subject.canonical() == top.certificate.issuer.canonical()
            && other.certificate.der != top.certificate.der
    });
    let Some(named) = named else {
        return ChainFault::IssuerAbsent {
            subject: top.subject(),
            issuer: top.certificate.issuer.display(),
        };
    };
    if let Err(fault) = decodable(&named) {
        return fault;
    }
    let (subject, issuer) = (top.subject(), named.subject());
    if top.certificate.names_key_of(named.certificate) {
        ChainFault::SignatureWrong { subject, issuer }
    } else {
        ChainFault::IssuerMismatch { subject, issuer }
    }
}

impl Listed<'_, '_> {
    /// How messages call it.
    pub(crate) fn subject(&self) -> Subject {
        Subject {
            name: self.certificate.subject.display(),
            place: Place {
                file: self.file,
                number: self.number,
            },
        }
    }
}
