//! The requirements that each certificate of a Pgpool must meet. Pure.
//!
//! Both operators use it, so that they cannot disagree: ops-manager requests certificates with these names and verifies
//! them, and the provisioner verifies them if ops-manager does not answer.

use std::net::IpAddr;

use kube::ResourceExt;
use tls_bundle::{Required, Role};

use crate::pgpool::IssuerRef;
use crate::{Alias, ClientAuthMode, Pgpool, names};

mod requested;
#[cfg(test)]
mod tests;

pub use requested::{addresses, dns_names, host, server_common_name};

/// The PostgreSQL role in the client certificate while clients log in by certificate. pgpool uses the common name as the
/// login, so a certificate is valid for one role: the superuser that the health check and the exporter log in as.
pub const CLIENT_USER: &str = "postgres";

/// The common name of certificates that must not log in anywhere. PostgreSQL reserves role names that begin with `pg_`:
/// <https://www.postgresql.org/docs/current/sql-createrole.html>.
pub const NO_ROLE: &str = "pg_pgpool_not_a_role";

/// Where the exporter of metrics connects to the pgpool of its pod.
pub const EXPORTER_HOST: &str = "localhost";

/// The certificates that are shown to the pool.
pub const LOGINS: [Alias; 2] = [Alias::Client, Alias::MetricsExporter];

/// What [`names::ANNOTATION_SHARED_CLIENT_ISSUER`] has to say.
pub const ACCEPTED_DANGER: &str = "everyone-who-gets-a-certificate-from-this-issuer-can-log-in-as-postgres";

/// The common name that a login needs; `None` where no login is by certificate.
#[must_use]
pub fn login(pgpool: &Pgpool, alias: Alias) -> Option<&'static str> {
    (logs_in_by_certificate(pgpool) && LOGINS.contains(&alias)).then_some(CLIENT_USER)
}

/// Whether clients log in by certificate.
#[must_use]
pub fn logs_in_by_certificate(pgpool: &Pgpool) -> bool {
    pgpool.spec.client_auth_mode() == ClientAuthMode::Cert && pgpool.spec.ssl_mode().enabled()
}

/// Whether the issuer of the server certificate also issues a certificate that is shown to the pool. Otherwise its CA says
/// nothing about clients.
#[must_use]
pub fn server_issuer_signs_clients(pgpool: &Pgpool) -> bool {
    let issuer = |alias| pgpool.spec.issuer_ref(alias);
    let server = issuer(Alias::Server);
    let mut clients = LOGINS.iter().filter_map(|alias| issuer(*alias));
    server.is_some_and(|server| clients.any(|client| client.is_same(server)))
}

/// Whether the pool verifies clients with the CA of a certificate. Then that CA must be enough to do so; otherwise only those
/// who verify the pool need it, and may have it from elsewhere.
#[must_use]
pub fn lets_clients_in(pgpool: &Pgpool, alias: Alias) -> bool {
    logs_in_by_certificate(pgpool) && (LOGINS.contains(&alias) || server_issuer_signs_clients(pgpool))
}

/// The first certificate that is shown to the pool and whose issuer may serve other namespaces.
#[must_use]
pub fn shared_client_issuer(pgpool: &Pgpool) -> Option<(Alias, &IssuerRef)> {
    let mut issuers = LOGINS
        .iter()
        .filter_map(|alias| Some((*alias, pgpool.spec.issuer_ref(*alias)?)));
    issuers.find(|(_, issuer)| !issuer.is_of_one_namespace())
}

/// Whether the user says that other users of the issuer may log in.
#[must_use]
pub fn accepts_shared_client_issuer(pgpool: &Pgpool) -> bool {
    let annotation = pgpool.annotations().get(names::ANNOTATION_SHARED_CLIENT_ISSUER);
    annotation.is_some_and(|value| value == ACCEPTED_DANGER)
}

/// Why clients may not begin to log in by certificates of an issuer that may serve other namespaces, and what to do.
#[must_use]
pub fn shared_issuer_refused(alias: Alias, issuer: &IssuerRef) -> String {
    let IssuerRef { kind, name, .. } = issuer;
    let scope = if issuer.is_of_every_namespace() {
        "serves every namespace"
    } else {
        "may serve other namespaces"
    };
    format!(
        "{kind} {name}, which issues the {alias} certificate, {scope}: with clientAuthMode cert, everyone who gets a \
         certificate from it could log in as {CLIENT_USER}; {}",
        how_to_fix()
    )
}

/// What to do about a CA of clients that others use, for messages.
#[must_use]
pub fn how_to_fix() -> String {
    format!(
        "name an Issuer of this namespace with a CA of its own for the client and metrics-exporter certificates in \
         spec.tls.certificates, or accept the danger with the annotation {}: {ACCEPTED_DANGER}",
        names::ANNOTATION_SHARED_CLIENT_ISSUER
    )
}

/// Everything the certificate must be valid for: what the operator requests, and the names that the user adds. An added IP
/// address that cannot be parsed is not required; ops-manager rejects it.
#[must_use]
pub fn required(pgpool: &Pgpool, alias: Alias, cluster_domain: &str) -> Vec<Required> {
    let asked = pgpool.spec.certificate(alias).cloned().unwrap_or_default();
    let ca_required = lets_clients_in(pgpool, alias);
    let client = LOGINS.contains(&alias).then(|| Required {
        role: Role::Client,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        // Without logins by certificate any name will do: a user may have more uses for the certificate.
        common_name: login(pgpool, alias).map(str::to_owned),
        ca_required,
    });
    let serves = alias != Alias::Client;
    let server = serves.then(|| {
        let added: Vec<_> = asked
            .ip_addresses
            .iter()
            .filter_map(|text| address(text))
            .collect();
        Required {
            role: Role::Server,
            dns_names: union(&dns_names(pgpool, alias, cluster_domain), &asked.dns_names),
            ip_addresses: union(addresses(pgpool, alias), &added),
            common_name: None,
            ca_required,
        }
    });
    client.into_iter().chain(server).collect()
}

/// An IP address as it appears in a certificate, which has no form for an IPv4 address inside an IPv6 address.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
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
