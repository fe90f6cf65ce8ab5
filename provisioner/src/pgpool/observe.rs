//! Reads everything a `Pgpool` refers to and everything it owns, as the caches have it. The only step that looks
//! anything up; it decides nothing.
//!
//! Each referred object is a [`Lookup`], so that "not there", "not readable" and "not known yet" stay three
//! different things until `validate` turns them into three different sentences for the user.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use operator_runtime::Cache;
use rand::Rng;
use rand::distr::Alphanumeric;
use shared_types::{Alias, AppBinding, Pgpool, PgpoolVersion, names};
use tls_bundle::{Required, Role};

use super::context::Context;
use super::error::Error;
use super::handoff::Certificate;
use super::pods::{self, PodFacts};
use super::triggers;
use crate::health::Standing;
use crate::peer::{CertificateVerdict, Verdict};

/// What is known of an object somebody refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The watch on it has not answered yet.
    #[default]
    Pending,
    /// The API server says that there is no such object, or does not serve its kind.
    Absent,
    /// The operator may not read it.
    Forbidden,
    /// It is there.
    Present(T),
}

impl<T> Lookup<T> {
    /// The object, when it is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(found) => Some(found),
            Self::Pending | Self::Absent | Self::Forbidden => None,
        }
    }

    /// The same knowledge about a part of the object.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Pending => Lookup::Pending,
            Self::Absent => Lookup::Absent,
            Self::Forbidden => Lookup::Forbidden,
            Self::Present(found) => Lookup::Present(part(found)),
        }
    }
}

/// Everything outside the `Pgpool` that decides what it becomes, except its certificates.
///
/// An `Option` is `None` when nothing refers to such an object; the names are in the `Pgpool` and the `AppBinding`.
#[derive(Clone, Default)]
pub struct Inputs {
    /// `spec.version`.
    pub version: Lookup<Arc<PgpoolVersion>>,
    /// `spec.postgresRef`.
    pub app_binding: Lookup<Arc<AppBinding>>,
    /// `spec.secret` of the `AppBinding`, in its namespace.
    pub backend_secret: Option<Lookup<Arc<Secret>>>,
    /// `spec.tlsSecret` of the `AppBinding`, in its namespace.
    pub backend_tls_secret: Option<Lookup<Arc<Secret>>>,
    /// The Secret of the PCP user: `spec.authSecret.name`, or the one that is generated.
    pub auth_secret: Lookup<Arc<Secret>>,
    /// `spec.configuration.secretName`.
    pub configuration_secret: Option<Lookup<Arc<Secret>>>,
    /// A fresh PCP password (16 characters): `Some` only while the generated auth Secret is known to be absent, so
    /// that a password which is in use is never replaced.
    pub new_pcp_password: Option<String>,
    /// The DNS domain of the cluster, `cluster.local` almost everywhere.
    pub cluster_domain: String,
}

impl fmt::Debug for Inputs {
    /// Leaves the contents of Secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("cluster_domain", &self.cluster_domain)
            .finish_non_exhaustive()
    }
}

/// The objects that the `Pgpool` owns, by their names; what is somebody else's may be among them.
#[derive(Clone, Default)]
pub struct Live {
    /// Where clients connect.
    pub primary_service: Option<Arc<Service>>,
    /// Names of the single pods.
    pub governing_service: Option<Arc<Service>>,
    /// Account of the pods.
    pub service_account: Option<Arc<ServiceAccount>>,
    /// The PCP user.
    pub auth_secret: Option<Arc<Secret>>,
    /// `pgpool.conf` and `pool_hba.conf`.
    pub config_secret: Option<Arc<Secret>>,
    /// `pcp.conf`.
    pub pcp_secret: Option<Arc<Secret>>,
    /// `pool_passwd`.
    pub users_secret: Option<Arc<Secret>>,
    /// Keeps a majority during node drains.
    pub pod_disruption_budget: Option<Arc<PodDisruptionBudget>>,
    /// How programs find the pool.
    pub app_binding: Option<Arc<AppBinding>>,
    /// The workload.
    pub stateful_set: Option<Arc<StatefulSet>>,
    /// Copies of certificates, by name.
    pub tls_copies: BTreeMap<String, Arc<Secret>>,
}

