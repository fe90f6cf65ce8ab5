//! Turns a `Pgpool` and everything it refers to into [`Validated`], or explains what is wrong or missing.
//!
//! Pure: no client, no clock. No later step reads the raw spec: defaults are resolved here and nowhere else, and what would
//! break a configuration file, a pod or the TLS setup is rejected here.

mod address;
mod auth_secret;
mod backend;
mod credentials;
mod env_users;
mod explain;
mod guarded_fields;
mod init_job;
mod monitor;
mod nodes;
mod normalize;
mod pod_template;
mod pool_passwd;
mod reserved;
mod resolve;
mod resources;
mod secret_transforms;
mod service_template;
mod settings;
pub(crate) mod settings_catalog;
mod users;
mod validated;
mod version;

use kube::ResourceExt;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::pgpool::check_size;
use shared_types::{ClientAuthMode, Pgpool, SslMode, certificates, names};

pub(crate) use crate::pgpool::observe::Inputs;
pub(in crate::pgpool) use guarded_fields::guarded_fields;
pub(crate) use init_job::{GIT_SECRET, Git, Init, Initialization, Source};
pub(in crate::pgpool) use settings::is_ours;
pub(crate) use validated::{
    AuthSecret, Backend, BackendNode, CertificateDelivery, Monitoring, NUM_INIT_CHILDREN, Names,
    PodOverrides, Release, ServiceOverrides, Setting, Validated,
};

use explain::invalid;

/// Longer names leave no room for the revision label of the pods.
const MAX_NAME_LENGTH: usize = 52;

/// What runs is not known while the StatefulSet cannot be decoded, so that nothing may be changed.
fn check_workload(pgpool: &Pgpool, inputs: &Inputs) -> Result<(), Blocked> {
    let Some(why) = &inputs.workload_undecodable else {
        return Ok(());
    };
    let title = format!(
        "StatefulSet `{}/{}`",
        pgpool.namespace().unwrap_or_default(),
        pgpool.name_any()
    );
    Err(Blocked::stuck(
        Reason::ReferenceDecodeFailed,
        format!("{}.", why.explain(&title)),
    ))
}

/// Validates a `Pgpool` and what it refers to.
///
/// # Errors
/// The first problem: what is wrong in the spec itself comes before what may still appear. A problem with the user's settings
/// is no error here, see [`Validated::blocked_settings`].
pub(crate) fn validate(pgpool: &Pgpool, inputs: &Inputs) -> Result<Validated, Blocked> {
    check_size(pgpool).map_err(|problem| invalid(&format!("{problem}.")))?;
    check_workload(pgpool, inputs)?;
    check_spec(pgpool)?;
    let checked_rights = guarded_fields::checked(pgpool, inputs)?;
    monitor::check(pgpool)?;
    let (mut pod, environment) = pod_template::pod_template(pgpool, inputs)?;
    let release = version::release(&pgpool.spec.version, inputs)?;
    let monitoring = monitor::monitoring(pgpool, &release, pod.exporter.take())?;
    let backend = backend::backend(pgpool, inputs)?;
    let custom_settings = settings::custom_settings(pgpool, inputs, release.version)
        .and_then(|settings| check_primary(&backend.nodes, &settings).map(|()| settings));
    let (custom_settings, blocked_settings) = match custom_settings {
        Ok(settings) => (settings, None),
        Err(blocked @ Blocked::Unknown) => return Err(blocked),
        Err(blocked) => (Vec::new(), Some(blocked)),
    };
    check_backend_tls(pgpool, &backend)?;
    let (users, user_complaints) = users::users(pgpool, &backend.login, environment, inputs)?;
    Ok(Validated {
        name: pgpool.name_any(),
        namespace: pgpool.namespace().unwrap_or_default(),
        owner: names::owner_reference(pgpool),
        labels: names::offshoot_labels(pgpool),
        selector: names::selector_labels(&pgpool.name_any()),
        names: object_names(pgpool),
        replicas: pgpool.spec.replicas(),
        version: pgpool.spec.version.clone(),
        release,
        ssl_mode: pgpool.spec.ssl_mode(),
        client_auth_mode: pgpool.spec.client_auth_mode(),
        server_issuer_signs_clients: certificates::server_issuer_signs_clients(pgpool),
        deletion_policy: pgpool.spec.deletion_policy(),
        backend,
        auth_secret: auth_secret::auth_secret(pgpool, inputs)?,
        users,
        user_complaints,
        custom_settings,
        blocked_settings,
        custom_nodes: lists_nodes(pgpool),
        checked_rights,
        host: certificates::host(pgpool, &inputs.cluster_domain),
        pod,
        init: init_job::initialization(pgpool, inputs),
        primary_service: service_template::primary(&pgpool.spec.service_templates)?,
        monitoring,
    })
}

