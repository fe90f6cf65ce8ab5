//! What each certificate of a Pgpool must be valid for. Pure.
//!
//! Both operators use it, so that they cannot disagree: ops-manager requests certificates with these names and verifies
//! them, and the provisioner verifies them if ops-manager does not answer.

use std::net::{IpAddr, Ipv4Addr};

use kube::ResourceExt;
use tls_bundle::{Required, Role};

use crate::{Alias, Pgpool, names};

#[cfg(test)]
mod tests;

/// The PostgreSQL role in the client certificate. pgpool uses the common name as the login, so a certificate is valid for
/// one role: the superuser that the health check and the exporter log in as.
pub const CLIENT_USER: &str = "postgres";

/// The DNS names that the operator requests, sorted. Always include the stats Service: enabling metrics must not require a
/// new certificate, and with it a restart of the pods.
#[must_use]
pub fn dns_names(pgpool: &Pgpool, alias: Alias, cluster_domain: &str) -> Vec<String> {
    let namespace = pgpool.namespace().unwrap_or_default();
    let stats = names::stats_service(pgpool);
    match alias {
        Alias::Server => names::server_dns_names(
            &names::primary_service(pgpool),
            &namespace,
            &[stats],
            &names::governing_service(pgpool),
            cluster_domain,
        ),
        Alias::Client => Vec::new(),
        Alias::MetricsExporter => {
            let mut names = vec![
                "localhost".to_owned(),
                format!("{stats}.{namespace}"),
                format!("{stats}.{namespace}.svc"),
                format!("{stats}.{namespace}.svc.{cluster_domain}"),
                stats,
            ];
            names.sort();
            names
        }
    }
}

/// The IP addresses that the operator requests: loopback, for port-forwards and containers of the same pod.
#[must_use]
pub const fn addresses(alias: Alias) -> &'static [IpAddr] {
    match alias {
        Alias::Server | Alias::MetricsExporter => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        Alias::Client => &[],
    }
}

/// The common name that a login needs. Server certificates have none.
#[must_use]
pub const fn login(alias: Alias) -> Option<&'static str> {
    match alias {
        Alias::Server => None,
        Alias::Client | Alias::MetricsExporter => Some(CLIENT_USER),
    }
}

/// Everything the certificate must be valid for: what the operator requests, and the names that the user adds. An added IP
/// address that cannot be parsed is not required; ops-manager rejects it.
#[must_use]
pub fn required(pgpool: &Pgpool, alias: Alias, cluster_domain: &str) -> Vec<Required> {
    let asked = pgpool.spec.certificate(alias).cloned().unwrap_or_default();
    let client = login(alias).map(|user| Required {
        role: Role::Client,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        common_name: Some(user.to_owned()),
    });
    let serves = alias != Alias::Client;
    let server = serves.then(|| {
        let added: Vec<_> = asked
            .ip_addresses
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect();
        Required {
            role: Role::Server,
            dns_names: union(&dns_names(pgpool, alias, cluster_domain), &asked.dns_names),
            ip_addresses: union(addresses(alias), &added),
            common_name: None,
        }
    });
    client.into_iter().chain(server).collect()
}

/// The union of both lists, sorted, without duplicates: the order in which a user writes names must not require a new
/// certificate.
#[must_use]
pub fn union<T: Clone + Ord>(ours: &[T], theirs: &[T]) -> Vec<T> {
    let mut all = [ours, theirs].concat();
    all.sort();
    all.dedup();
    all
}
