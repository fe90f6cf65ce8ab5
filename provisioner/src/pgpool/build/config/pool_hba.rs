//! `pool_hba.conf`: which clients may connect, and how they authenticate.
//!
//! No `trust` and no exception for loopback: port-forwards and sidecars connect from there. The rules follow from `sslMode`
//! and `clientAuthMode` alone; pgpool cannot distinguish `require`, `verify-ca` and `verify-full`.

use shared_types::{ClientAuthMode, SslMode};

/// The method of rules for clients with certificates.
const CERT: &str = "cert";

/// Two lines, since an IPv4 range does not cover IPv6.
pub(in crate::pgpool::build) fn render(ssl_mode: SslMode, auth: ClientAuthMode) -> String {
    // A client certificate can only be presented over TLS, even where TLS is optional otherwise.
    let record = if ssl_mode.requires_tls() || auth == ClientAuthMode::Cert {
        "hostssl"
    } else {
        "host"
    };
    let method = match auth {
        ClientAuthMode::Md5 => "md5",
        ClientAuthMode::Scram => "scram-sha-256",
        ClientAuthMode::Cert => CERT,
    };
    let ranges = ["0.0.0.0/0", "::/0"];
    ranges
        .map(|range| format!("{record}  all  all  {range}  {method}\n"))
        .concat()
}

/// Whether clients log in by certificate with these rules.
pub(in crate::pgpool::build) fn demands_certificates(rules: &str) -> bool {
    rules
        .lines()
        .any(|rule| rule.split_whitespace().next_back() == Some(CERT))
}
