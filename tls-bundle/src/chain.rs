//! Does a valid chain lead from the leaf through the intermediates of `tls.crt` to a CA of `ca.crt`? Searches
//! all ways, since a CA that was renewed stands beside its older self under the same name, and tells the link
//! that came furthest.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;

use crate::certificate::{display_name, timestamp};
use crate::signature::Signature;
use crate::{ChainFault, Role, constraints, signature, usage};

type Certificate<'a> = X509Certificate<'a>;

/// Longer than any chain in use.
const LONGEST: usize = 8;

/// A bound on the work: certificates of the same name can make the search exponential.
const MOST_SIGNATURES: usize = 64;

/// Checks the chain of `leaf`. The leaf's own validity is not looked at.
///
/// # Errors
/// The link that does not hold, on the way that came furthest.
pub(crate) fn check(
    leaf: &Certificate<'_>,
    intermediates: &[Certificate<'_>],
    anchors: &[Certificate<'_>],
    role: Role,
    now: Timestamp,
) -> Result<(), ChainFault> {
    understood(leaf)?;
    // Self-signed: trusted because it is its own CA.
    if anchors.iter().any(|anchor| anchor.as_raw() == leaf.as_raw()) {
        return Ok(());
    }
    let mut search = Search {
        intermediates,
        anchors,
        role,
        now,
        signatures: 0,
        furthest: None,
    };
    if search.extend(&mut vec![leaf]) {
        return Ok(());
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
    /// How many certificates of the chain were good, then how much the fault says.
    reach: (usize, usize),
    fault: ChainFault,
}

impl<'s, 'a> Search<'s, 'a> {
    /// Tells whether the path can be continued to an anchor.
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

    /// Checks that `issuer` may, and did, sign the last certificate of the path.
    fn link(
        &mut self,
        path: &[&Certificate<'a>],
        last: &Certificate<'a>,
        issuer: &Certificate<'a>,
    ) -> Result<(), ChainFault> {
        self.signatures += 1;
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
        understood(issuer)?;
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
        // Among faults of the same place, a wrong signature says least: the CA was another one of the same name.
        let says = match fault {
            ChainFault::SignatureWrong { .. } | ChainFault::IssuerAbsent { .. } => 0,
            _ => 1,
        };
        let reach = (length, says);
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

/// A critical extension that is not understood obliges everybody to refuse the certificate.
fn understood(certificate: &Certificate<'_>) -> Result<(), ChainFault> {
    let mut extensions = certificate.iter_extensions();
    match extensions.find(|e| e.critical && e.parsed_extension().unsupported()) {
        Some(extension) => Err(ChainFault::ExtensionUnsupported {
            subject: display_name(certificate.subject()),
            oid: extension.oid.to_id_string(),
        }),
        None => Ok(()),
    }
}

/// Checks that a CA is one, and that it allows as many CAs below it as the path (leaf first) has.
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
    // A CA that only changed its key does not count.
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