/// Everything that a reconcile looks at.
#[derive(Clone, Default)]
pub struct Observed {
    /// What decides what the `Pgpool` becomes.
    pub inputs: Inputs,
    /// What there is of it.
    pub live: Live,
    /// The certificates that it needs; empty without TLS.
    pub certificates: Vec<Certificate>,
    /// What ops-manager says of them on the channel, while that is up.
    pub verdict: Option<Verdict>,
    /// How long these very certificates have all been there.
    pub complete_for: Duration,
    /// Its pods, in the order of their ordinals.
    pub pods: Vec<PodFacts>,
    /// What the pods' last checks add up to, by UID.
    pub standings: BTreeMap<String, Standing>,
}

/// Looks everything up.
///
/// # Errors
/// Only when the one question to the API server fails: whether an auth Secret that the cache does not have exists.
pub async fn observe(pgpool: &Pgpool, context: &Context, now: Timestamp) -> Result<Observed, Error> {
    let key = ObjectRef::from_obj(pgpool);
    let certificates = certificates(pgpool, context);
    let leaves: Option<Vec<_>> = certificates
        .iter()
        .map(|each| each.leaf().present().copied())
        .collect();
    Ok(Observed {
        inputs: inputs(pgpool, context, &certificates).await?,
        live: live(pgpool, context),
        verdict: context.verdicts.get(pgpool),
        complete_for: context.patience.complete_for(&key, leaves, now),
        certificates,
        pods: pods::of(pgpool, &context.caches.pods),
        standings: context.health.standings(&key),
    })
}

/// What ops-manager says of the certificates in the status.
#[must_use]
pub fn published(pgpool: &Pgpool) -> Vec<CertificateVerdict> {
    let status = pgpool.status.iter().flat_map(|status| &status.certificates);
    status
        .map(|certificate| CertificateVerdict {
            alias: certificate.alias,
            fingerprint: certificate
                .fingerprint
                .as_deref()
                .and_then(|text| text.parse().ok()),
            ready: certificate.ready,
            message: certificate.message.clone().unwrap_or_default(),
        })
        .collect()
}

/// What this `Pgpool` needs each certificate to be good for: the same rules by which ops-manager asks for them, the
/// names that the user adds included.
#[must_use]
pub fn required(pgpool: &Pgpool, alias: Alias, cluster_domain: &str) -> Vec<Required> {
    let (namespace, stats) = (
        pgpool.namespace().unwrap_or_default(),
        names::stats_service(pgpool),
    );
    let asked = pgpool.spec.certificate(alias).cloned().unwrap_or_default();
    let client = Required {
        role: Role::Client,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        common_name: Some(CLIENT_USER.to_owned()),
    };
    let server = |ours: Vec<String>| {
        let added = asked.ip_addresses.iter().filter_map(|text| text.parse().ok());
        Required {
            role: Role::Server,
            dns_names: ours.into_iter().chain(asked.dns_names.iter().cloned()).collect(),
            ip_addresses: std::iter::once(Ipv4Addr::LOCALHOST.into()).chain(added).collect(),
            common_name: None,
        }
    };
    match alias {
        Alias::Server => vec![server(names::server_dns_names(
            &names::primary_service(pgpool),
            &namespace,
            &[stats],
            &names::governing_service(pgpool),
            cluster_domain,
        ))],
        Alias::Client => vec![client],
        Alias::MetricsExporter => {
            let forms = [
                String::new(),
                format!(".{namespace}"),
                format!(".{namespace}.svc"),
            ];
            let full = format!("{stats}.{namespace}.svc.{cluster_domain}");
            let ours = forms
                .iter()
                .map(|form| format!("{stats}{form}"))
                .chain([full, "localhost".to_owned()]);
            vec![client, server(ours.collect())]
        }
    }
}

/// The role that certificate logins are made for, since a client certificate speaks for one role only.
pub const CLIENT_USER: &str = "postgres";

