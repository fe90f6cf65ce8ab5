//! Does a valid chain lead from the leaf certificate through the intermediates of `tls.crt` to a CA of `ca.crt`?
//! Searches every path, since a renewed CA may be listed beside its predecessor of the same name, and reports the
//! invalid link of the longest path.

use std::collections::HashMap;

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;

use crate::certificate::{display_name, display_oid, timestamp};
use crate::constraints::{self, Constraints};
use crate::shortened::shortened;
use crate::signature::Signature;
use crate::{ChainFault, KeyId, Role, limits, signature, usage};

type Certificate<'a> = X509Certificate<'a>;

/// Checks the chain of `leaf`, except the validity period of the leaf itself. Returns the keys that have signed it, from the
/// issuer of the leaf to the CA that is trusted.
///
/// # Errors
/// The invalid link of the longest path.
pub(crate) fn check(
    leaf: &Certificate<'_>,
    intermediates: &[Certificate<'_>],
    anchors: &[Certificate<'_>],
    role: Role,
    now: Timestamp,
) -> Result<Vec<KeyId>, ChainFault> {
    extensions_known(leaf)?;
    // A self-signed certificate is its own CA.
    if anchors.iter().any(|anchor| anchor.as_raw() == leaf.as_raw()) {
        return Ok(vec![KeyId::of(leaf)]);
    }
    let mut search = Search {
        issuers: by_subject(anchors, intermediates),
        role,
        now,
        signatures: 0,
        comparisons: limits::CONSTRAINT_COMPARISONS,
        furthest: None,
    };
    let mut path = vec![leaf];
    if search.extend(&mut path) {
        return Ok(path.into_iter().skip(1).map(KeyId::of).collect());
    }
    Err(search.furthest.map_or_else(|| absent(leaf), |found| found.fault))
}

/// A possible issuer.
#[derive(Clone, Copy)]
struct Issuer<'s, 'a> {
    certificate: &'s Certificate<'a>,
    is_anchor: bool,
}

/// The possible issuers by their subject; those of one subject in order, anchors first.
type Issuers<'s, 'a> = HashMap<&'s [u8], Vec<Issuer<'s, 'a>>>;

fn by_subject<'s, 'a>(
    anchors: &'s [Certificate<'a>],
    intermediates: &'s [Certificate<'a>],
) -> Issuers<'s, 'a> {
    let issuer = |is_anchor| {
        move |certificate| Issuer {
            certificate,
            is_anchor,
        }
    };
    let mut issuers = Issuers::new();
    let all = anchors.iter().map(issuer(true));
    for issuer in all.chain(intermediates.iter().map(issuer(false))) {
        let subject = issuer.certificate.subject().as_raw();
        issuers.entry(subject).or_default().push(issuer);
    }
    issuers
}

struct Search<'s, 'a> {
    issuers: Issuers<'s, 'a>,
    role: Role,
    now: Timestamp,
    signatures: usize,
    /// How many more names may be compared with name constraints.
    comparisons: usize,
    furthest: Option<Furthest>,
}

struct Furthest {
    /// The number of valid certificates of the path, then how specific the fault is.
    reach: (usize, usize),
    fault: ChainFault,
}

impl<'s, 'a> Search<'s, 'a> {
    /// Returns whether the path can be extended to an anchor.
    fn extend(&mut self, path: &mut Vec<&'s Certificate<'a>>) -> bool
    where
        'a: 's,
    {
        let Some(last) = path.last().copied() else {
            return false;
        };
        if path.len() > limits::CHAIN {
            return false;
        }
        let candidates = self.issuers.get(last.issuer().as_raw());
        let candidates = candidates.cloned().unwrap_or_default();
        let mut named = false;
        for Issuer {
            certificate,
            is_anchor,
        } in candidates
        {
            if path.iter().any(|link| link.as_raw() == certificate.as_raw()) {
                continue;
            }
            named = true;
            if let Err(fault) = self.link(path, last, certificate) {
                let is_over = fault == ChainFault::TooManyCertificates;
                self.note(path.len(), fault);
                if is_over {
                    break;
                }
                continue;
            }
            path.push(certificate);
            if is_anchor || self.extend(path) {
                return true;
            }
            path.pop();
        }
        if !named {
            self.note(path.len(), absent(last));
        }
        false
    }

