//! What each certificate of a Pgpool must be good for. Pure.
//!
//! The one home of this rule: ops-manager asks cert-manager for these names and judges by them, the provisioner judges
//! by them when ops-manager is silent. Two homes would let the two judges disagree.

use std::net::{IpAddr, Ipv4Addr};

use kube::ResourceExt;
use tls_bundle::{Required, Role};

use crate::{Alias, Pgpool, names};

#[cfg(test)]
mod tests;

/// The role whose name a client certificate bears: pgpool takes the common name for the login, so one certificate
/// speaks for one role, and that is the superuser that the health check and the exporter log in as.
pub const CLIENT_USER: &str = "postgres";

/// The DNS names that an operator asks for, sorted. The stats Service is named whether or not it exists: switching
/// metrics on must not cost a new certificate, and with it a restart of the pods.
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

/// The addresses that an operator asks for: loopback, for port-forwards and for containers of the same pod.
#[must_use]
pub const fn addresses(alias: Alias) -> &'static [IpAddr] {
    match alias {
        Alias::Server | Alias::MetricsExporter => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        Alias::Client => &[],
    }
}

/// The common name that a login needs; certificates of servers are known by their other names.
#[must_use]
pub const fn login(alias: Alias) -> Option<&'static str> {
    match alias {
        Alias::Server => None,
        Alias::Client | Alias::MetricsExporter => Some(CLIENT_USER),
    }
}

/// What the certificate must be good for, all of it: what an operator asks for and the names that the user adds. What
/// the user adds and is no address cannot be required; ops-manager refuses it.
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

/// Both lists, sorted, nothing twice: the order in which a user writes names must never ask for a new certificate.
#[must_use]
pub fn union<T: Clone + Ord>(ours: &[T], theirs: &[T]) -> Vec<T> {
    let mut all = [ours, theirs].concat();
    all.sort();
    all.dedup();
    all
}