async fn inputs(pgpool: &Pgpool, context: &Context, certificates: &[Certificate]) -> Result<Inputs, Error> {
    let caches = &context.caches;
    let namespace = pgpool.namespace().unwrap_or_default();
    let binding_namespace = pgpool
        .spec
        .postgres_ref
        .namespace
        .clone()
        .filter(|name| !name.is_empty());
    let binding_namespace = binding_namespace.unwrap_or_else(|| namespace.clone());
    let app_binding = app_binding(pgpool, context, &binding_namespace);
    let refers = app_binding.present().map(|binding| &binding.spec);
    let backend = refers
        .and_then(|spec| spec.secret.as_ref())
        .map(|secret| secret.name.clone());
    let backend_tls = refers
        .and_then(|spec| spec.tls_secret.as_ref())
        .map(|secret| secret.name.clone());
    let configuration = pgpool
        .spec
        .configuration
        .as_ref()
        .and_then(|it| it.secret_name.clone());
    let asked = pgpool.spec.auth_secret.clone().unwrap_or_default();
    let named_auth = asked.name.filter(|name| !name.is_empty());

    let mut followed: Vec<(String, String)> = Vec::new();
    followed.extend(
        backend
            .iter()
            .chain(&backend_tls)
            .map(|name| (binding_namespace.clone(), name.clone())),
    );
    followed.extend(
        configuration
            .iter()
            .chain(&named_auth)
            .map(|name| (namespace.clone(), name.clone())),
    );
    followed.extend(unlabelled(pgpool, context, certificates));
    let auth_secret = auth_secret(pgpool, context, named_auth.is_some()).await?;
    if auth_secret
        .present()
        .is_some_and(|secret| triggers::by_label(secret.as_ref()).is_none())
    {
        // Without our labels its changes are seen by name only.
        followed.push((namespace.clone(), names::auth_secret(pgpool)));
    }
    context.named.follow(&ObjectRef::from_obj(pgpool), &followed);

    let named = |namespace: &str, name: &str| named(context, namespace, name);
    let generate = auth_secret == Lookup::Absent && !asked.externally_managed.unwrap_or(false);
    Ok(Inputs {
        version: cached(&caches.versions, None, &pgpool.spec.version),
        backend_secret: backend.map(|name| named(&binding_namespace, &name)),
        backend_tls_secret: backend_tls.map(|name| named(&binding_namespace, &name)),
        configuration_secret: configuration.map(|name| named(&namespace, &name)),
        app_binding,
        auth_secret,
        new_pcp_password: generate.then(new_password),
        cluster_domain: context.cluster_domain.clone(),
    })
}

/// The `AppBinding`. In a namespace that this process does not serve it is watched by name alone.
fn app_binding(pgpool: &Pgpool, context: &Context, namespace: &str) -> Lookup<Arc<AppBinding>> {
    let (key, name) = (ObjectRef::from_obj(pgpool), &pgpool.spec.postgres_ref.name);
    if context.scope.contains(namespace) {
        context.elsewhere.follow(&key, &[]);
        return cached(&context.caches.app_bindings, Some(namespace), name);
    }
    context
        .elsewhere
        .follow(&key, &[(namespace.to_owned(), name.clone())]);
    known(context.elsewhere.lookup(namespace, name))
}

/// The auth Secret. A cache that lags behind our own write would make us write another password over the one in
/// use, so "absent" is asked of the API server itself; that is one question in the life of a `Pgpool`.
async fn auth_secret(
    pgpool: &Pgpool,
    context: &Context,
    named_by_user: bool,
) -> Result<Lookup<Arc<Secret>>, Error> {
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), names::auth_secret(pgpool));
    let cached = cached(&context.caches.secrets, Some(&namespace), &name);
    let known = match (cached, named(context, &namespace, &name)) {
        // Nobody follows it, unless the user names it.
        (Lookup::Absent, Lookup::Pending) if !named_by_user => Lookup::Absent,
        (Lookup::Absent, known) => known,
        (cached, _) => cached,
    };
    if known != Lookup::Absent {
        return Ok(known);
    }
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    let found = tokio::time::timeout(context.deadline, api.get_opt(&name))
        .await
        .map_err(|_| Error::ObserveTimeout {
            name: format!("{namespace}/{name}"),
        })?
        .map_err(|source| Error::Observe {
            name: format!("{namespace}/{name}"),
            source,
        })?;
    Ok(found.map_or(Lookup::Absent, |secret| Lookup::Present(Arc::new(secret))))
}

fn certificates(pgpool: &Pgpool, context: &Context) -> Vec<Certificate> {
    if !pgpool.spec.ssl_mode().enabled() {
        return Vec::new();
    }
    let namespace = pgpool.namespace().unwrap_or_default();
    let certificate = |alias| {
        let secret_name = names::certificate_secret(pgpool, alias);
        let secret = match cached(&context.caches.secrets, Some(&namespace), &secret_name) {
            Lookup::Absent => match named(context, &namespace, &secret_name) {
                // Nobody follows it, so nobody knows better than the cache.
                Lookup::Pending => Lookup::Absent,
                known => known,
            },
            known => known,
        };
        let required = required(pgpool, alias, &context.cluster_domain);
        Certificate {
            alias,
            namespace: namespace.clone(),
            secret_name,
            secret,
            required,
        }
    };
    Alias::ALL.into_iter().map(certificate).collect()
}

