//! Name constraints: a CA may permit or exclude names of the leaf certificates below it, and every client enforces that.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree};

use crate::names::{dns_names, ip_addresses};

/// Returns the first name of the leaf certificate that the CA does not permit.
pub(crate) fn forbidden(ca: &X509Certificate<'_>, leaf: &X509Certificate<'_>) -> Option<String> {
    let constraints = ca.name_constraints().ok().flatten()?.value;
    let permitted = constraints.permitted_subtrees.as_deref().unwrap_or_default();
    let excluded = constraints.excluded_subtrees.as_deref().unwrap_or_default();
    let mut names = dns_names(leaf);
    let name = names.find(|name| !allowed(permitted, excluded, |base| dns_within(base, name)));
    let mut addresses = ip_addresses(leaf);
    name.map(str::to_owned).or_else(|| {
        let address = addresses.find(|ip| !allowed(permitted, excluded, |base| ip_within(base, *ip)));
        address.map(|ip| ip.to_string())
    })
}

/// `within` returns `None` for a subtree of another kind of name, which does not constrain this name.
fn allowed(
    permitted: &[GeneralSubtree<'_>],
    excluded: &[GeneralSubtree<'_>],
    within: impl Fn(&GeneralName<'_>) -> Option<bool>,
) -> bool {
    if excluded.iter().any(|subtree| within(&subtree.base) == Some(true)) {
        return false;
    }
    let mut applicable = permitted
        .iter()
        .filter_map(|subtree| within(&subtree.base))
        .peekable();
    applicable.peek().is_none() || applicable.any(|inside| inside)
}

fn dns_within(base: &GeneralName<'_>, name: &str) -> Option<bool> {
    let GeneralName::DNSName(base) = base else {
        return None;
    };
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    // Some CAs write the subtree with a leading dot, which then requires at least one more label.
    Some(match name.strip_suffix(base.as_str()) {
        Some("") => true,
        Some(front) => base.is_empty() || base.starts_with('.') || front.ends_with('.'),
        None => false,
    })
}

/// An address subtree is an address followed by a mask of the same length.
fn ip_within(base: &GeneralName<'_>, ip: IpAddr) -> Option<bool> {
    let GeneralName::IPAddress(base) = base else {
        return None;
    };
    let octets = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    if base.len() != octets.len().saturating_mul(2) {
        // A subtree of the other family permits nothing of this one, and excludes nothing.
        return Some(false);
    }
    let (network, mask) = base.split_at(octets.len());
    let masked = octets.iter().zip(mask).map(|(octet, mask)| octet & mask);
    Some(masked.eq(network.iter().zip(mask).map(|(octet, mask)| octet & mask)))
}
