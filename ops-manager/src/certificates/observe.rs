//! Reads, out of the caches, everything that decides about the certificates of one Pgpool. The only step that
//! looks anything up; it decides nothing and sends nothing.

mod authorities;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Availability, Lookup};
use shared_types::{Alias, Pgpool, names};

pub(super) use authorities::trim as trim_authority;

pub(crate) use authorities::Authority;

use super::caches::Caches;
use crate::cert_manager::{self, Certificate, CertificateRequest, IssuerReference};

/// Everything outside the Pgpool that decides about its certificates.
#[derive(Clone)]
pub(crate) struct Observed {
    /// Whether Certificates can be seen at all.
    pub(crate) cert_manager: Availability,
    /// Every issuer that the spec names.
    pub(crate) issuers: BTreeMap<IssuerReference, IssuerState>,
    /// The CAs behind them, as far as they have one and it is known.
    pub(crate) authorities: BTreeMap<IssuerReference, Authority>,
    /// What the provisioner creates first.
    pub(crate) prerequisites: Vec<Prerequisite>,
    /// Other Pgpools that name one of our certificate Secrets.
    pub(crate) claims: Vec<Claim>,
    /// What there is of each certificate.
    pub(crate) children: BTreeMap<Alias, Child>,
}

impl Observed {
    /// The certificate Secrets that are there.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Arc<Secret>> {
        self.children.values().filter_map(|child| match &child.secret {
            Lookup::Present(secret) => Some(secret),
            _ => None,
        })
    }
}

/// What is known of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IssuerState {
    /// Not ours to check: another group, or a kind we may not see. Its Certificate will tell.
    Unchecked,
    /// Its kind is not cached yet.
    Starting,
    /// Its kind is not served: cert-manager is not installed.
    KindAbsent,
    /// There is none of that name.
    Absent,
    /// It is there.
    Present {
        /// It can issue.
        ready: bool,
        /// What it says about that.
        message: String,
        /// When it was created.
        created: Option<Timestamp>,
    },
}

/// An object that must be there before a certificate is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prerequisite {
    /// Its kind.
    pub(crate) kind: &'static str,
    /// Its name, in the namespace of the Pgpool.
    pub(crate) name: String,
    /// Whether it is there.
    pub(crate) presence: Presence,
}

/// Whether an object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Not known yet.
    Pending,
    /// It is not.
    Absent,
    /// We may not see it.
    Forbidden,
    /// It is, since then.
    Since(Option<Timestamp>),
}

/// Another Pgpool that names a certificate Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The Secret.
    pub(crate) secret: String,
    /// The other Pgpool, of the same namespace.
    pub(crate) pgpool: String,
    /// When it was created.
    pub(crate) created: Option<Timestamp>,
}