/// Certificate Secrets that ops-manager has seen and our selector has not: without our labels they are watched by
/// name. Before ops-manager has seen them there is nothing to watch, and a watch is two requests.
fn unlabelled(pgpool: &Pgpool, context: &Context, certificates: &[Certificate]) -> Vec<(String, String)> {
    let mut seen = published(pgpool);
    seen.extend(
        context
            .verdicts
            .get(pgpool)
            .into_iter()
            .flat_map(|verdict| verdict.certificates),
    );
    let hidden = certificates.iter().filter(|certificate| {
        let cached = context
            .caches
            .secrets
            .get(Some(&certificate.namespace), &certificate.secret_name);
        let known = seen
            .iter()
            .any(|it| it.alias == certificate.alias && it.fingerprint.is_some());
        cached.is_none() && known
    });
    hidden
        .map(|certificate| (certificate.namespace.clone(), certificate.secret_name.clone()))
        .collect()
}

fn live(pgpool: &Pgpool, context: &Context) -> Live {
    let caches = &context.caches;
    let name = pgpool.name_any();
    let namespace = pgpool.namespace().unwrap_or_default();
    let secret = |name: String| caches.secrets.get(Some(&namespace), &name);
    let copies = caches
        .secrets
        .list()
        .into_iter()
        .filter(|secret| is_tls_copy(secret, pgpool));
    Live {
        primary_service: caches
            .services
            .get(Some(&namespace), &names::primary_service(pgpool)),
        governing_service: caches
            .services
            .get(Some(&namespace), &names::governing_service(pgpool)),
        service_account: caches
            .service_accounts
            .get(Some(&namespace), &names::service_account(pgpool)),
        auth_secret: secret(names::auth_secret(pgpool)),
        config_secret: secret(names::config_secret(pgpool)),
        pcp_secret: secret(names::pcp_secret(pgpool)),
        users_secret: secret(names::users_secret(pgpool)),
        pod_disruption_budget: caches.budgets.get(Some(&namespace), &name),
        app_binding: caches.app_bindings.get(Some(&namespace), &name),
        stateful_set: caches.stateful_sets.get(Some(&namespace), &name),
        tls_copies: copies.map(|secret| (secret.name_any(), secret)).collect(),
    }
}

/// Whether a Secret is one of our copies: immutable, controlled by this `Pgpool`, and named as only a copy is.
#[must_use]
pub fn is_tls_copy(secret: &Secret, pgpool: &Pgpool) -> bool {
    let name = secret.name_any();
    let hash = name.rsplit('-').next().unwrap_or_default();
    let owned = || {
        let owner = pgpool.meta().uid.as_ref();
        secret
            .owner_references()
            .iter()
            .any(|it| it.controller == Some(true) && Some(&it.uid) == owner)
    };
    secret.immutable == Some(true)
        && secret.namespace() == pgpool.namespace()
        && name == names::tls_secret(&pgpool.name_any(), hash)
        && owned()
}

fn cached<K>(cache: &Cache<K>, namespace: Option<&str>, name: &str) -> Lookup<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + 'static,
{
    use operator_runtime::Availability;
    match (cache.get(namespace, name), cache.availability()) {
        (Some(found), _) => Lookup::Present(found),
        (None, Availability::Starting) => Lookup::Pending,
        (None, Availability::Served | Availability::Absent) => Lookup::Absent,
        (None, Availability::Forbidden) => Lookup::Forbidden,
    }
}

fn named(context: &Context, namespace: &str, name: &str) -> Lookup<Arc<Secret>> {
    known(context.named.lookup(namespace, name))
}

fn known<K>(lookup: operator_runtime::Lookup<K>) -> Lookup<Arc<K>> {
    use operator_runtime::Lookup as Known;
    match lookup {
        Known::Pending => Lookup::Pending,
        Known::Absent => Lookup::Absent,
        Known::Forbidden => Lookup::Forbidden,
        Known::Present(found) => Lookup::Present(found),
    }
}

/// 16 letters and digits from the generator of the operating system: 95 bits.
fn new_password() -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(16)
        .map(char::from)
        .collect()
}
