//! Which certificates a Pgpool needs, what each is required to be valid for, and whether it may be requested now. Pure:
//! no later step reads the spec of the certificates.
//!
//! A refusal holds back new requests only. What a Secret holds already is verified all the same, so that a deleted issuer
//! does not make the certificates of a running pool unready.

mod fields;
mod guarded_fields;
mod preconditions;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use shared_types::pgpool::{CertificateSpec, KeyAlgorithm, KeyEncoding, KeyRotation, Subject};
use shared_types::{Alias, Pgpool, certificates, names};
use tls_bundle::Required;

pub(crate) use preconditions::place_of;
pub(crate) use refusal::Refusal;

use super::observe::Observed;
use crate::cert_manager::IssuerReference;

/// The certificates that a Pgpool with TLS needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Validated {
    /// What every Certificate has in common.
    pub(crate) parent: Parent,
    /// One of each alias, in the order of [`Alias::ALL`].
    pub(crate) wanted: Vec<Wanted>,
}

/// The Pgpool as its Certificates see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parent {
    pub(crate) namespace: String,
    /// Makes it the controller of its Certificates.
    pub(crate) owner: OwnerReference,
    /// Of every Certificate and its Secret.
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) alias: Alias,
    /// Name of the Certificate.
    pub(crate) certificate: String,
    /// Name of the Secret.
    pub(crate) secret: String,
    /// `None` if the spec names none.
    pub(crate) issuer: Option<IssuerReference>,
    /// All that the certificate is required to be valid for.
    pub(crate) required: Vec<Required>,
    /// What to request, or why nothing is requested.
    pub(crate) order: Result<Order, Refusal>,
    /// Set if someone else holds the name of the Secret: then its content is not verified.
    pub(crate) contested: Option<Refusal>,
}

/// What is requested from cert-manager, names of objects aside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) issuer: IssuerReference,
    /// `None` if every name would be too long.
    pub(crate) common_name: Option<String>,
    pub(crate) subject: Option<Subject>,
    pub(crate) names: Names,
    /// As cert-manager names key usages.
    pub(crate) usages: &'static [&'static str],
    /// A Go duration.
    pub(crate) duration: Option<String>,
    /// A Go duration.
    pub(crate) renew_before: Option<String>,
    pub(crate) key: Key,
}

/// The private key to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) algorithm: KeyAlgorithm,
    /// In bits; `None` for an algorithm with one size.
    pub(crate) size: Option<i32>,
    pub(crate) encoding: KeyEncoding,
    pub(crate) rotation: KeyRotation,
}

/// Subject alternative names, each list sorted and without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) dns: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) uris: Vec<String>,
    pub(crate) emails: Vec<String>,
}

/// Returns `None` for a Pgpool without TLS.
pub(crate) fn validate(pgpool: &Pgpool, observed: &Observed, cluster_domain: &str) -> Option<Validated> {
    if pgpool.spec.tls.is_none() || !pgpool.spec.ssl_mode().enabled() {
        return None;
    }
    Some(Validated {
        parent: Parent {
            namespace: pgpool.namespace().unwrap_or_default(),
            owner: names::owner_reference(pgpool),
            labels: names::offshoot_labels(pgpool),
        },
        wanted: Alias::ALL
            .into_iter()
            .map(|alias| wanted(pgpool, alias, observed, cluster_domain))
            .collect(),
    })
}

fn wanted(pgpool: &Pgpool, alias: Alias, observed: &Observed, cluster_domain: &str) -> Wanted {
    let spec = pgpool.spec.certificate(alias).cloned().unwrap_or_default();
    let dns_names = certificates::dns_names(pgpool, alias, cluster_domain);
    let contested = preconditions::contested(pgpool, alias, observed);
    let order = preconditions::open(pgpool, alias, observed).and_then(|issuer| {
        let names = fields::names(pgpool, alias, &spec, &dns_names)?;
        let order = order(pgpool, alias, &spec, issuer, names, cluster_domain)?;
        preconditions::key_may_change(pgpool, alias, &order.key, observed)?;
        guarded_fields::checked(pgpool, alias, observed)?;
        preconditions::provisioner(pgpool, observed)?;
        preconditions::secret_known(pgpool, alias, observed)?;
        contested.clone().map_or(Ok(order), Err)
    });
    Wanted {
        alias,
        certificate: names::certificate(pgpool, alias),
        secret: names::certificate_secret(pgpool, alias),
        issuer: IssuerReference::of(pgpool, alias),
        required: certificates::required(pgpool, alias, cluster_domain),
        order,
        contested,
    }
}

fn order(
    pgpool: &Pgpool,
    alias: Alias,
    spec: &CertificateSpec,
    issuer: IssuerReference,
    names: Names,
    cluster_domain: &str,
) -> Result<Order, Refusal> {
    let lifetime = fields::lifetime(alias, spec)?;
    Ok(Order {
        issuer,
        common_name: common_name(pgpool, alias, &names.dns, cluster_domain),
        subject: spec
            .subject
            .clone()
            .filter(|subject| *subject != Subject::default()),
        names,
        usages: usages(alias),
        duration: lifetime.duration,
        renew_before: lifetime.renew_before,
        key: fields::key(alias, spec)?,
    })
}

fn common_name(pgpool: &Pgpool, alias: Alias, dns_names: &[String], cluster_domain: &str) -> Option<String> {
    match alias {
        Alias::Server => certificates::server_common_name(pgpool, dns_names, cluster_domain),
        Alias::Client | Alias::MetricsExporter => {
            let name = certificates::login(pgpool, alias).unwrap_or(certificates::NO_ROLE);
            Some(name.to_owned())
        }
    }
}

fn usages(alias: Alias) -> &'static [&'static str] {
    match alias {
        Alias::Server => &["digital signature", "key encipherment", "server auth"],
        Alias::Client => &["digital signature", "key encipherment", "client auth"],
        // The exporter logs in to the pool with it, and serves its metrics with it.
        Alias::MetricsExporter => &[
            "digital signature",
            "key encipherment",
            "client auth",
            "server auth",
        ],
    }
}
