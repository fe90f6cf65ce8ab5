//! Does a certificate cover the name of a host? By the rules of libpq in PostgreSQL 15, which differ from those of
//! OpenSSL: <https://www.postgresql.org/docs/15/libpq-ssl.html>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openssl::nid::Nid;
use openssl::x509::X509Ref;

/// Says why not.
pub(crate) fn covers(certificate: &X509Ref, host: &str) -> Result<(), String> {
    let address: Option<IpAddr> = host.parse().ok();
    let mut uses_common_name = true;
    for name in certificate.subject_alt_names().iter().flatten() {
        if let Some(octets) = name.ipaddress() {
            if address.is_some() {
                uses_common_name = false;
            }
            if is_address(octets, address)? {
                return Ok(());
            }
        } else if let Some(dns) = name.dnsname() {
            if address.is_none() {
                uses_common_name = false;
            }
            if is_name(dns.as_bytes(), host)? {
                return Ok(());
            }
        }
    }
    let mut common_names = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    match common_names.next() {
        Some(name) if uses_common_name && is_name(name.data().as_slice(), host)? => Ok(()),
        _ => Err("does not match host name".to_owned()),
    }
}

fn is_address(octets: &[u8], host: Option<IpAddr>) -> Result<bool, String> {
    let address: IpAddr = match octets.len() {
        4 => <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into()),
        16 => <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into()),
        _ => return Err(format!("contains an address of {} octets", octets.len())),
    }
    .map_err(|_| "contains no address".to_owned())?;
    Ok(host == Some(address))
}

fn is_name(name: &[u8], host: &str) -> Result<bool, String> {
    if name.contains(&0) {
        return Err("contains embedded null".to_owned());
    }
    Ok(name.eq_ignore_ascii_case(host.as_bytes()) || is_below(name, host.as_bytes()))
}

/// Whether a name such as `*.example.com` stands for the host: `*` for exactly one label.
fn is_below(name: &[u8], host: &[u8]) -> bool {
    let Some(parent) = name.strip_prefix(b"*") else {
        return false;
    };
    if !parent.starts_with(b".") || parent.len() < 2 || parent.len() >= host.len() {
        return false;
    }
    let (label, rest) = host.split_at(host.len() - parent.len());
    rest.eq_ignore_ascii_case(parent) && !label.contains(&b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let matches = |name: &str, host: &str| is_name(name.as_bytes(), host).unwrap();
        assert!(matches("*.example.com", "a.EXAMPLE.com"));
        assert!(matches("*.com", "example.com"));
        assert!(matches("10.0.0.1", "10.0.0.1"));
        assert!(!matches("*.example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", ".example.com.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("a.example.com.", "a.example.com"));
        assert!(!matches("*", "localhost"));
        assert!(is_name(b"a\0b", "a").is_err());
    }
}
