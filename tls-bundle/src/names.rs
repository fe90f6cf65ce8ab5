//! Which names a certificate covers, by the rules that OpenSSL and rustls share: only subject alternative names
//! count; a wildcard matches exactly one whole label at the left and needs two more labels.

use std::collections::HashSet;
use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::{Failure, Required};

/// Returns the required names that are not covered.
pub(crate) fn missing(leaf: &X509Certificate<'_>, required: &Required) -> Option<Failure> {
    let covering = Covering::of(dns_names(leaf));
    let known: HashSet<IpAddr> = ip_addresses(leaf).collect();
    let names = required.dns_names.iter().filter(|name| !covering.covers(name));
    let addresses = required.ip_addresses.iter();
    let addresses = addresses.filter(|address| !known.contains(address));
    let missing: Vec<String> = names.cloned().chain(addresses.map(IpAddr::to_string)).collect();
    (!missing.is_empty()).then_some(Failure::NameMissing { missing })
}

/// Returns the DNS names of a certificate.
pub(crate) fn dns_names<'c>(certificate: &'c X509Certificate<'_>) -> impl Iterator<Item = &'c str> {
    general_names(certificate).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    })
}

/// Returns the IP addresses of a certificate.
pub(crate) fn ip_addresses(certificate: &X509Certificate<'_>) -> impl Iterator<Item = IpAddr> {
    general_names(certificate).filter_map(|name| match name {
        GeneralName::IPAddress(octets) => ip_address(octets),
        _ => None,
    })
}

fn general_names<'c, 'a>(certificate: &'c X509Certificate<'a>) -> impl Iterator<Item = &'c GeneralName<'a>> {
    let names = certificate.subject_alternative_name().ok().flatten();
    names
        .into_iter()
        .flat_map(|extension| extension.value.general_names.iter())
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// The DNS names of a certificate, in the form in which they are compared.
struct Covering(HashSet<String>);

impl Covering {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.map(comparable).collect())
    }

    /// Returns whether one of the names covers a required one. A required wildcard is covered only by the same wildcard.
    fn covers(&self, required: &str) -> bool {
        let required = comparable(required);
        if self.0.contains(&required) {
            return !required.is_empty();
        }
        let Some((label, rest)) = required.split_once('.') else {
            return false;
        };
        !label.is_empty() && label != "*" && rest.contains('.') && self.0.contains(&format!("*.{rest}"))
    }
}

/// Case does not matter, and a trailing dot only marks a name as absolute.
fn comparable(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::Covering;

    fn covers(covering: &str, required: &str) -> bool {
        Covering::of([covering].into_iter()).covers(required)
    }

    #[test]
    fn covering_follows_the_rules() {
        let covered = [
            ("a.ns.svc", "a.ns.svc"),
            ("A.ns.SVC", "a.NS.svc"),
            ("a.ns.svc.", "a.ns.svc"),
            ("*.ns.svc", "a.ns.svc"),
            ("*.ns.svc", "*.ns.svc"),
            ("localhost", "localhost"),
        ];
        for (covering, required) in covered {
            assert!(covers(covering, required), "{covering} covers {required}");
        }
        let uncovered = [
            ("*.ns.svc", "ns.svc"),
            ("*.ns.svc", "a.b.ns.svc"),
            ("*.ns.svc", ".ns.svc"),
            ("*.svc", "a.svc"),
            ("*", "localhost"),
            ("a*.ns.svc", "ab.ns.svc"),
            ("a.ns.svc", "*.ns.svc"),
            ("*.svc.local", "*.ns.svc.local"),
            ("", ""),
            (".", "."),
        ];
        for (covering, required) in uncovered {
            assert!(!covers(covering, required), "{covering} covers {required}");
        }
    }
}
