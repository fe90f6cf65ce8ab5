//! The names that the operator requests, by `spec.tls.names`, and the one by which the server is verified.

use std::net::{IpAddr, Ipv4Addr};

use kube::ResourceExt;

use super::EXPORTER_HOST;
use crate::pgpool::CertificateNames;
use crate::{Alias, Pgpool, names};

/// X.509 allows no longer common name, in bytes (`ub-common-name` of RFC 5280).
const MAX_COMMON_NAME: usize = 64;

/// The DNS names that the operator requests beside those of the user, sorted. The full set always includes the stats Service:
/// enabling metrics must not require a new certificate, and with it a restart of the pods.
#[must_use]
pub fn dns_names(pgpool: &Pgpool, alias: Alias, cluster_domain: &str) -> Vec<String> {
    use CertificateNames::{Full, Own, Service};
    let namespace = pgpool.namespace().unwrap_or_default();
    let full = |service: &str| format!("{service}.{namespace}.svc.{cluster_domain}");
    let stats = names::stats_service(pgpool);
    match (alias, pgpool.spec.certificate_names()) {
        (Alias::Client, _) | (_, Own) => Vec::new(),
        (Alias::Server, Service) => vec![full(&names::primary_service(pgpool))],
        (Alias::MetricsExporter, Service) => vec![full(&stats)],
        (Alias::Server, Full) => names::server_dns_names(
            &names::primary_service(pgpool),
            &namespace,
            &[stats],
            &names::governing_service(pgpool),
            cluster_domain,
        ),
        (Alias::MetricsExporter, Full) => {
            let mut names = vec![
                EXPORTER_HOST.to_owned(),
                format!("{stats}.{namespace}"),
                format!("{stats}.{namespace}.svc"),
                full(&stats),
                stats,
            ];
            names.sort();
            names
        }
    }
}

/// The IP addresses that the operator requests: loopback, for port-forwards and containers of the same pod.
#[must_use]
pub fn addresses(pgpool: &Pgpool, alias: Alias) -> &'static [IpAddr] {
    match (alias, pgpool.spec.certificate_names()) {
        (Alias::Server | Alias::MetricsExporter, CertificateNames::Full) => {
            &[IpAddr::V4(Ipv4Addr::LOCALHOST)]
        }
        _ => &[],
    }
}

/// A host name or address that the server certificate is valid for: that of the Service if it can be, else one of the user.
/// Clients that verify the name connect to it.
#[must_use]
pub fn host(pgpool: &Pgpool, cluster_domain: &str) -> String {
    let service = names::primary_service(pgpool);
    let short = format!("{service}.{}.svc", pgpool.namespace().unwrap_or_default());
    let full = format!("{short}.{cluster_domain}");
    match pgpool.spec.certificate_names() {
        CertificateNames::Full => short,
        CertificateNames::Service => full,
        CertificateNames::Own => {
            let own = pgpool
                .spec
                .certificate(Alias::Server)
                .cloned()
                .unwrap_or_default();
            // The order in which a user writes names must not require a new certificate.
            let names = super::union(&own.dns_names, &[]);
            let named = |name: &&String| names.contains(*name);
            let concrete = || names.iter().find(|name| !name.starts_with('*'));
            let any = || names.first().map(|name| name.replacen('*', &service, 1));
            let address = || own.ip_addresses.iter().find_map(|text| super::address(text));
            let found = [&short, &full].into_iter().find(named).or_else(concrete).cloned();
            let found = found
                .or_else(any)
                .or_else(|| address().map(|address| address.to_string()));
            found.unwrap_or(short)
        }
    }
}

/// The common name of the server certificate. Always one of its DNS names, since ACME and other issuers refuse another; `None`
/// if none of them can be one.
#[must_use]
pub fn server_common_name(pgpool: &Pgpool, requested: &[String], cluster_domain: &str) -> Option<String> {
    let host = host(pgpool, cluster_domain);
    let first = requested.iter().filter(|name| **name == host).chain(requested);
    // Without a dot it could be the name of a role, and this certificate lets nobody in.
    let mut short = first.filter(|name| name.len() <= MAX_COMMON_NAME && name.contains('.'));
    match pgpool.spec.certificate_names() {
        // Another name would be issued again for every pool that has none now.
        CertificateNames::Full => Some(host).filter(|host| host.len() <= MAX_COMMON_NAME),
        CertificateNames::Service | CertificateNames::Own => short.next().cloned(),
    }
}
