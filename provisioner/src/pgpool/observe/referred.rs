//! The objects that a `Pgpool` refers to. Those that users name are watched one by one, while somebody refers to them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use operator_runtime::Availability;
use rand::Rng;
use rand::distr::Alphanumeric;
use shared_types::object::TypedReference;
use shared_types::{AppBinding, Pgpool, names};

use super::certificates::unlabelled;
use super::{Inputs, Lookup, cached, known, named};
use crate::pgpool::context::Context;
use crate::pgpool::error::Error;
use crate::pgpool::handoff::Certificate;
use crate::pgpool::{triggers, validate};

/// Where the objects are that a `Pgpool` refers to by name.
struct References {
    backend: Option<Reference>,
    backend_tls: Option<Reference>,
    configuration: Option<Reference>,
    auth: Reference,
    /// The user makes the auth Secret, or has named it: with or without our labels.
    auth_is_theirs: bool,
}

/// Namespace and name.
type Reference = (String, String);

impl References {
    fn of(pgpool: &Pgpool, app_binding: &Lookup<Arc<AppBinding>>) -> Self {
        let namespace = pgpool.namespace().unwrap_or_default();
        let there = binding_namespace(pgpool);
        let binding = app_binding.present().map(|binding| &binding.spec);
        let of_binding = |secret: Option<&TypedReference>| Some((there.clone(), secret?.name.clone()));
        let configuration = pgpool.spec.configuration.as_ref();
        let asked = pgpool.spec.auth_secret.as_ref();
        let is_named = asked
            .and_then(|secret| secret.name.as_ref())
            .is_some_and(|name| !name.is_empty());
        Self {
            backend: of_binding(binding.and_then(|spec| spec.secret.as_ref())),
            backend_tls: of_binding(binding.and_then(|spec| spec.tls_secret.as_ref())),
            configuration: configuration.and_then(|it| Some((namespace.clone(), it.secret_name.clone()?))),
            auth: (namespace, names::auth_secret(pgpool)),
            auth_is_theirs: is_named || is_external(pgpool),
        }
    }

    /// Everything that has to be watched by name.
    fn followed(&self) -> Vec<Reference> {
        let auth = Some(&self.auth).filter(|_| self.auth_is_theirs);
        [
            self.backend.as_ref(),
            self.backend_tls.as_ref(),
            self.configuration.as_ref(),
            auth,
        ]
        .into_iter()
        .flatten()
        .cloned()
        .collect()
    }
}

/// Reads what a `Pgpool` refers to, and says what of it is watched from now on: that, and `more`.
pub(super) async fn inputs(
    pgpool: &Pgpool,
    context: &Context,
    certificates: &[Certificate],
    more: Vec<(String, String)>,
) -> Result<Inputs, Error> {
    let key = ObjectRef::from_obj(pgpool);
    let app_binding = app_binding(pgpool, context);
    let references = References::of(pgpool, &app_binding);
    let mut followed = references.followed();
    followed.extend(unlabelled(pgpool, context, certificates));
    followed.extend(more);
    let read =
        |reference: Option<&Reference>| reference.map(|(namespace, name)| named(context, namespace, name));
    let env: Vec<Reference> = validate::referred_secrets(pgpool)
        .into_iter()
        .map(|name| (key.namespace.clone().unwrap_or_default(), name))
        .collect();
    followed.extend(env.iter().cloned());
    let users = names::users_secret(pgpool);
    let in_force = context.caches.secrets.get(key.namespace.as_deref(), &users);
    let mut inputs = Inputs {
        env_secrets: env
            .into_iter()
            .map(|(namespace, name)| (name.clone(), named(context, &namespace, &name)))
            .collect(),
        synced: synced(pgpool, context),
        users_in_force: context.written.current(&key, &users, in_force),
        version: cached(&context.caches.versions, None, &pgpool.spec.version),
        backend_secret: read(references.backend.as_ref()),
        backend_tls_secret: read(references.backend_tls.as_ref()),
        configuration_secret: read(references.configuration.as_ref()),
        app_binding,
        auth_secret: Lookup::Pending,
        new_pcp_password: None,
        cluster_domain: context.cluster_domain.clone(),
        ca_overlap: context.ca_overlap,
    };
    // While anything else is still being read, the question about the auth Secret would be asked in vain.
    let secrets = [
        &inputs.backend_secret,
        &inputs.backend_tls_secret,
        &inputs.configuration_secret,
    ];
    if !secrets
        .into_iter()
        .flatten()
        .chain(inputs.env_secrets.values())
        .any(|secret| *secret == Lookup::Pending)
    {
        inputs.auth_secret = auth_secret(&key, context, &references).await?;
        let unlabelled = |secret: &Arc<Secret>| triggers::by_label(secret.as_ref()).is_none();
        if !references.auth_is_theirs && inputs.auth_secret.present().is_some_and(unlabelled) {
            followed.push(references.auth.clone());
        }
        let generate = inputs.auth_secret == Lookup::Absent && !is_external(pgpool);
        inputs.new_pcp_password = generate.then(new_password);
    }
    context.named.follow(&key, &followed);
    Ok(inputs)
}

