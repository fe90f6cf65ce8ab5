//! What cert-manager accepts in a `Certificate`, or can sign a request for: bounds of times, and the form of names. Each as a rule of
//! the API server, and as a function for objects that are older than the rules or that a rule cannot check.
//!
//! cert-manager's own checks: `internal/apis/certmanager/validation/certificate.go` of its repository. It does not check names
//! there: a request with a name that cannot be encoded fails later, and every retry with it.

use std::time::Duration;

use kube::core::Rule as CelRule;

use crate::object::GO_DURATION;
use crate::rules::rule;

/// Limits of cert-manager: <https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateSpec>.
const SHORTEST_TEXT: &str = "1h";
const SHORTEST_RENEWAL_TEXT: &str = "5m";
const LIFETIME_TEXT: &str = "2160h";

/// The shortest `duration` of a certificate.
pub const SHORTEST: Duration = Duration::from_hours(1);
/// The shortest `renewBefore` of a certificate.
pub const SHORTEST_RENEWAL: Duration = Duration::from_mins(5);
/// How long a certificate is valid when the spec does not say.
pub const LIFETIME: Duration = Duration::from_hours(2160);

/// One label of a DNS name. An underscore is not for host names, but certificates may have it.
const LABEL: &str = "[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?";
/// One part of the local part of an address, as in RFC 5322. Certificates can have ASCII only.
const ATOM: &str = "[-A-Za-z0-9!#$%&'*+/=?^_`{|}~]+";

/// What is not a duration is rejected by its pattern: a rule would add a second error.
fn not_a_duration(field: &str) -> String {
    format!("!has(self.{field}) || !self.{field}.matches(r'{GO_DURATION}')")
}

pub(super) fn long_enough() -> CelRule {
    rule(
        format!(
            "{} || duration(self.duration) >= duration('{SHORTEST_TEXT}')",
            not_a_duration("duration")
        ),
        format!("must be {SHORTEST_TEXT} or more, which is the minimum of cert-manager"),
    )
    .field_path(".duration")
}

pub(super) fn renewed_in_time() -> CelRule {
    let valid = format!(
        "duration(has(self.duration) && self.duration.matches(r'{GO_DURATION}') ? self.duration : '{LIFETIME_TEXT}')"
    );
    rule(
        format!(
            "{} || (duration(self.renewBefore) >= duration('{SHORTEST_RENEWAL_TEXT}') && duration(self.renewBefore) < {valid})",
            not_a_duration("renewBefore")
        ),
        format!(
            "must be {SHORTEST_RENEWAL_TEXT} or more, and shorter than duration, which is {LIFETIME_TEXT} when unset"
        ),
    )
    .field_path(".renewBefore")
}

pub(super) fn dns_names() -> CelRule {
    rule(
        format!("self.all(n, n.matches(r'^([*][.])?{LABEL}([.]{LABEL})*$'))"),
        "must be DNS names, such as db.example.org or *.example.org: use letters, digits and -, in parts of at most 63 \
         characters, and put addresses into ipAddresses",
    )
}

/// Whether the text is an IP address is for the operator: no rule of all supported versions of Kubernetes can tell.
pub(super) fn ip_addresses() -> CelRule {
    rule(
        "self.all(i, i.matches(r'^[0-9A-Fa-f:.]+$'))",
        "must be IP addresses, such as 10.0.0.7: put names into dnsNames",
    )
}

pub(super) fn uris() -> CelRule {
    rule(
        "self.all(u, u.matches(r'^[A-Za-z][-A-Za-z0-9+.]*:[!-~]+$') && isURL(u))",
        "must be URIs with a scheme, such as spiffe://example.org/pool: escape spaces and other characters with %",
    )
}

pub(super) fn email_addresses() -> CelRule {
    // In double quotes, since an address may have a single one.
    rule(
        format!("self.all(e, e.matches(r\"^{ATOM}([.]{ATOM})*@{LABEL}([.]{LABEL})*$\"))"),
        "must be e-mail addresses alone, such as dba@example.org: leave out names, quotes and <>",
    )
}

/// Whether a certificate can have this DNS name: a host name, or a wildcard for one label.
#[must_use]
pub fn is_dns_name(text: &str) -> bool {
    is_host(text.strip_prefix("*.").unwrap_or(text))
}

/// Whether a certificate can have this e-mail address.
#[must_use]
pub fn is_email_address(text: &str) -> bool {
    let atom = |atom: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-!#$%&'*+/=?^_`{|}~".contains(c);
        !atom.is_empty() && atom.chars().all(fits)
    };
    let parts = text.split_once('@');
    parts.is_some_and(|(local, domain)| local.split('.').all(atom) && is_host(domain))
}

/// Whether a certificate can have this URI: absolute, in ASCII, and with a host that can be read.
#[must_use]
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let has_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(in_scheme);
    let is_printable = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic());
    has_scheme && is_printable && is_escaped(rest) && rest.strip_prefix("//").is_none_or(has_authority)
}

/// Every percent sign begins an escape.
fn is_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.chars().take(2).filter(char::is_ascii_hexdigit);
        digits.count() == 2
    })
}

/// `[user@]host[:port]`, and after it anything. The host may be empty, as in `file:///a`.
fn has_authority(text: &str) -> bool {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    (name.is_empty() && host.is_empty() || is_host(name)) && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

fn is_host(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.starts_with(edge)
            && label.ends_with(edge)
            && label.chars().all(|c| edge(c) || c == '-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests;
