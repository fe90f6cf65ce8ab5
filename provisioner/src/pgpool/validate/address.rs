//! Host names and URLs of PostgreSQL, as far as `pgpool.conf` can contain them.

use shared_types::ports;

/// Where a PostgreSQL listens, and the options in its address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Everything after the question mark.
    pub(crate) query: String,
}

/// Parses a URL such as `postgresql://db.example.com:5432/postgres?sslmode=require`.
pub(super) fn from_url(url: &str) -> Option<Address> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest.split('/').next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = host_and_port(place)?;
    is_host(&host).then(|| Address {
        host,
        port,
        query: query.to_owned(),
    })
}

fn host_and_port(place: &str) -> Option<(String, u16)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        let port = match tail.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if tail.is_empty() => ports::POSTGRES,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    match place.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((place.to_owned(), ports::POSTGRES)),
    }
}

/// A DNS name or an IP address: nothing that needs quoting, and no socket directory.
pub(super) fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !host.is_empty() && host.len() <= 253 && host.chars().all(allowed)
}

/// The value of `sslmode` in a query.
pub(super) fn ssl_mode(query: &str) -> Option<&str> {
    query
        .split('&')
        .find_map(|pair| pair.trim().strip_prefix("sslmode="))
}