/// The Secrets of users, and whether they are watched from now on.
fn synced(pgpool: &Pgpool, context: &Context) -> Option<Lookup<Vec<Arc<Secret>>>> {
    let asked = pgpool.spec.sync_users == Some(true);
    let caches = &context.caches;
    caches.synced.set(&ObjectRef::from_obj(pgpool), asked);
    let namespace = binding_namespace(pgpool);
    asked.then(|| match caches.user_secrets.availability_in(&namespace) {
        Availability::Starting => Lookup::Pending,
        Availability::Absent => Lookup::Absent,
        Availability::Forbidden => Lookup::Forbidden,
        Availability::Served => {
            let postgres = &pgpool.spec.postgres_ref.name;
            Lookup::Present(caches.user_secrets.of_instance(&namespace, postgres))
        }
    })
}

fn is_external(pgpool: &Pgpool) -> bool {
    let asked = pgpool.spec.auth_secret.as_ref();
    asked
        .and_then(|secret| secret.externally_managed)
        .unwrap_or(false)
}

fn binding_namespace(pgpool: &Pgpool) -> String {
    let named = pgpool
        .spec
        .postgres_ref
        .namespace
        .clone()
        .filter(|name| !name.is_empty());
    named.or_else(|| pgpool.namespace()).unwrap_or_default()
}

/// The `AppBinding`. In a namespace that this process does not serve it is watched by name alone.
fn app_binding(pgpool: &Pgpool, context: &Context) -> Lookup<Arc<AppBinding>> {
    let namespace = &binding_namespace(pgpool);
    let (key, name) = (ObjectRef::from_obj(pgpool), &pgpool.spec.postgres_ref.name);
    if context.scope.contains(namespace) {
        context.elsewhere.follow(&key, &[]);
        return cached(&context.caches.app_bindings, Some(namespace), name);
    }
    context
        .elsewhere
        .follow(&key, &[(namespace.clone(), name.clone())]);
    known(context.elsewhere.lookup(namespace, name))
}

/// The auth Secret. A cache that lags behind our own write would make us write another password over the one in
/// use, so "absent" is asked of the API server itself; that is one question in the life of a `Pgpool`.
async fn auth_secret(
    key: &ObjectRef<Pgpool>,
    context: &Context,
    references: &References,
) -> Result<Lookup<Arc<Secret>>, Error> {
    let (namespace, name) = &references.auth;
    let cached = match cached(&context.caches.secrets, Some(namespace), name) {
        Lookup::Forbidden => Lookup::Forbidden,
        cached => {
            let written = context.written.current(key, name, cached.present().cloned());
            written.map_or(cached, Lookup::Present)
        }
    };
    let known = match (cached, named(context, namespace, name)) {
        // Nobody follows it, unless it is the user's.
        (Lookup::Absent, Lookup::Pending) if !references.auth_is_theirs => Lookup::Absent,
        (Lookup::Absent, known) => known,
        (cached, _) => cached,
    };
    if known != Lookup::Absent {
        return Ok(known);
    }
    let title = || format!("Secret {namespace}/{name}");
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let found = tokio::time::timeout(context.deadline, api.get_opt(name))
        .await
        .map_err(|_| Error::ObserveTimeout { what: title() })?
        .map_err(|source| Error::Observe {
            what: title(),
            source,
        })?;
    Ok(found.map_or(Lookup::Absent, |secret| Lookup::Present(Arc::new(secret))))
}

/// 16 letters and digits from a cryptographic generator: 95 bits.
fn new_password() -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(16)
        .map(char::from)
        .collect()
}
