//! What has to be watched for a `Pgpool` beyond the kinds that are always watched. Pure: [`Context::subscribe`] applies it.
//!
//! [`Context::subscribe`]: crate::context::Context::subscribe

use k8s_openapi::api::core::v1::Service;
use kube::{Resource as _, ResourceExt};
use operator_runtime::Scope;
use shared_types::pgpool::{Agent, ScriptReference};
use shared_types::{Pgpool, limits, names};

use super::init_job_facts::wanted;
use super::lookup::Lookup;
use super::observed::Observed;
use super::reference_names::{NamespacedName, References};
use crate::across_namespaces::Consent;
use crate::caches::mapping;

/// What has to be watched for a `Pgpool`. The default is nothing, which applies to one that no longer exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscriptions {
    /// Secrets, each by its name.
    pub(crate) secrets: Vec<NamespacedName>,
    /// The `AppBinding`, in a namespace that this process does not serve.
    pub(crate) remote_app_bindings: Vec<NamespacedName>,
    /// The Job that runs the user's scripts.
    pub(crate) jobs: Vec<NamespacedName>,
    /// Whether the kind `ServiceMonitor` is needed.
    pub(crate) service_monitors: bool,
    /// Whether the users of the PostgreSQL are needed.
    pub(crate) user_secrets: bool,
    /// Whether changes beside the `AppBinding` must not trigger it, for want of consent.
    pub(crate) refused: bool,
}

impl Subscriptions {
    /// Computes them from the spec, and from what is known of the objects that it names: an `AppBinding` names Secrets,
    /// too.
    pub(crate) fn of(pgpool: &Pgpool, observed: &Observed, scope: &Scope) -> Self {
        let namespace = pgpool.namespace().unwrap_or_default();
        let mut remote_app_bindings = Vec::new();
        let backend_namespace = names::app_binding_namespace(pgpool);
        let consent = observed.inputs.consent;
        if consent != Consent::SwitchedOff && !scope.contains(&backend_namespace) {
            remote_app_bindings.push((backend_namespace, pgpool.spec.postgres_ref.name.clone()));
        }
        let mut jobs = Vec::new();
        if wanted(pgpool).is_some() {
            jobs.push((namespace, names::init_job(pgpool)));
        }
        let stats_service = observed.live.stats_service.as_deref();
        Self {
            secrets: secrets(pgpool, observed),
            remote_app_bindings,
            jobs,
            service_monitors: reads_service_monitors(pgpool, stats_service),
            user_secrets: consent == Consent::Given && pgpool.spec.sync_users == Some(true),
            refused: matches!(consent, Consent::Missing | Consent::SwitchedOff),
        }
    }
}

fn secrets(pgpool: &Pgpool, observed: &Observed) -> Vec<NamespacedName> {
    let namespace = pgpool.namespace().unwrap_or_default();
    let References {
        backend,
        backend_tls,
        configuration,
        auth,
        auth_is_users,
    } = References::of(pgpool, &observed.inputs.app_binding);
    let mut secrets: Vec<_> = [backend, backend_tls, configuration]
        .into_iter()
        .flatten()
        .collect();
    // With our labels it is in the cache already.
    let auth_secret = observed.inputs.auth_secret.present();
    if auth_is_users || auth_secret.is_some_and(|secret| mapping::by_label(secret.meta()).is_none()) {
        secrets.push(auth);
    }
    secrets.extend(observed.unlabeled_certificates.iter().cloned());
    if observed.init.job == Lookup::Absent
        && let Some(script) = wanted(pgpool)
    {
        // Until the Job exists, a Secret that is missing may be created.
        for reference in script.references().into_iter().take(limits::INIT_REFERENCES) {
            if let ScriptReference::Secret(name) = reference {
                secrets.push((namespace.clone(), name));
            }
        }
    }
    let env_secrets = observed.inputs.env_secrets.keys();
    secrets.extend(env_secrets.map(|name| (namespace.clone(), name.clone())));
    secrets
}

/// Whether it has to be known which `ServiceMonitor` there is of a `Pgpool`: while its agent reads such objects, and until
/// the one of an earlier agent is deleted.
pub(crate) fn reads_service_monitors(pgpool: &Pgpool, stats_service: Option<&Service>) -> bool {
    let agent = pgpool.spec.monitor.as_ref().and_then(|monitor| monitor.agent);
    agent.is_some_and(Agent::reads_service_monitors) || names_service_monitor_agent(stats_service)
}

/// Whether the stats Service was made for an agent that reads `ServiceMonitor`s.
pub(crate) fn names_service_monitor_agent(stats_service: Option<&Service>) -> bool {
    let annotation = stats_service.and_then(|service| service.annotations().get(names::ANNOTATION_AGENT));
    let agent = annotation.and_then(|agent| Agent::from_word(agent));
    agent.is_some_and(Agent::reads_service_monitors)
}
