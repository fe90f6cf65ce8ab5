//! How generated objects are named, labelled and owned: one home for both operators.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use crate::pgpool::{Alias, Pgpool};

/// Longest name of an object that must also be a DNS label.
pub const MAX_LENGTH: usize = 63;

/// Field manager of the provisioner.
pub const PROVISIONER: &str = "pgpool-provisioner";
/// Field manager of the ops-manager.
pub const OPS_MANAGER: &str = "pgpool-ops-manager";

/// Label: the kind of application, always [`APPLICATION`].
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Label: the name of the Pgpool.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: who manages the object, always [`MANAGER`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label: the part the object plays, always [`COMPONENT`].
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Label of the version of an application; never copied to generated objects.
pub const LABEL_VERSION: &str = "app.kubernetes.io/version";
/// Label: what a Service is for.
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
/// Value of [`LABEL_NAME`] on pods that run the user's scripts: another application, so that nothing takes them for
/// pods of the pool.
pub const APPLICATION_INIT: &str = "pgpool-init";
/// Value of [`LABEL_COMPONENT`] on them.
pub const COMPONENT_INIT: &str = "init-script";
/// Value of [`LABEL_ROLE`] on the stats Service.
pub const ROLE_STATS: &str = "stats";

/// Selects every object generated for any Pgpool.
pub const SELECTOR: &str =
    "app.kubernetes.io/name=pgpools.kubedb.com,app.kubernetes.io/managed-by=kubedb.com";

/// Value of [`LABEL_NAME`] on what belongs to a PostgreSQL of `KubeDB`.
pub const POSTGRES: &str = "postgreses.kubedb.com";
/// Selects the Secrets of any PostgreSQL's users.
pub const USER_SELECTOR: &str = "app.kubernetes.io/name=postgreses.kubedb.com";

/// Annotation: hash of the object as last applied.
pub const ANNOTATION_APPLIED_HASH: &str = "pgpool.kubedb.com/applied-hash";
/// Annotation of a pod template: hash of the settings that only a restart makes effective.
pub const ANNOTATION_CONFIG_HASH: &str = "pgpool.kubedb.com/config-hash";
/// Annotation of the workload: hash of its pod template. Detects removed fields.
pub const ANNOTATION_TEMPLATE_HASH: &str = "pgpool.kubedb.com/template-hash";
/// Annotation of a pod template: hash of the template without CPU and memory of its containers. A pod with the same hash
/// can be resized instead of replaced.
pub const ANNOTATION_TEMPLATE_BASE_HASH: &str = "pgpool.kubedb.com/template-base-hash";
/// Annotation of a Pgpool: when new certificates may be given to its pods, such as `Sat,Sun 02:00-05:00 Europe/Berlin`;
/// `none` for at any time.
pub const ANNOTATION_MAINTENANCE_WINDOW: &str = "pgpool.kubedb.com/maintenance-window";
/// Annotation of the configuration Secret: hash of the image and the settings that passed the config check.
pub const ANNOTATION_VALIDATED_CONFIG_HASH: &str = "pgpool.kubedb.com/validated-config-hash";
/// Annotation of a pod: versions of its mounted Secrets at the last volume sync. Changing it makes the kubelet refresh them.
pub const ANNOTATION_MOUNTED_SECRETS: &str = "pgpool.kubedb.com/mounted-secrets";
/// Annotation of a TLS copy: fingerprints of the trusted client CAs. Those of earlier issuers carry the time since which no
/// certificate comes from them.
pub const ANNOTATION_TRUSTED_CAS: &str = "pgpool.kubedb.com/trusted-cas";
/// Annotation of a Pgpool: how long certificates of an earlier issuer or CA are accepted after the last one has been
/// replaced, such as `10m`; `0s` for not at all.
pub const ANNOTATION_CA_OVERLAP: &str = "pgpool.kubedb.com/ca-overlap";
/// Annotation of the auth Secret: since when its password is in use.
pub const ANNOTATION_AUTH_ACTIVE_FROM: &str = "kubedb.com/auth-active-from";

/// Annotation of a Pgpool: a new value, whichever, resumes certificates that were stopped for changing too often.
pub const ANNOTATION_RESUME_CERTIFICATES: &str = "pgpool.kubedb.com/resume-certificates";
/// Annotation of a certificate Secret, in the memory of an operator alone: who wrote what stands in it, unless that was
/// cert-manager.
pub const ANNOTATION_WRITTEN_BY: &str = "pgpool.kubedb.com/written-by";
/// Annotation of the auth Secret: UID of the `PgpoolOpsRequest` that made its password.
pub const ANNOTATION_ROTATED_BY: &str = "pgpool.kubedb.com/rotated-by";
/// Annotation in `spec.podTemplate.metadata` of a Pgpool: pods are replaced one by one whenever it changes.
pub const ANNOTATION_RESTARTED_AT: &str = "pgpool.kubedb.com/restarted-at";

/// Annotation of the stats Service: who scrapes, one of the values of `spec.monitor.agent`.
pub const ANNOTATION_AGENT: &str = "monitoring.appscode.com/agent";

/// The labels by which the pods of a Pgpool are selected. They never change: a workload's selector
/// cannot.
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

/// The labels of every generated object: the Pgpool's own as far as they may be passed on, then the
/// component and the selector, which nobody can replace.
#[must_use]
pub fn offshoot_labels(pgpool: &Pgpool) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<_, _> = propagated(pgpool.labels()).collect();
    labels.insert(LABEL_COMPONENT.to_owned(), COMPONENT.to_owned());
    labels.extend(selector_labels(&pgpool.name_any()));
    labels
}

