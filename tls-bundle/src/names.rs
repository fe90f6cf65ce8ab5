//! Which names a certificate covers, by the rules that OpenSSL and rustls share: only subject alternative names
//! count; a wildcard matches exactly one whole label at the left and needs two more labels.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::{Failure, Required};

/// Returns the required names that are not covered.
pub(crate) fn missing(leaf: &X509Certificate<'_>, required: &Required) -> Option<Failure> {
    let names = required.dns_names.iter();
    let names = names.filter(|name| !dns_names(leaf).any(|covering| covers(covering, name)));
    let addresses = required.ip_addresses.iter();
    let addresses = addresses.filter(|address| !ip_addresses(leaf).any(|ip| ip == **address));
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

/// Returns whether the name of a certificate covers a required name. A required wildcard is covered only by the same
/// wildcard.
pub(crate) fn covers(covering: &str, required: &str) -> bool {
    let (covering, required) = (without_dot(covering), without_dot(required));
    if covering.eq_ignore_ascii_case(required) {
        return !required.is_empty();
    }
    let Some(parent) = covering.strip_prefix("*.") else {
        return false;
    };
    let Some((label, rest)) = required.split_once('.') else {
        return false;
    };
    parent.contains('.') && !label.is_empty() && label != "*" && parent.eq_ignore_ascii_case(rest)
}

/// A trailing dot only marks a name as absolute.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::covers;

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
