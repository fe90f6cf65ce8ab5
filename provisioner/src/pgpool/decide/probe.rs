//! Decides which pods are probed, and how to log in to them. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use shared_types::{Alias, ClientAuthMode, Pgpool, names};

use super::rollout::Leaves;
use super::tls_copy::{entry, leaf};
use super::{Situation, client_auth, handoff};
use crate::health::{Access, AddressRefusal, ClientCertificate, Pod, PodIdentity};
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{Certificate, Observed};
use crate::pgpool::validate::Validated;

#[cfg(test)]
mod tests;

/// A probe holds one of the connections that all Pgpools share, so no Pgpool may have it for longer.
pub(super) const LONGEST_PROBE: Duration = Duration::from_secs(30);

/// The pods that can be probed.
pub(crate) fn targets(observed: &Observed) -> Vec<Pod> {
    let leaves = Leaves::of(&observed.live.tls_copies);
    let mut targets = Vec::new();
    for pod in &observed.pods {
        let Some(ip) = pod.ip.filter(|_| pod.running) else {
            continue;
        };
        let identity = identity(pod, &leaves);
        targets.push(Pod {
            uid: pod.uid.clone(),
            ip,
            ready: pod.ready,
            address_refusal: address_refusal(ip, pod.is_node_ip, &identity),
            identity,
        });
    }
    targets
}

/// What a pod must show: the certificate of the copy that it mounts, so that during a rollout each pod is held against the
/// certificate that it was started with.
fn identity(pod: &PodFacts, leaves: &Leaves<'_>) -> PodIdentity {
    let Some(revision) = pod.certificate_revision() else {
        return PodIdentity::PlainText;
    };
    let secret = revision.secret_name().to_owned();
    match leaves.expected(revision) {
        Some(certificate) => PodIdentity::Certificate { certificate, secret },
        None => PodIdentity::Unknown { secret },
    }
}

/// Addresses that cannot be the pod's alone. The kubelet writes the address into the status; somebody with rights on the
/// subresource `pods/status`, which no default role grants to users, could write another. With TLS that is harmless.
fn address_refusal(ip: IpAddr, is_node_ip: bool, identity: &PodIdentity) -> Option<AddressRefusal> {
    let canonical = ip.to_canonical();
    let is_link_local = match canonical {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if is_link_local || canonical.is_loopback() || canonical.is_unspecified() || canonical.is_multicast() {
        return Some(AddressRefusal::Impossible(ip));
    }
    (is_node_ip && *identity == PodIdentity::PlainText).then_some(AddressRefusal::Node(ip))
}

/// Whether probes can run; in `cert` mode they need a valid client certificate.
pub(super) fn can_probe(situation: &Situation<'_>) -> bool {
    let Situation {
        validated,
        observed,
        now,
        ..
    } = situation;
    let by_certificate = validated.client_auth_mode == ClientAuthMode::Cert;
    !by_certificate
        || client_auth::is_switching(situation)
        || !observed.pod_health.is_empty()
        || client_certificate(&observed.certificates, *now).is_some()
}

/// How to log in to the pods. `None` while a client certificate is needed and the one in its Secret is not
/// valid: pods would reject it, which proves nothing about them.
pub(super) fn access(situation: &Situation<'_>) -> Option<Access> {
    let Situation {
        pgpool,
        validated,
        observed,
        now,
        ..
    } = *situation;
    let client = match validated.client_auth_mode {
        ClientAuthMode::Cert => match client_certificate(&observed.certificates, now) {
            None if !client_auth::is_switching(situation) => return None,
            client => client,
        },
        ClientAuthMode::Md5 | ClientAuthMode::Scram => None,
    };
    let health = pgpool.spec.health_checker();
    Some(Access {
        server_names: server_names(&validated.host, &copies(observed)),
        ssl_mode: validated.ssl_mode,
        client,
        previous_client_certificate: None,
        login: validated.backend.login.clone(),
        // While pods keep their rules these may be of another method.
        md5: validated.client_auth_mode == ClientAuthMode::Md5 || client_auth::is_switching(situation),
        md5_until: None,
        login_source: login_source(pgpool, observed),
        backend: backend(pgpool, validated),
        children: validated.children(),
        writes: health.writes,
        period: health.period,
        timeout: health.timeout.min(LONGEST_PROBE),
        failure_threshold: u32::try_from(health.failure_threshold).unwrap_or(1),
    })
}

fn client_certificate(certificates: &[Certificate], now: Timestamp) -> Option<ClientCertificate> {
    let client = certificates
        .iter()
        .find(|certificate| certificate.alias == Alias::Client)?;
    if !handoff::is_good(client, now) {
        return None;
    }
    Some(ClientCertificate {
        chain: entry(certificates, Alias::Client, "tls.crt")?.to_vec(),
        key: entry(certificates, Alias::Client, "tls.key")?.to_vec(),
    })
}

/// The TLS copies that pods mount.
fn copies(observed: &Observed) -> Vec<&Secret> {
    let revisions: BTreeSet<_> = observed
        .pods
        .iter()
        .filter_map(PodFacts::certificate_revision)
        .collect();
    let copies = revisions.into_iter();
    let copies = copies.filter_map(|revision| observed.live.tls_copies.get(revision));
    copies.map(AsRef::as_ref).collect()
}

/// The name by which clients verify the server, and one for each pod that still serves a certificate from before
/// `spec.tls.names` or the user's names changed. None if such a certificate has no name but a wildcard or an address: which
/// certificate a pod serves is known without its name.
fn server_names(host: &str, copies: &[&Secret]) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    for leaf in copies.iter().filter_map(|copy| leaf(copy)) {
        if leaf.covers(host) {
            continue;
        }
        let Some(name) = leaf.dns_names.into_iter().find(|name| !name.starts_with('*')) else {
            return Vec::new();
        };
        names.push(name);
    }
    names
}

fn backend(pgpool: &Pgpool, validated: &Validated) -> String {
    let reference = &pgpool.spec.postgres_ref;
    let namespace = names::app_binding_namespace(pgpool);
    let nodes = validated.backend.nodes.iter();
    let addresses: Vec<_> = nodes.map(|node| format!("{}:{}", node.host, node.port)).collect();
    format!(
        "PostgreSQL {} (AppBinding {namespace}/{})",
        addresses.join(" and "),
        reference.name
    )
}

fn login_source(pgpool: &Pgpool, observed: &Observed) -> String {
    let binding = observed.inputs.app_binding.present();
    let secret = binding
        .and_then(|binding| binding.spec.secret.as_ref())
        .map(|secret| secret.name.as_str());
    let namespace = binding
        .and_then(|binding| binding.namespace())
        .or_else(|| pgpool.namespace());
    format!("{}/{}", namespace.unwrap_or_default(), secret.unwrap_or_default())
}
