//! Does a valid chain lead from the leaf certificate through the intermediates of `tls.crt` to a CA of `ca.crt`?
//! Searches every path, since a renewed CA may be listed beside its predecessor of the same name, and reports the
//! invalid link of the longest path.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;

use crate::certificate::{display_name, timestamp};
use crate::signature::Signature;
use crate::{ChainFault, KeyId, Role, constraints, signature, usage};

type Certificate<'a> = X509Certificate<'a>;

/// Longer than any chain in use.
const LONGEST: usize = 8;

/// Bounds the work: certificates of the same name make the search exponential.
const MOST_SIGNATURES: usize = 64;

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
        intermediates,
        anchors,
        role,
        now,
        signatures: 0,
        furthest: None,
    };
    let mut path = vec![leaf];
    if search.extend(&mut path) {
        return Ok(path.into_iter().skip(1).map(KeyId::of).collect());
    }
    Err(search.furthest.map_or_else(|| absent(leaf), |found| found.fault))
}

struct Search<'s, 'a> {
    intermediates: &'s [Certificate<'a>],
    anchors: &'s [Certificate<'a>],
    role: Role,
    now: Timestamp,
    signatures: usize,
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
        if path.len() > LONGEST {
            return false;
        }
        let (anchors, intermediates) = (self.anchors, self.intermediates);
        let anchors = anchors.iter().map(|issuer| (issuer, true));
        let candidates = anchors.chain(intermediates.iter().map(|issuer| (issuer, false)));
        let mut named = false;
        for (issuer, anchor) in candidates {
            let same_name = issuer.subject().as_raw() == last.issuer().as_raw();
            if !same_name || path.iter().any(|link| link.as_raw() == issuer.as_raw()) {
                continue;
            }
            named = true;
            if let Err(fault) = self.link(path, last, issuer) {
                self.note(path.len(), fault);
                continue;
            }
            path.push(issuer);
            if anchor || self.extend(path) {
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
        if self.signatures > MOST_SIGNATURES {
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
        let forbidden = path.first().and_then(|leaf| constraints::forbidden(issuer, leaf));
        match forbidden {
            Some(name) => Err(ChainFault::NameForbidden {
                subject: display_name(issuer.subject()),
                name,
            }),
            None => Ok(()),
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
            oid: extension.oid.to_id_string(),
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
