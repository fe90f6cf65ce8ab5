//! Is one name within one subtree? For each kind of name, as OpenSSL decides it.

use super::Compared;
use crate::general_name::GeneralName;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    Yes,
    No,
    /// The subtree is about another kind of name.
    OtherKind,
    /// The name or the subtree is malformed, or of a kind that OpenSSL does not compare.
    Incomparable,
}

use Within::{Incomparable, No, OtherKind, Yes};

const fn answer(is_within: bool) -> Within {
    if is_within { Yes } else { No }
}

pub(super) fn within(name: &Compared<'_>, base: &GeneralName<'_>) -> Within {
    match (name, base) {
        (Compared::Directory(name), GeneralName::Directory(base)) => {
            answer(name.canonical().starts_with(base.canonical()))
        }
        (Compared::Dns(name), GeneralName::Dns(base)) => dns(name, base),
        (Compared::Mail(name), GeneralName::Mail(base)) => mail(name, base),
        (Compared::Uri(name), GeneralName::Uri(base)) => uri(name, base),
        (Compared::Ip(name), GeneralName::Ip(base)) => ip(name, base),
        (Compared::Other(kind), GeneralName::Other(base)) if kind == base => Incomparable,
        // OpenSSL compares internationalized addresses; here nothing does.
        (Compared::Mailbox, GeneralName::Mail(_))
        | (Compared::X400, GeneralName::X400)
        | (Compared::Registered, GeneralName::Registered) => Incomparable,
        _ => OtherKind,
    }
}

/// Whether `name` ends with `base`, in any case; returns what stands before.
fn before<'n>(name: &'n [u8], base: &[u8]) -> Option<&'n [u8]> {
    let (front, end) = name.split_at_checked(name.len().checked_sub(base.len())?)?;
    end.eq_ignore_ascii_case(base).then_some(front)
}

fn dns(name: &[u8], base: &[u8]) -> Within {
    let Some(front) = before(name, base) else {
        return No;
    };
    // Some CAs write the subtree with a leading dot, which then requires at least one more label.
    answer(base.is_empty() || front.is_empty() || base.starts_with(b".") || front.ends_with(b"."))
}

/// A subtree is an address, a host, or hosts below one with a leading dot.
fn mail(name: &[u8], base: &[u8]) -> Within {
    let Some((local, host)) = at(name) else {
        return Incomparable;
    };
    let Some((base_local, base_host)) = at(base) else {
        if base.starts_with(b".") {
            return answer(before(name, base).is_some_and(|front| !front.is_empty()));
        }
        return answer(host.eq_ignore_ascii_case(base));
    };
    if !base_local.is_empty() {
        if base_local.len() != local.len() {
            return No;
        }
        if base_local.contains(&0) || local.contains(&0) {
            return Incomparable;
        }
        if base_local != local {
            return No;
        }
    }
    answer(host.eq_ignore_ascii_case(base_host))
}

/// Splits a mail address at its last `@`.
fn at(address: &[u8]) -> Option<(&[u8], &[u8])> {
    let place = address.iter().rposition(|byte| *byte == b'@')?;
    let (local, host) = address.split_at_checked(place)?;
    Some((local, host.get(1..)?))
}

/// A subtree is a host, or hosts below one with a leading dot.
fn uri(name: &[u8], base: &[u8]) -> Within {
    let colon = name.iter().position(|byte| *byte == b':');
    let rest = colon.and_then(|colon| name.get(colon..)?.strip_prefix(b"://"));
    let Some(rest) = rest else {
        return Incomparable;
    };
    // The first colon, wherever it stands, ends the host; else the first slash.
    let end = |mark: u8| rest.iter().position(|byte| *byte == mark);
    let host = match end(b':').or_else(|| end(b'/')) {
        Some(end) => rest.get(..end).unwrap_or_default(),
        None => rest,
    };
    if host.is_empty() {
        return Incomparable;
    }
    if base.starts_with(b".") {
        return answer(before(host, base).is_some_and(|front| !front.is_empty()));
    }
    answer(host.eq_ignore_ascii_case(base))
}

/// A subtree is an address followed by a mask of the same length.
fn ip(octets: &[u8], base: &[u8]) -> Within {
    if !matches!(octets.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return Incomparable;
    }
    let Some((network, mask)) = base.split_at_checked(octets.len()) else {
        return No;
    };
    let same = |((octet, network), mask): ((&u8, &u8), &u8)| octet & mask == network & mask;
    answer(mask.len() == octets.len() && octets.iter().zip(network).zip(mask).all(same))
}
