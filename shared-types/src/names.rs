//! Names, labels, annotations and owner references of generated objects, shared by both operators.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use crate::pgpool::{Alias, Pgpool};

/// Maximum length of the name of an object that is also a DNS label.
pub const MAX_LENGTH: usize = 63;

/// Field manager of the provisioner.
pub const PROVISIONER: &str = "pgpool-provisioner";
/// Field manager of the ops-manager.
pub const OPS_MANAGER: &str = "pgpool-ops-manager";

/// Label: the kind of application, always [`APPLICATION`].
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Label: the name of the Pgpool.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: the manager of the object, always [`MANAGER`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label: the role of the object, always [`COMPONENT`].
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Label: the version of an application. Never copied to generated objects.
pub const LABEL_VERSION: &str = "app.kubernetes.io/version";
/// Label: the purpose of a Service.
pub const LABEL_ROLE: &str = "kubedb.com/role";

/// Label of a config check pod: the name of the Pgpool. Such a pod has no [`LABEL_INSTANCE`], so that no Service selects
/// it.
pub const LABEL_CONFIG_CHECK_OF: &str = "pgpool.kubedb.com/config-check-of";

/// Value of [`LABEL_NAME`].
pub const APPLICATION: &str = "pgpools.kubedb.com";
/// Value of [`LABEL_MANAGED_BY`].
pub const MANAGER: &str = "kubedb.com";
/// Value of [`LABEL_COMPONENT`].
pub const COMPONENT: &str = "connection-pooler";
/// Value of [`LABEL_NAME`] on pods that run the user's scripts. Differs from [`APPLICATION`], so that no selector of the
/// pool matches them.
pub const APPLICATION_INIT: &str = "pgpool-init";
/// Value of [`LABEL_COMPONENT`] on pods that run the user's scripts.
pub const COMPONENT_INIT: &str = "init-script";
/// Value of [`LABEL_ROLE`] on the stats Service.
pub const ROLE_STATS: &str = "stats";

/// Selects every object generated for any Pgpool.
pub const SELECTOR: &str =
    "app.kubernetes.io/name=pgpools.kubedb.com,app.kubernetes.io/managed-by=kubedb.com";

/// Value of [`LABEL_NAME`] on objects of a PostgreSQL of `KubeDB`.
pub const POSTGRES: &str = "postgreses.kubedb.com";
/// Selects the Secrets of users of any PostgreSQL.
pub const USER_SELECTOR: &str = "app.kubernetes.io/name=postgreses.kubedb.com";

/// Type of a generated auth Secret.
pub const AUTH_SECRET_TYPE: &str = "kubernetes.io/basic-auth";

/// Annotation: hash of the object as last applied.
pub const ANNOTATION_APPLIED_HASH: &str = "pgpool.kubedb.com/applied-hash";
/// Annotation of a pod template: hash of the settings that only a restart makes effective.
pub const ANNOTATION_CONFIG_HASH: &str = "pgpool.kubedb.com/config-hash";
/// Annotation of the workload: hash of its pod template. Detects removed fields.
pub const ANNOTATION_TEMPLATE_HASH: &str = "pgpool.kubedb.com/template-hash";
/// Annotation of a pod template: hash of the template without CPU and memory of its containers. A pod with the same hash
/// can be resized instead of replaced.
pub const ANNOTATION_TEMPLATE_BASE_HASH: &str = "pgpool.kubedb.com/template-base-hash";
/// Annotation of a Pgpool: when rotations may start, such as `Sat,Sun 02:00-05:00 Europe/Berlin`; `none` for at any
/// time.
pub const ANNOTATION_MAINTENANCE_WINDOW: &str = "pgpool.kubedb.com/maintenance-window";
/// Annotation of the configuration Secret: hash of the image and the settings that passed the config check.
pub const ANNOTATION_VALIDATED_CONFIG_HASH: &str = "pgpool.kubedb.com/validated-config-hash";
/// Annotation of the workload: hash of the fields of its Pgpool whose author had the rights to them. See [`crate::rights`].
pub const ANNOTATION_CHECKED_RIGHTS: &str = "pgpool.kubedb.com/checked-rights";
/// Annotation of a pod: versions of its mounted Secrets at the last volume sync. Changing it makes the kubelet refresh them.
pub const ANNOTATION_MOUNTED_SECRETS: &str = "pgpool.kubedb.com/mounted-secrets";
/// Annotation of a TLS copy: fingerprints of the trusted client CAs. Those of earlier issuers carry the time since which no
/// certificate comes from them.
pub const ANNOTATION_TRUSTED_CAS: &str = "pgpool.kubedb.com/trusted-cas";
/// Annotation of a Pgpool: how long pods trust an earlier client CA after the last certificate has been replaced, such as
/// `10m`; `0s` for not at all.
pub const ANNOTATION_CA_OVERLAP: &str = "pgpool.kubedb.com/ca-overlap";
/// Annotation of an `AppBinding`: the other namespaces whose Pgpools may use it, such as `shop, billing`; `*` for all.
pub const ANNOTATION_ALLOWED_NAMESPACES: &str = "pgpool.kubedb.com/allowed-namespaces";
/// Annotation of a Pgpool with `clientAuthMode: cert`: its user accepts that others can get certificates that log in. The
/// value is [`ACCEPTED_DANGER`](crate::certificates::ACCEPTED_DANGER).
pub const ANNOTATION_SHARED_CLIENT_ISSUER: &str = "pgpool.kubedb.com/shared-client-issuer";
/// Annotation of the auth Secret: since when its password is in use.
pub const ANNOTATION_AUTH_ACTIVE_FROM: &str = "kubedb.com/auth-active-from";

/// Annotation of a Pgpool: any new value resumes requests for certificates that changed too often.
pub const ANNOTATION_RESUME_CERTIFICATES: &str = "pgpool.kubedb.com/resume-certificates";
/// Annotation of a certificate Secret that exists only in an operator's cache and is never written to the cluster: the
/// field manager that overwrote the Secret, if it was not cert-manager.
pub const ANNOTATION_WRITTEN_BY: &str = "pgpool.kubedb.com/written-by";
/// Annotation of the auth Secret: UID of the `PgpoolOpsRequest` that set the password.
pub const ANNOTATION_ROTATED_BY: &str = "pgpool.kubedb.com/rotated-by";
/// Annotation in `spec.podTemplate.metadata` of a Pgpool: a new value replaces the pods one by one.
pub const ANNOTATION_RESTARTED_AT: &str = "pgpool.kubedb.com/restarted-at";

/// Annotation of the stats Service: the value of `spec.monitor.agent`.
pub const ANNOTATION_AGENT: &str = "monitoring.appscode.com/agent";

/// The labels that select the pods of a Pgpool. They never change, because the selector of a `StatefulSet` is immutable.
#[must_use]
pub fn selector_labels(name: &str) -> BTreeMap<String, String> {
    [
        (LABEL_NAME, APPLICATION),
        (LABEL_INSTANCE, name),
        (LABEL_MANAGED_BY, MANAGER),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// The labels of every generated object: those of the Pgpool that may be copied, the component and the selector labels,
/// which take precedence.
#[must_use]
pub fn offshoot_labels(pgpool: &Pgpool) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<_, _> = propagated(pgpool.labels()).collect();
    labels.insert(LABEL_COMPONENT.to_owned(), COMPONENT.to_owned());
    labels.extend(selector_labels(&pgpool.name_any()));
    labels
}

/// The labels or annotations that may be copied to generated objects: those that do not identify the object itself and
/// are not in the domain `kubedb.com`.
pub fn propagated(pairs: &BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    let identity = [LABEL_NAME, LABEL_VERSION, LABEL_INSTANCE, LABEL_MANAGED_BY];
    pairs
        .iter()
        .filter(move |(key, _)| !identity.contains(&key.as_str()) && !is_reserved(key))
        .map(|(key, value)| (key.clone(), value.clone()))
}

fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else {
        return false;
    };
    domain == "kubedb.com" || domain.ends_with(".kubedb.com")
}

/// Whether the API server accepts this as the name of an object. Users may write anything, and what is put into a path or a
/// field selector must be a name and nothing else.
#[must_use]
pub fn is_possible(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether the API server accepts this as the name of a namespace.
#[must_use]
pub fn is_possible_namespace(name: &str) -> bool {
    name.len() <= 63 && is_label(name)
}

fn is_label(label: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    label.bytes().all(|byte| outer(byte) || byte == b'-')
        && label.bytes().next().is_some_and(outer)
        && label.bytes().last().is_some_and(outer)
}

/// `<base>-<suffix>`, with at most [`MAX_LENGTH`] characters and without a dash at either end. The base is cut, the
/// suffix is kept. Both are ASCII, as every name of an object.
///
/// Two long names that differ only in the part that is cut give the same result. Whoever creates the second object finds
/// that it has another owner.
#[must_use]
pub fn suffixed(base: &str, suffix: &str) -> String {
    let room = MAX_LENGTH.saturating_sub(suffix.len()).saturating_sub(1);
    let base: String = base.chars().take(room).collect();
    let excess = suffix.len().saturating_sub(MAX_LENGTH);
    let suffix: String = suffix.chars().skip(excess).collect();
    format!("{base}-{suffix}").trim_matches('-').to_owned()
}

/// The Service for clients.
#[must_use]
pub fn primary_service(pgpool: &Pgpool) -> String {
    pgpool.name_any()
}

/// The headless Service, which gives each pod a DNS name.
#[must_use]
pub fn governing_service(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "pods")
}

/// The stats Service, for metrics.
#[must_use]
pub fn stats_service(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "stats")
}