/// The labels or annotations that may be passed on to generated objects: those that do not identify
/// the object itself and do not belong to `kubedb.com`.
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

/// `<base>-<suffix>`, at most [`MAX_LENGTH`] long and without a dash at either edge: the base is cut,
/// the suffix is kept. Both are ASCII, as every name of an object is.
///
/// Two long names that differ only in what is cut give one result; whoever creates the object finds
/// that it belongs to somebody else.
#[must_use]
pub fn suffixed(base: &str, suffix: &str) -> String {
    let room = MAX_LENGTH.saturating_sub(suffix.len() + 1);
    let base: String = base.chars().take(room).collect();
    let excess = suffix.len().saturating_sub(MAX_LENGTH);
    let suffix: String = suffix.chars().skip(excess).collect();
    format!("{base}-{suffix}").trim_matches('-').to_owned()
}

/// The Service of clients.
#[must_use]
pub fn primary_service(pgpool: &Pgpool) -> String {
    pgpool.name_any()
}

/// The headless Service that names each pod.
#[must_use]
pub fn governing_service(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "pods")
}

/// The Service of metrics.
#[must_use]
pub fn stats_service(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "stats")
}

/// The Job that runs the scripts of `spec.init`.
#[must_use]
pub fn init_job(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "init")
}

/// The labels of the pods of [`init_job`]: no Service and no budget of the pool selects them.
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

/// The Secret with `pool_passwd`, which may change under a running pool.
#[must_use]
pub fn users_secret(pgpool: &Pgpool) -> String {
    suffixed(&pgpool.name_any(), "users")
}

/// The immutable copy of one certificate, by a hash of its content.
#[must_use]
pub fn tls_secret(name: &str, hash: &str) -> String {
    suffixed(name, &format!("tls-{hash}"))
}

/// The Secret and the pod of a config check, by a hash of the settings.
#[must_use]
pub fn config_check(name: &str, hash: &str) -> String {
    suffixed(name, &format!("config-{hash}"))
}

/// The cert-manager `Certificate` of one use.
#[must_use]
pub fn certificate(pgpool: &Pgpool, alias: Alias) -> String {
    suffixed(&pgpool.name_any(), &format!("{alias}-cert"))
}

/// The Secret that cert-manager writes one certificate to: the user's choice, or named as the
/// certificate.
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

/// The service account of the pods: the user's, or a generated one.
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

/// The reference by which a Pgpool controls a generated object.
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

/// The DNS names a server certificate must bear: every Service in its short, `.ns`, `.ns.svc` and
/// full form, the pods below the governing Service, and `localhost`. Sorted, none twice.
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

/// The last six characters of the UID: they keep a successor of the same name apart.
fn uid_tail(pgpool: &Pgpool) -> String {
    let uid = pgpool.uid().unwrap_or_default();
    let start = uid.char_indices().rev().nth(5).map_or(0, |(at, _)| at);
    uid[start..].to_owned()
}

#[cfg(test)]
mod tests;
