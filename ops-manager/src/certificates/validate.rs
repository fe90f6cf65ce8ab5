//! Decides which certificates one Pgpool needs, what each must be good for, and whether it may be asked for now.
//! Pure: after this step nobody reads the raw spec.
//!
//! A refusal holds back new requests only. What stands in a Secret already is judged all the same, so that an
//! issuer that vanishes does not take the word from a pool that runs.

mod gates;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use shared_types::pgpool::{CertificateSpec, KeyEncoding, Subject};
use shared_types::{Alias, Pgpool, certificates, names};
use tls_bundle::Required;

pub(crate) use gates::place_of;
pub(crate) use refusal::Refusal;

use super::observe::{self, Observed};
use crate::cert_manager::IssuerReference;

/// X.509 allows no longer common name.
const MAX_COMMON_NAME: usize = 64;

/// What is to become of the certificates of a Pgpool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    /// It does not ask for TLS.
    NotNeeded,
    /// It asks for TLS.
    Needed(Needed),
}

/// The certificates that a Pgpool needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Needed {
    /// What every Certificate has in common.
    pub(crate) parent: Parent,
    /// One of each alias, in the order of [`Alias::ALL`].
    pub(crate) wanted: Vec<Wanted>,
}

/// The Pgpool as its Certificates see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parent {
    /// Its namespace.
    pub(crate) namespace: String,
    /// The reference by which it controls its Certificates.
    pub(crate) owner: OwnerReference,
    /// Labels of every Certificate and of its Secret.
    pub(crate) labels: BTreeMap<String, String>,
}

/// One certificate that is needed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// Which.
    pub(crate) alias: Alias,
    /// The name of the Certificate.
    pub(crate) certificate: String,
    /// The name of the Secret.
    pub(crate) secret: String,
    /// The issuer, where the spec names one.
    pub(crate) issuer: Option<IssuerReference>,
    /// What the certificate must be good for; all of it.
    pub(crate) required: Vec<Required>,
    /// What to ask for, or why not to ask.
    pub(crate) order: Result<Order, Refusal>,
    /// Why the Secret is not ours to judge: somebody else holds its name.
    pub(crate) contested: Option<Refusal>,
}

/// What cert-manager is asked for, beyond names of objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    /// Who issues.
    pub(crate) issuer: IssuerReference,
    /// The common name, where one fits.
    pub(crate) common_name: Option<String>,
    /// The rest of the subject.
    pub(crate) subject: Option<Subject>,
    /// Subject alternative names, each list sorted and without doubles.
    pub(crate) names: Names,
    /// Key usages, in cert-manager's words.
    pub(crate) usages: &'static [&'static str],
    /// Validity, as a Go duration.
    pub(crate) duration: Option<String>,
    /// Time before its end at which it is renewed, as a Go duration.
    pub(crate) renew_before: Option<String>,
    /// Form of the private key.
    pub(crate) encoding: KeyEncoding,
}

/// Subject alternative names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// DNS names.
    pub(crate) dns: Vec<String>,
    /// Addresses.
    pub(crate) ips: Vec<IpAddr>,
    /// URIs.
    pub(crate) uris: Vec<String>,
    /// Mail addresses.
    pub(crate) emails: Vec<String>,
}

/// Decides about the certificates of `pgpool`.
pub(crate) fn validate(pgpool: &Pgpool, observed: &Observed, cluster_domain: &str) -> Plan {
    if pgpool.spec.tls.is_none() || !pgpool.spec.ssl_mode().enabled() {
        return Plan::NotNeeded;
    }
    Plan::Needed(Needed {
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
    let asked = pgpool.spec.certificate(alias).cloned().unwrap_or_default();
    let dns_names = certificates::dns_names(pgpool, alias, cluster_domain);
    let contested = gates::contested(pgpool, alias, observed);
    let order = gates::open(pgpool, alias, observed).and_then(|issuer| {
        let names = subject_names(alias, &asked, &dns_names)?;
        let order = order(pgpool, alias, &asked, issuer, names)?;
        gates::provisioner(pgpool, observed)?;
        gates::secret_known(pgpool, alias, observed)?;
        contested.clone().map_or(Ok(order), Err)
    });
    Wanted {
        alias,
        certificate: names::certificate(pgpool, alias),
        secret: names::certificate_secret(pgpool, alias),
        issuer: observe::issuer_reference(pgpool, alias),
        required: certificates::required(pgpool, alias, cluster_domain),
        order,
        contested,
    }
}

fn order(
    pgpool: &Pgpool,
    alias: Alias,
    asked: &CertificateSpec,
    issuer: IssuerReference,
    names: Names,
) -> Result<Order, Refusal> {
    Ok(Order {
        issuer,
        common_name: common_name(pgpool, alias),
        subject: asked
            .subject
            .clone()
            .filter(|subject| *subject != Subject::default()),
        names,
        usages: usages(alias),
        duration: gates::duration(alias, "duration", asked.duration.as_ref())?,
        renew_before: gates::duration(alias, "renewBefore", asked.renew_before.as_ref())?,
        encoding: asked
            .private_key
            .clone()
            .unwrap_or_default()
            .encoding
            .unwrap_or_default(),
    })
}

fn common_name(pgpool: &Pgpool, alias: Alias) -> Option<String> {
    match alias {
        Alias::Server => {
            let service = names::primary_service(pgpool);
            let name = format!("{service}.{}.svc", pgpool.namespace().unwrap_or_default());
            (name.len() <= MAX_COMMON_NAME).then_some(name)
        }
        Alias::Client | Alias::MetricsExporter => certificates::login(alias).map(str::to_owned),
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

fn subject_names(alias: Alias, asked: &CertificateSpec, ours: &[String]) -> Result<Names, Refusal> {
    Ok(Names {
        dns: certificates::union(ours, &asked.dns_names),
        ips: certificates::union(
            certificates::addresses(alias),
            &gates::addresses(alias, &asked.ip_addresses)?,
        ),
        uris: certificates::union(&[], &asked.uris),
        emails: certificates::union(&[], &asked.email_addresses),
    })
}