/// The Job that runs the scripts of `spec.init`.
#[must_use]
pub fn init_job(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "init")
}

/// The labels of the pods of [`init_job`]. No Service or `PodDisruptionBudget` of the pool selects them.
#[must_use]
pub fn init_labels(name: &str) -> BTreeMap<String, String> {
    [
        (LABEL_NAME, APPLICATION_INIT),
        (LABEL_INSTANCE, name),
        (LABEL_MANAGED_BY, MANAGER),
        (LABEL_COMPONENT, COMPONENT_INIT),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// The Secret with the login of the metrics exporter.
#[must_use]
pub fn exporter_secret(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "exporter")
}

/// The Secret with the credentials of the PCP user: the user's, or a generated one.
#[must_use]
pub fn auth_secret(pgpool: &Pgpool) -> String {
    let named = pgpool
        .spec
        .auth_secret
        .as_ref()
        .and_then(|secret| secret.name.clone());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| suffixed(&pgpool.name_any(), "auth"))
}

/// The Secret with `pgpool.conf` and `pool_hba.conf`.
#[must_use]
pub fn config_secret(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), &uid_tail(pgpool))
}

/// The Secret with `pcp.conf`.
#[must_use]
pub fn pcp_secret(pgpool: &Pgpool) -> String {
    suffixed(&suffixed(&pgpool.name_any(), "pcp"), &uid_tail(pgpool))
}

