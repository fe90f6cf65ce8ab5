//! Name constraints: a CA may permit or exclude names of the leaf certificates below it, and every client enforces that.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree};

use crate::names::{dns_names, ip_addresses};

/// The result of a check.
pub(crate) enum Constraints {
    Met,
    /// The first name of the leaf certificate that the CA does not permit.
    Forbid(String),
    /// There are more names and constraints than `budget` allows to compare.
    TooMany,
}

/// Checks the names of the leaf certificate against the constraints of the CA. Takes from `budget` one for each comparison.
pub(crate) fn check(ca: &X509Certificate<'_>, leaf: &X509Certificate<'_>, budget: &mut usize) -> Constraints {
    let Some(constraints) = ca.name_constraints().ok().flatten() else {
        return Constraints::Met;
    };
    let permitted = constraints.value.permitted_subtrees.as_deref();
    let excluded = constraints.value.excluded_subtrees.as_deref();
    let (permitted, excluded) = (permitted.unwrap_or_default(), excluded.unwrap_or_default());
    let names = dns_names(leaf).count().saturating_add(ip_addresses(leaf).count());
    let subtrees = permitted.len().saturating_add(excluded.len());
    match budget.checked_sub(names.saturating_mul(subtrees)) {
        Some(left) => *budget = left,
        None => return Constraints::TooMany,
    }
    let mut names = dns_names(leaf);
    let name = names.find(|name| !allowed(permitted, excluded, |base| dns_within(base, name)));
    let mut addresses = ip_addresses(leaf);
    let forbidden = name.map(str::to_owned).or_else(|| {
        let address = addresses.find(|ip| !allowed(permitted, excluded, |base| ip_within(base, *ip)));
        address.map(|ip| ip.to_string())
    });
    forbidden.map_or(Constraints::Met, Constraints::Forbid)
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
    let Some((front, end)) = name
        .len()
        .checked_sub(base.len())
        .and_then(|at| name.as_bytes().split_at_checked(at))
    else {
        return Some(false);
    };
    // Some CAs write the subtree with a leading dot, which then requires at least one more label.
    Some(
        end.eq_ignore_ascii_case(base.as_bytes())
            && (front.is_empty() || base.is_empty() || base.starts_with('.') || front.ends_with(b".")),
    )
}

/// An address subtree is an address followed by a mask of the same length.
fn ip_within(base: &GeneralName<'_>, ip: IpAddr) -> Option<bool> {
    let GeneralName::IPAddress(base) = base else {
        return None;
    };
    // A subtree of the other family permits nothing of this one, and excludes nothing.
    Some(match ip {
        IpAddr::V4(ip) => masked(base, &ip.octets()),
        IpAddr::V6(ip) => masked(base, &ip.octets()),
    })
}

fn masked(base: &[u8], octets: &[u8]) -> bool {
    let (network, mask) = base.split_at_checked(octets.len()).unwrap_or_default();
    let same = |((octet, network), mask): ((&u8, &u8), &u8)| octet & mask == network & mask;
    mask.len() == octets.len() && octets.iter().zip(network).zip(mask).all(same)
}
