//! Reads from the caches everything that the certificates of one Pgpool depend on. The only step that looks anything up;
//! it decides nothing and sends nothing. [`subscribe`] starts the watches that it needs.

mod client_cas;
mod issuer_cas;
mod lookups;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Availability, Lookup};
use shared_types::policies::{self, PolicyState};
use shared_types::{Alias, Pgpool, names};

pub(crate) use issuer_cas::IssuerCa;

use super::pending_writes::{Memory, Recent};
use crate::ca_index::CaUse;
use crate::caches::Caches;
use crate::cert_manager::{self, Certificate, CertificateRequest, IssuerReference};

/// Everything outside the Pgpool that its certificates depend on.
#[derive(Clone)]
pub(crate) struct Observed {
    /// The policy that checks the rights of whoever writes a Pgpool.
    pub(crate) rights: PolicyState,
    /// Whether Certificates can be watched at all.
    pub(crate) cert_manager: Availability,
    /// Every issuer that the spec names.
    pub(crate) issuers: BTreeMap<IssuerReference, IssuerState>,
    /// The CAs behind them, where there is one and it is known.
    pub(crate) issuer_cas: BTreeMap<IssuerReference, IssuerCa>,
    /// What the provisioner creates first.
    pub(crate) prerequisites: Vec<Prerequisite>,
    /// Other Pgpools that name one of our certificate Secrets.
    pub(crate) claims: Vec<Claim>,
    pub(crate) children: BTreeMap<Alias, Child>,
    /// Who else has certificates of the CAs in the Secrets of these certificates; empty unless clients log in by certificate.
    pub(crate) client_cas: BTreeMap<Alias, CaUse>,
    /// What was written and may not be in the caches yet.
    pub(crate) recent: Recent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IssuerState {
    /// Not checked: another group, or a kind that may not be read. The conditions of the Certificate tell.
    Unchecked,
    /// Its kind is not cached yet.
    Starting,
    /// Its kind is not served: cert-manager is not installed.
    KindAbsent,
    Absent,
    Present {
        ready: bool,
        /// Of its condition `Ready`.
        message: String,
        created: Option<Timestamp>,
    },
}

impl Observed {
    /// Adds what was written and is not in the caches yet.
    pub(crate) fn recall(&mut self, memory: &Memory, pgpool: &Pgpool) {
        let mut certificates = Vec::new();
        for (alias, child) in &self.children {
            if child.certificate.is_some() {
                certificates.push(*alias);
            }
        }
        let secrets = self.children.values().filter_map(|child| match &child.secret {
            Lookup::Present(secret) => Some(secret.as_ref()),
            _ => None,
        });
        self.recent = memory.recall(pgpool, &certificates, secrets);
        for (alias, certificate) in &self.recent.created {
            if let Some(child) = self.children.get_mut(alias) {
                child.certificate = Some(Arc::clone(certificate));
            }
        }
    }
}

/// An object that must exist before a certificate is requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prerequisite {
    pub(crate) kind: &'static str,
    /// In the namespace of the Pgpool.
    pub(crate) name: String,
    pub(crate) presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Not known yet.
    Pending,
    Absent,
    /// It may not be read.
    Forbidden,
    /// When it was created.
    Since(Option<Timestamp>),
}

/// Another Pgpool that names a certificate Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) secret: String,
    /// Its name; it is in the same namespace.
    pub(crate) pgpool: String,
    pub(crate) created: Option<Timestamp>,
}

/// The objects of one certificate.
#[derive(Clone)]
pub(crate) struct Child {
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// The newest request, unless the Certificate is ready.
    pub(crate) request: Option<Arc<CertificateRequest>>,
    pub(crate) secret: Lookup<Secret>,
    /// The Certificate that the Secret was issued for, if it has our labels.
    pub(crate) maker: Option<Arc<Certificate>>,
}

impl Default for Child {
    fn default() -> Self {
        Self {
            certificate: None,
            request: None,
            secret: Lookup::Absent,
            maker: None,
        }
    }
}

pub(crate) fn observe(caches: &Caches, pgpool: &Pgpool) -> Observed {
    let wanted = pgpool.spec.tls.is_some() && pgpool.spec.ssl_mode().enabled();
    let issuers = IssuerReference::all_of(pgpool);
    let children = Alias::ALL
        .into_iter()
        .map(|alias| (alias, caches.child(pgpool, alias)))
        .collect();
    Observed {
        rights: caches.policies.state(policies::RIGHTS),
        cert_manager: caches
            .certificates
            .availability_in(&pgpool.namespace().unwrap_or_default()),
        issuers: issuers
            .map(|issuer| (issuer.clone(), caches.issuer(pgpool, &issuer)))
            .collect(),
        issuer_cas: issuer_cas::issuer_cas(caches, pgpool),
        prerequisites: caches.prerequisites(pgpool),
        claims: if wanted { caches.claims(pgpool) } else { Vec::new() },
        client_cas: client_cas::client_cas(caches, pgpool, &children),
        children,
        recent: Recent::default(),
    }
}

/// Watches by name the Secrets that need not have our labels: those that the user named, those that may exist already
/// where no Certificate of ours is written to yet, and the CAs of issuers. A Secret with our labels is cached already.
pub(crate) fn subscribe(caches: &Caches, pgpool: &Pgpool) {
    let namespace = pgpool.namespace().unwrap_or_default();
    let mut named = named_by_user(pgpool);
    named.extend(caches.unclaimed(pgpool));
    named.sort();
    named.dedup();
    named.retain(|name| caches.labeled_secret(pgpool, name).is_none());
    let named: Vec<_> = named.into_iter().map(|name| (namespace.clone(), name)).collect();
    let key = ObjectRef::from_obj(pgpool);
    caches.named_secrets.follow(&key, &named);
    caches
        .issuer_cas
        .follow(&key, &issuer_cas::secrets_to_watch(caches, pgpool));
}

/// The Secrets whose names the user chose and that certificates depend on.
pub(crate) fn named_by_user(pgpool: &Pgpool) -> Vec<String> {
    let certificates = pgpool.spec.tls.iter().flat_map(|tls| &tls.certificates);
    let secrets = certificates.filter_map(|certificate| certificate.secret_name.clone());
    let auth = pgpool.spec.tls.as_ref().and(pgpool.spec.auth_secret.as_ref());
    let mut named: Vec<_> = secrets
        .chain(auth.and_then(|secret| secret.name.clone()))
        .collect();
    named.retain(|name| !name.is_empty());
    named.sort();
    named.dedup();
    named
}

pub(crate) fn writes_to(certificate: Option<&Certificate>, secret: &str) -> bool {
    certificate.is_some_and(|certificate| certificate.spec.secret_name == secret)
}

/// The name of the Certificate that cert-manager issued a Secret for.
pub(crate) fn issued_for(secret: &Lookup<Secret>) -> Option<&str> {
    match secret {
        Lookup::Present(secret) => secret
            .annotations()
            .get(cert_manager::CERTIFICATE_NAME)
            .map(String::as_str),
        _ => None,
    }
}

/// Who wrote the content of a Secret that cert-manager issued, unless cert-manager did.
pub(crate) fn foreign_writer(secret: &Lookup<Secret>) -> Option<&str> {
    issued_for(secret)?;
    match secret {
        Lookup::Present(secret) => secret
            .annotations()
            .get(names::ANNOTATION_WRITTEN_BY)
            .map(String::as_str),
        _ => None,
    }
}

pub(crate) fn created(meta: &ObjectMeta) -> Option<Timestamp> {
    meta.creation_timestamp.as_ref().map(|created| created.0)
}

pub(crate) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests;