/// What there is of one certificate.
#[derive(Clone)]
pub(crate) struct Child {
    /// The Certificate.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// The newest request for it, unless it is ready.
    pub(crate) request: Option<Arc<CertificateRequest>>,
    /// The Secret it is written to.
    pub(crate) secret: Lookup<Secret>,
    /// The Certificate that the Secret was made for, when that one bears our labels.
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

/// Reads what decides about the certificates of `pgpool`.
pub(crate) fn observe(caches: &Caches, pgpool: &Pgpool) -> Observed {
    let wanted = pgpool.spec.tls.is_some() && pgpool.spec.ssl_mode().enabled();
    let issuers = Alias::ALL
        .iter()
        .filter_map(|alias| issuer_reference(pgpool, *alias));
    Observed {
        cert_manager: caches
            .certificates
            .availability_in(&pgpool.namespace().unwrap_or_default()),
        issuers: issuers
            .map(|issuer| (issuer.clone(), caches.issuer(pgpool, &issuer)))
            .collect(),
        authorities: authorities::authorities(caches, pgpool),
        prerequisites: caches.prerequisites(pgpool),
        claims: if wanted { caches.claims(pgpool) } else { Vec::new() },
        children: Alias::ALL
            .into_iter()
            .map(|alias| (alias, caches.child(pgpool, alias)))
            .collect(),
    }
}

/// Watches one by one the Secrets that need not bear our labels: those that the user of a Pgpool named, and what may
/// stand where no Certificate of ours is written to yet. One that does bear them is in the cache already.
pub(crate) fn follow(caches: &Caches, pgpool: &Pgpool) {
    let namespace = pgpool.namespace().unwrap_or_default();
    let mut named = named_by_user(pgpool);
    named.extend(caches.unclaimed(pgpool));
    named.sort();
    named.dedup();
    let named = named.into_iter();
    let unseen = named.filter(|name| caches.labelled_secret(pgpool, name).is_none());
    let unseen: Vec<_> = unseen.map(|name| (namespace.clone(), name)).collect();
    caches.named.follow(&ObjectRef::from_obj(pgpool), &unseen);
    authorities::follow(caches, pgpool);
}

/// Stops watching those Secrets, once the Pgpool is gone.
pub(crate) fn forget(caches: &Caches, pgpool: &ObjectRef<Pgpool>) {
    caches.named.follow(pgpool, &[]);
    caches.authorities.follow(pgpool, &[]);
}

/// The issuer of one certificate as cert-manager wants it written: group and kind are never empty.
pub(crate) fn issuer_reference(pgpool: &Pgpool, alias: Alias) -> Option<IssuerReference> {
    let issuer = pgpool.spec.issuer_ref(alias)?;
    let group = issuer.api_group.as_deref().filter(|group| !group.is_empty());
    Some(IssuerReference {
        group: group.unwrap_or(cert_manager::GROUP).to_owned(),
        kind: issuer.kind.clone(),
        name: issuer.name.clone(),
    })
}

/// The Secrets whose names the user chose, as far as certificates depend on them.
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

/// Whether two Pgpools could name one certificate Secret. Names made of the names of two Pgpools differ unless they
/// are cut, so that most pairs are told apart without building any.
pub(crate) fn may_collide(one: &Pgpool, other: &Pgpool) -> bool {
    const SUFFIX: usize = "-metrics-exporter-cert".len();
    let special = |pgpool: &Pgpool| {
        let cut = pgpool
            .metadata
            .name
            .as_ref()
            .is_some_and(|name| name.len() + SUFFIX > names::MAX_LENGTH);
        let tls = pgpool.spec.tls.iter();
        cut || tls
            .flat_map(|tls| &tls.certificates)
            .any(|certificate| certificate.secret_name.is_some())
    };
    one.metadata.namespace == other.metadata.namespace
        && one.metadata.name != other.metadata.name
        && one.spec.tls.is_some()
        && other.spec.tls.is_some()
        && (special(one) || special(other))
}

/// Whether a Certificate is there that is written to this Secret.
pub(crate) fn writes_to(certificate: Option<&Certificate>, secret: &str) -> bool {
    certificate.is_some_and(|certificate| certificate.spec.secret_name == secret)
}

/// The name of the Certificate that a Secret was made for.
pub(crate) fn made_for(secret: &Lookup<Secret>) -> Option<&str> {
    match secret {
        Lookup::Present(secret) => secret
            .annotations()
            .get(cert_manager::CERTIFICATE_NAME)
            .map(String::as_str),
        _ => None,
    }
}

/// Who wrote what stands in a Secret that cert-manager issued, unless it was cert-manager.
pub(crate) fn foreign_writer(secret: &Lookup<Secret>) -> Option<&str> {
    made_for(secret)?;
    match secret {
        Lookup::Present(secret) => secret
            .annotations()
            .get(names::ANNOTATION_WRITTEN_BY)
            .map(String::as_str),
        _ => None,
    }
}

/// When an object was created.
pub(crate) fn created(meta: &ObjectMeta) -> Option<Timestamp> {
    meta.creation_timestamp.as_ref().map(|created| created.0)
}

/// The owner that controls an object.
pub(crate) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests;
