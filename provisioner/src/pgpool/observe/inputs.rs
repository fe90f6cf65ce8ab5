//! The objects that a `Pgpool` refers to. Those that users name are watched one by one, while a `Pgpool` refers to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use operator_runtime::Availability;
use operator_runtime::decode::Received;
use shared_types::policies::{self, PolicyState};
use shared_types::{AppBinding, Pgpool, names};

use super::env_users;
use super::reference_names::{NamespacedName, References};
use super::{Inputs, Lookup, cached, known, named};
use crate::across_namespaces::{AcrossNamespaces, Consent, is_across};
use crate::context::Context;
use crate::pgpool::error::Error;

/// Reads what a `Pgpool` refers to.
pub(super) async fn inputs(pgpool: &Pgpool, context: &Context) -> Result<Inputs, Error> {
    let key = ObjectRef::from_obj(pgpool);
    let (app_binding, consent) = app_binding(pgpool, context);
    let references = References::of(pgpool, &app_binding);
    let namespace = key.namespace.clone().unwrap_or_default();
    let read = |reference: Option<&NamespacedName>| {
        reference.map(|(namespace, name)| named(context, namespace, name))
    };
    let mut env_secrets = BTreeMap::new();
    for name in env_users::referred_secrets(pgpool) {
        let secret = named(context, &namespace, &name);
        env_secrets.insert(name, secret);
    }
    let users = names::users_secret(pgpool);
    let in_force = context.caches.secrets.get(key.namespace.as_deref(), &users);
    let rights = context.policies.state(policies::RIGHTS);
    let mut inputs = Inputs {
        allow_commands: context.allow_commands || rights == PolicyState::Trusted,
        rights,
        protection: context.policies.state(policies::PROTECTION),
        checked_rights: checked_rights(&key, context),
        env_secrets,
        synced: synced(pgpool, consent, context),
        users_in_force: context.memory.pending.current(&key, &users, in_force),
        workload_undecodable: context
            .caches
            .stateful_sets
            .undecodable(key.namespace.as_deref(), &key.name),
        version: cached(&context.caches.versions, None, &pgpool.spec.version),
        backend_secret: read(references.backend.as_ref()),
        backend_tls_secret: read(references.backend_tls.as_ref()),
        configuration_secret: read(references.configuration.as_ref()),
        app_binding,
        consent,
        auth_secret: Lookup::Pending,
        passwords: context.passwords,
        cluster_domain: context.cluster_domain.clone(),
        ca_overlap: context.ca_overlap,
    };
    let named = [
        &inputs.backend_secret,
        &inputs.backend_tls_secret,
        &inputs.configuration_secret,
    ];
    let is_reading =
        named.into_iter().flatten().any(is_pending) || inputs.env_secrets.values().any(is_pending);
    // While anything else is still unknown, a read of the auth Secret would be of no use.
    if !is_reading {
        inputs.auth_secret = auth_secret(&key, context, &references).await?;
    }
    Ok(inputs)
}

/// Which fields of the `Pgpool` were accepted when its workload was written.
fn checked_rights(key: &ObjectRef<Pgpool>, context: &Context) -> Option<String> {
    let cached = context
        .caches
        .stateful_sets
        .get(key.namespace.as_deref(), &key.name);
    let workload = context.memory.pending.current(key, &key.name, cached)?;
    workload
        .annotations()
        .get(names::ANNOTATION_CHECKED_RIGHTS)
        .cloned()
}

fn is_pending(secret: &Lookup<Arc<Secret>>) -> bool {
    *secret == Lookup::Pending
}

/// The Secrets of users.
fn synced(pgpool: &Pgpool, consent: Consent, context: &Context) -> Option<Lookup<Vec<Arc<Secret>>>> {
    let asked = pgpool.spec.sync_users == Some(true) && consent == Consent::Given;
    let caches = &context.caches;
    let namespace = names::app_binding_namespace(pgpool);
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

/// The `AppBinding`, and whether the `Pgpool` may use it. Without consent it is unknown, too: no later step can tell whether
/// it exists.
fn app_binding(pgpool: &Pgpool, context: &Context) -> (Lookup<Arc<AppBinding>>, Consent) {
    match context.across_namespaces {
        AcrossNamespaces::None if is_across(pgpool) => (Lookup::Forbidden, Consent::SwitchedOff),
        mode => match known_app_binding(pgpool, context) {
            Lookup::Pending if !mode.permits(pgpool, None) => (Lookup::Pending, Consent::Unknown),
            found if mode.permits(pgpool, found.present().map(AsRef::as_ref)) => (found, Consent::Given),
            _ => (Lookup::Forbidden, Consent::Missing),
        },
    }
}

/// In a namespace that this process does not serve it is watched by name alone.
fn known_app_binding(pgpool: &Pgpool, context: &Context) -> Lookup<Arc<AppBinding>> {
    let namespace = &names::app_binding_namespace(pgpool);
    let name = &pgpool.spec.postgres_ref.name;
    if context.scope.contains(namespace) {
        cached(&context.caches.app_bindings, Some(namespace), name)
    } else {
        known(context.remote_app_bindings.lookup(namespace, name))
    }
}

/// Whether a change of the `AppBinding` may trigger a `Pgpool`: not if it was refused and still is.
pub(crate) fn may_notice_app_binding(key: &ObjectRef<Pgpool>, context: &Context) -> bool {
    let pgpool = context.caches.pgpools.get(key.namespace.as_deref(), &key.name);
    let is_given = |pgpool: Arc<Pgpool>| app_binding(&pgpool, context).1 == Consent::Given;
    !context.caches.refused.contains(key) || pgpool.is_some_and(is_given)
}

/// The auth Secret. A cache that lags behind our own write would make us replace a password that is in use, so that it does
/// not exist is read from the API server itself: one request in the life of a `Pgpool`.
async fn auth_secret(
    key: &ObjectRef<Pgpool>,
    context: &Context,
    references: &References,
) -> Result<Lookup<Arc<Secret>>, Error> {
    let (namespace, name) = &references.auth;
    let cached = match cached(&context.caches.secrets, Some(namespace), name) {
        Lookup::Forbidden => Lookup::Forbidden,
        cached => {
            let written = context
                .memory
                .pending
                .current(key, name, cached.present().cloned());
            written.map_or(cached, Lookup::Present)
        }
    };
    let known = match (cached, named(context, namespace, name)) {
        // It is watched by name only if it is the user's.
        (Lookup::Absent, Lookup::Pending) if !references.auth_is_users => Lookup::Absent,
        (Lookup::Absent, known) => known,
        (cached, _) => cached,
    };
    if known != Lookup::Absent || !names::is_possible(name) {
        return Ok(known);
    }
    let title = || format!("Secret {namespace}/{name}");
    let api: Api<Received<Secret>> = Api::namespaced(context.client.clone(), namespace);
    let read = async { api.get_opt(name).await?.map(Received::decoded).transpose() };
    let found = tokio::time::timeout(context.deadline, read)
        .await
        .map_err(|_| Error::ObserveTimeout { what: title() })?
        .map_err(|source| Error::Observe {
            what: title(),
            source,
        })?;
    Ok(found.map_or(Lookup::Absent, |secret| Lookup::Present(Arc::new(secret))))
}