fn lists_nodes(pgpool: &Pgpool) -> bool {
    let configuration = pgpool.spec.configuration.as_ref();
    configuration.is_some_and(|it| !it.backends.is_empty())
}

/// Repeats the rules of the CRD for objects that are older than the rules, and adds those that the CRD cannot express.
fn check_spec(pgpool: &Pgpool) -> Result<(), Blocked> {
    let name = pgpool.name_any();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > MAX_NAME_LENGTH
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(plain)
    {
        return Err(Blocked::stuck(
            Reason::NotSupported,
            format!(
                "The name `{name}` is invalid for Services and pods: use at most {MAX_NAME_LENGTH} lowercase letters, \
                 digits and hyphens, starting with a letter."
            ),
        ));
    }
    let replicas = pgpool.spec.replicas();
    if !(1..=9).contains(&replicas) {
        return Err(invalid(&format!(
            "`spec.replicas` is {replicas}: set it to a value from 1 to 9."
        )));
    }
    let (ssl_mode, auth) = (pgpool.spec.ssl_mode(), pgpool.spec.client_auth_mode());
    if ssl_mode.enabled() && pgpool.spec.tls.is_none() {
        return Err(invalid(&format!(
            "`spec.sslMode` is `{ssl_mode}` without certificates: set `spec.tls.issuerRef`, or `spec.sslMode` to `disable`."
        )));
    }
    if auth == ClientAuthMode::Cert && !ssl_mode.enabled() {
        return Err(invalid(
            "`spec.clientAuthMode` is `cert` without TLS: set `spec.sslMode` to `require` or stricter, or \
             `spec.clientAuthMode` to `scram`.",
        ));
    }
    Ok(())
}

/// Without a marked primary and without the check that finds one, pgpool treats every node as a standby.
fn check_primary(nodes: &[BackendNode], settings: &[Setting]) -> Result<(), Blocked> {
    let marked = nodes.iter().any(|node| node.flag.contains("ALWAYS_PRIMARY"));
    let is_override = |setting: &Setting| {
        matches!(
            setting.name.as_str(),
            "sr_check_period" | "backend_clustering_mode"
        ) || setting.name.starts_with("backend_flag")
    };
    if marked || settings.iter().any(is_override) {
        return Ok(());
    }
    Err(invalid(
        "`spec.configuration.backends` marks no primary: give one entry the flag `ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER`, \
         or set `sr_check_period` in `spec.configuration`.",
    ))
}

/// Verification needs a CA. A pool with certificates has one that may fit: that of their issuer. But pgpool has one trust
/// store: a CA that only verifies PostgreSQL must not let clients in because nobody named another.
fn check_backend_tls(pgpool: &Pgpool, backend: &Backend) -> Result<(), Blocked> {
    if !backend.verify || !backend.ca.is_empty() {
        return Ok(());
    }
    let why = if pgpool.spec.ssl_mode() == SslMode::Disable {
        ""
    } else if certificates::logs_in_by_certificate(pgpool)
        && !certificates::server_issuer_signs_clients(pgpool)
    {
        "; the CA of the pool's server certificate is not used, since clients with its certificates could log in"
    } else {
        return Ok(());
    };
    Err(Blocked::stuck(
        Reason::AppBindingInvalid,
        format!(
            "AppBinding `{}` requires verification of PostgreSQL's certificate but has no CA certificate{why}: set its \
             `spec.clientConfig.caBundle`.",
            pgpool.spec.postgres_ref.name
        ),
    ))
}

fn object_names(pgpool: &Pgpool) -> Names {
    Names {
        primary_service: names::primary_service(pgpool),
        governing_service: names::governing_service(pgpool),
        service_account: names::service_account(pgpool),
        config_secret: names::config_secret(pgpool),
        pcp_secret: names::pcp_secret(pgpool),
        users_secret: names::users_secret(pgpool),
    }
}
