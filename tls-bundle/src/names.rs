//! Which names a certificate covers, by the rules of libpq, and no more: only subject alternative names count; a wildcard
//! matches exactly one whole label at the left, and needs two more labels.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::certificate::Certificate;
use crate::general_name::GeneralName;
use crate::{Failure, Required};

/// Returns the required names that are not covered.
pub(crate) fn missing(leaf: &Certificate<'_>, required: &Required) -> Option<Failure> {
    let covering = Covering::of(&leaf.extensions.alternative_names);
    let names = required.dns_names.iter().filter(|name| !covering.covers(name));
    let addresses = required.ip_addresses.iter();
    let addresses = addresses.filter(|address| !covering.has(address));
    let missing: Vec<String> = names.cloned().chain(addresses.map(IpAddr::to_string)).collect();
    (!missing.is_empty()).then_some(Failure::NameMissing { missing })
}

/// Returns whether one of the DNS names of a certificate covers a name.
pub(crate) fn covers(dns_names: &[String], required: &str) -> bool {
    let names = dns_names.iter().map(|name| GeneralName::Dns(name.as_bytes()));
    Covering::of(&names.collect::<Vec<_>>()).covers(required)
}

/// The names of a certificate, in the form in which they are compared. libpq reads them in order and gives up at one that is
/// malformed, so only those before it count.
#[derive(Default)]
struct Covering {
    names: HashSet<Vec<u8>>,
    addresses: HashSet<IpAddr>,
}

impl Covering {
    fn of(names: &[GeneralName<'_>]) -> Self {
        let mut covering = Self::default();
        for name in names {
            match name {
                GeneralName::Dns(name) if !name.contains(&0) => {
                    covering.names.insert(name.to_ascii_lowercase());
                }
                GeneralName::Ip(octets) => match GeneralName::address(octets) {
                    Some(address) => drop(covering.addresses.insert(address)),
                    None => break,
                },
                GeneralName::Dns(_) => break,
                _ => {}
            }
        }
        covering
    }

    fn has(&self, address: &IpAddr) -> bool {
        self.addresses.contains(address)
    }

    /// Returns whether one of the names covers a required one. A required wildcard is covered only by the same wildcard.
    fn covers(&self, required: &str) -> bool {
        let required = required.to_ascii_lowercase();
        if self.names.contains(required.as_bytes()) {
            return !required.is_empty();
        }
        let Some((label, rest)) = required.split_once('.') else {
            return false;
        };
        let wildcard = format!("*.{rest}");
        !label.is_empty() && label != "*" && rest.contains('.') && self.names.contains(wildcard.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    fn covers(covering: &str, required: &str) -> bool {
        super::covers(&[covering.to_owned()], required)
    }

    #[test]
    fn covering_follows_the_rules() {
        let covered = [
            ("a.ns.svc", "a.ns.svc"),
            ("A.ns.SVC", "a.NS.svc"),
            ("*.ns.svc", "a.ns.svc"),
            ("*.ns.svc", "*.ns.svc"),
            ("localhost", "localhost"),
        ];
        for (covering, required) in covered {
            assert!(covers(covering, required), "{covering} covers {required}");
        }
        let uncovered = [
            ("a.ns.svc.", "a.ns.svc"),
            ("*.ns.svc", "ns.svc"),
            ("*.ns.svc", "a.b.ns.svc"),
            ("*.ns.svc", ".ns.svc"),
            ("*.svc", "a.svc"),
            ("*", "localhost"),
            ("a*.ns.svc", "ab.ns.svc"),
            ("a.ns.svc", "*.ns.svc"),
            ("*.svc.local", "*.ns.svc.local"),
            ("", ""),
        ];
        for (covering, required) in uncovered {
            assert!(!covers(covering, required), "{covering} covers {required}");
        }
    }
}