/// The Secret with `pool_passwd`, which running pods reload.
#[must_use]
pub fn users_secret(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "users")
}

/// The TLS copy of a certificate, by a hash of its content.
#[must_use]
pub fn tls_secret(name: &str, hash: &str) -> String {
    suffixed(name, &format!("tls-{hash}"))
}

/// The Secret and the pod of a config check, by a hash of the settings.
#[must_use]
pub fn config_check(name: &str, hash: &str) -> String {
    suffixed(name, &format!("config-{hash}"))
}

/// The cert-manager `Certificate` of an alias.
#[must_use]
pub fn certificate(pgpool: &Pgpool, alias: Alias) -> String {
    suffixed(&pgpool.name_any(), &format!("{alias}-cert"))
}

/// The Secret that cert-manager writes a certificate to: the one in the spec, or the name of the `Certificate`.
#[must_use]
pub fn certificate_secret(pgpool: &Pgpool, alias: Alias) -> String {
    let chosen = pgpool
        .spec
        .certificate(alias)
        .and_then(|certificate| certificate.secret_name.clone());
    chosen
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| certificate(pgpool, alias))
}

/// The namespace of the `AppBinding` that a Pgpool refers to: its own unless it names another.
#[must_use]
pub fn app_binding_namespace(pgpool: &Pgpool) -> String {
    let named = pgpool.spec.postgres_ref.namespace.clone();
    let named = named.filter(|name| !name.is_empty());
    named.or_else(|| pgpool.namespace()).unwrap_or_default()
}

/// The service account of the pods: the one in the spec, or a generated one.
#[must_use]
pub fn service_account(pgpool: &Pgpool) -> String {
    let pod = pgpool
        .spec
        .pod_template
        .as_ref()
        .and_then(|template| template.spec.as_ref());
    let named = pod.and_then(|pod| {
        pod.service_account_name
            .clone()
            .or_else(|| pod.service_account.clone())
    });
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| pgpool.name_any())
}

/// The owner reference of a generated object.
#[must_use]
pub fn owner_reference(pgpool: &Pgpool) -> OwnerReference {
    OwnerReference {
        api_version: Pgpool::api_version(&()).into_owned(),
        kind: Pgpool::kind(&()).into_owned(),
        name: pgpool.name_any(),
        uid: pgpool.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The DNS names that a server certificate needs: every Service in its short, `.ns`, `.ns.svc` and full form, the pods
/// below the governing Service, and `localhost`. Sorted, without duplicates.
#[must_use]
pub fn server_dns_names(
    name: &str,
    namespace: &str,
    services: &[String],
    governing: &str,
    cluster_domain: &str,
) -> Vec<String> {
    let mut names = BTreeSet::from(["localhost".to_owned()]);
    for service in services.iter().map(String::as_str).chain([name, governing]) {
        names.insert(service.to_owned());
        names.insert(format!("{service}.{namespace}"));
        names.insert(format!("{service}.{namespace}.svc"));
        names.insert(format!("{service}.{namespace}.svc.{cluster_domain}"));
    }
    names.insert(format!("*.{governing}.{namespace}"));
    names.insert(format!("*.{governing}.{namespace}.svc"));
    names.insert(format!("*.{governing}.{namespace}.svc.{cluster_domain}"));
    names.into_iter().collect()
}

/// The last six characters of the UID. They distinguish a new Pgpool with the same name.
fn uid_tail(pgpool: &Pgpool) -> String {
    let uid = pgpool.uid().unwrap_or_default();
    let start = uid.char_indices().rev().nth(5).map_or(0, |(at, _)| at);
    uid.split_at(start).1.to_owned()
}

#[cfg(test)]
mod tests;