    /// Checks that `issuer` signed the last certificate of the path, and was allowed to.
    fn link(
        &mut self,
        path: &[&Certificate<'a>],
        last: &Certificate<'a>,
        issuer: &Certificate<'a>,
    ) -> Result<(), ChainFault> {
        self.signatures = self.signatures.saturating_add(1);
        if self.signatures > limits::SIGNATURES {
            return Err(ChainFault::TooManyCertificates);
        }
        let subject = || display_name(last.subject());
        match signature::check(last, issuer) {
            Signature::Valid => {}
            Signature::Wrong => {
                let issuer = display_name(issuer.subject());
                return Err(ChainFault::SignatureWrong {
                    subject: subject(),
                    issuer,
                });
            }
            Signature::Unsupported => {
                return Err(ChainFault::AlgorithmUnsupported { subject: subject() });
            }
        }
        extensions_known(issuer)?;
        signs_certificates(issuer, path)?;
        valid(issuer, self.now)?;
        if !usage::allows(issuer, self.role) {
            let subject = display_name(issuer.subject());
            return Err(ChainFault::UsageForbidden {
                subject,
                usage: self.role.usage(),
            });
        }
        let Some(leaf) = path.first() else {
            return Ok(());
        };
        match constraints::check(issuer, leaf, &mut self.comparisons) {
            Constraints::Met => Ok(()),
            Constraints::Forbid(name) => Err(ChainFault::NameForbidden {
                subject: display_name(issuer.subject()),
                name: shortened(name),
            }),
            Constraints::TooMany => Err(ChainFault::TooManyConstraints {
                subject: display_name(issuer.subject()),
            }),
        }
    }

    fn note(&mut self, length: usize, fault: ChainFault) {
        // Of faults at the same length, a wrong signature is the least specific: it may be another CA of that name.
        let specificity = match fault {
            ChainFault::SignatureWrong { .. } | ChainFault::IssuerAbsent { .. } => 0,
            _ => 1,
        };
        let reach = (length, specificity);
        if self
            .furthest
            .as_ref()
            .is_none_or(|furthest| reach > furthest.reach)
        {
            self.furthest = Some(Furthest { reach, fault });
        }
    }
}

fn absent(certificate: &Certificate<'_>) -> ChainFault {
    ChainFault::IssuerAbsent {
        subject: display_name(certificate.subject()),
        issuer: display_name(certificate.issuer()),
    }
}

/// Checks the critical extensions: every client must reject a certificate with an unknown one.
fn extensions_known(certificate: &Certificate<'_>) -> Result<(), ChainFault> {
    let mut extensions = certificate.iter_extensions();
    match extensions.find(|e| e.critical && e.parsed_extension().unsupported()) {
        Some(extension) => Err(ChainFault::ExtensionUnsupported {
            subject: display_name(certificate.subject()),
            oid: display_oid(&extension.oid),
        }),
        None => Ok(()),
    }
}

/// Checks that a certificate is a CA, and that it allows as many CAs below it as the path (leaf first) has.
fn signs_certificates(ca: &Certificate<'_>, path: &[&Certificate<'_>]) -> Result<(), ChainFault> {
    let subject = || display_name(ca.subject());
    let constraints = ca
        .basic_constraints()
        .ok()
        .flatten()
        .map(|extension| extension.value);
    let signs = match ca.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    let Some(constraints) = constraints.filter(|constraints| constraints.ca && signs) else {
        return Err(ChainFault::NotACa { subject: subject() });
    };
    // A self-issued CA, which changed only its key, does not count.
    let below = path.iter().skip(1);
    let below = below
        .filter(|ca| ca.subject().as_raw() != ca.issuer().as_raw())
        .count();
    match constraints.path_len_constraint {
        Some(most) if below > most as usize => Err(ChainFault::TooLong { subject: subject() }),
        _ => Ok(()),
    }
}

fn valid(ca: &Certificate<'_>, now: Timestamp) -> Result<(), ChainFault> {
    let subject = || display_name(ca.subject());
    let not_before = timestamp(ca.validity().not_before);
    let not_after = timestamp(ca.validity().not_after);
    if now < not_before {
        return Err(ChainFault::CaNotYetValid {
            subject: subject(),
            not_before,
        });
    }
    if now > not_after {
        return Err(ChainFault::CaExpired {
            subject: subject(),
            not_after,
        });
    }
    Ok(())
}
