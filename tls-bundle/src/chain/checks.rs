//! What OpenSSL checks once it has a chain, in its order.

use jiff::Timestamp;

use super::{Listed, Path};
use crate::certificate::{Certificate, timestamp};
use crate::chain::path::End;
use crate::constraints::{self, Budget, Unmet};
use crate::general_name::GeneralName;
use crate::shortened::shortened;
use crate::signature::{self, Signature};
use crate::time::Moment;
use crate::{ChainFault, Role, usage};

/// Netscape certificate types: CAs of TLS, and CAs of any kind.
const NETSCAPE_TLS_CA: u8 = 0x04;
const NETSCAPE_ANY_CA: u8 = 0x07;

pub(super) fn check(path: &Path<'_, '_>, role: Role, now: Timestamp) -> Result<(), ChainFault> {
    let links = path.links.as_slice();
    extensions(path, role)?;
    strengths(path)?;
    for (number, link) in links.iter().enumerate().rev() {
        if let Some(issuer) = links.get(number.saturating_add(1)) {
            signed(link, issuer)?;
        }
        if number > 0 {
            valid(link, now)?;
        }
    }
    names(links)
}

/// Critical extensions, CAs, usages and path lengths.
fn extensions(path: &Path<'_, '_>, role: Role) -> Result<(), ChainFault> {
    let last = path.links.len().saturating_sub(1);
    let mut below: u64 = 0;
    for (number, link) in path.links.iter().enumerate() {
        let subject = || link.subject();
        let extensions = &link.certificate.extensions;
        let unknown = extensions.unknown_critical.as_ref();
        if let Some(oid) = unknown.or(extensions.unsupported.as_ref()) {
            return Err(ChainFault::ExtensionUnsupported {
                subject: subject(),
                oid: oid.clone(),
            });
        }
        if !usage::allows_netscape(link.certificate, role, number > 0) {
            return Err(ChainFault::UsageForbidden {
                subject: subject(),
                usage: role.usage(),
            });
        }
        if number == 0 {
            continue;
        }
        let is_root = number == last && path.end == End::Trusted;
        if !signs_certificates(link.certificate, is_root) {
            return Err(ChainFault::NotACa { subject: subject() });
        }
        if !usage::allows(link.certificate, role) {
            return Err(ChainFault::UsageForbidden {
                subject: subject(),
                usage: role.usage(),
            });
        }
        let constraints = extensions.basic_constraints;
        let most = constraints.and_then(|constraints| constraints.path_length);
        if most.is_some_and(|most| below > most) {
            return Err(ChainFault::TooLong { subject: subject() });
        }
        // A self-issued CA, which changed only its key, does not count.
        if !link.certificate.is_self_issued() {
            below = below.saturating_add(1);
        }
    }
    Ok(())
}

/// Whether a certificate is a CA. At the end of a chain OpenSSL accepts old forms too: version 1, a key usage alone, and the
/// Netscape type.
fn signs_certificates(ca: &Certificate<'_>, is_root: bool) -> bool {
    let extensions = &ca.extensions;
    let usage = extensions.key_usage;
    if usage.is_some_and(|usage| !usage.signs_certificates()) {
        return false;
    }
    if let Some(constraints) = extensions.basic_constraints {
        return constraints.ca;
    }
    if !is_root {
        return false;
    }
    if ca.is_v1 && ca.is_self_signed() || usage.is_some() {
        return true;
    }
    let kind = extensions.netscape_type.unwrap_or_default();
    kind & NETSCAPE_ANY_CA != 0 && kind & NETSCAPE_TLS_CA != 0
}

/// Keys of the CAs, and signatures except that of the root.
fn strengths(path: &Path<'_, '_>) -> Result<(), ChainFault> {
    for (number, link) in path.links.iter().enumerate() {
        let subject = || link.subject();
        if number > 0
            && let Err(problem) = link.certificate.key.strength()
        {
            return Err(ChainFault::KeyUnsuitable {
                subject: subject(),
                problem,
            });
        }
        if !link.certificate.is_self_signed()
            && let Err(problem) = link.certificate.algorithm.strength()
        {
            return Err(ChainFault::SignatureUnsuitable {
                subject: subject(),
                problem,
            });
        }
    }
    Ok(())
}

fn signed(link: &Listed<'_, '_>, issuer: &Listed<'_, '_>) -> Result<(), ChainFault> {
    let subject = link.subject();
    match signature::check(link.certificate, issuer.certificate) {
        Signature::Valid => Ok(()),
        Signature::Wrong => Err(ChainFault::SignatureWrong {
            subject,
            issuer: issuer.subject(),
        }),
        Signature::Unsupported => Err(ChainFault::AlgorithmUnsupported { subject }),
    }
}

fn valid(ca: &Listed<'_, '_>, now: Timestamp) -> Result<(), ChainFault> {
    let validity = &ca.certificate.validity;
    let time = |second: Option<i64>| timestamp(second.unwrap_or_default());
    let subject = ca.subject();
    match validity.at(now) {
        Moment::Within => Ok(()),
        Moment::Before => Err(ChainFault::CaNotYetValid {
            subject,
            not_before: time(validity.not_before),
        }),
        Moment::After => Err(ChainFault::CaExpired {
            subject,
            not_after: time(validity.not_after),
        }),
        Moment::Unknown => Err(ChainFault::Malformed {
            subject,
            extension: "validity",
        }),
    }
}

/// The names of every certificate, as far as each CA above it permits them.
fn names(links: &[Listed<'_, '_>]) -> Result<(), ChainFault> {
    let mut budget = Budget::new();
    for (number, link) in links.iter().enumerate().rev() {
        let certificate = link.certificate;
        if number > 0 && certificate.is_self_issued() {
            continue;
        }
        let names = &certificate.extensions.alternative_names;
        let has_dns = names.iter().any(|name| matches!(name, GeneralName::Dns(_)));
        let host_name = number == 0 && !has_dns;
        for ca in links.iter().skip(number.saturating_add(1)).rev() {
            let Some(constraints) = &ca.certificate.extensions.name_constraints else {
                continue;
            };
            constraints::check(constraints, &certificate.subject, names, host_name, &mut budget)
                .map_err(|unmet| forbidden(ca, unmet))?;
        }
    }
    Ok(())
}

fn forbidden(ca: &Listed<'_, '_>, unmet: Unmet) -> ChainFault {
    let subject = ca.subject();
    match unmet {
        Unmet::Forbidden(name) => ChainFault::NameForbidden {
            subject,
            name: shortened(name),
        },
        Unmet::Incomparable(name) => ChainFault::NameIncomparable {
            subject,
            name: shortened(name),
        },
        Unmet::TooMany => ChainFault::TooManyConstraints { subject },
    }
}
