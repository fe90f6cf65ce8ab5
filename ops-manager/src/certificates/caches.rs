//! What the process has cached, and what of each object is kept. Memory follows the number of our own objects: foreign
//! ones are left out by label, and what nobody reads is dropped.

mod writers;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::ResourceExt;
use kube::runtime::watcher;
use operator_runtime::{Cache, Named, Runtime};
use shared_types::{Pgpool, names};

use super::observe::trim_authority;
use crate::cert_manager::{Certificate, CertificateRequest, ClusterIssuer, Issuer};

/// What the process has cached.
#[derive(Clone)]
pub(crate) struct Caches {
    /// Every Pgpool in scope.
    pub(crate) pgpools: Cache<Pgpool>,
    /// Secrets that bear our labels.
    pub(crate) secrets: Cache<Secret>,
    /// Services that bear our labels.
    pub(crate) services: Cache<Service>,
    /// Secrets that users named, by name.
    pub(crate) named: Named<Secret, Pgpool>,
    /// CAs behind issuers, by name, and nothing of them but the certificate.
    pub(crate) authorities: Named<Secret, Pgpool>,
    /// Where cert-manager looks for the Secrets of issuers of the cluster.
    pub(crate) cluster_resource_namespace: String,
    /// Certificates that bear our labels.
    pub(crate) certificates: Cache<Certificate>,
    /// Requests for those Certificates.
    pub(crate) requests: Cache<CertificateRequest>,
    /// Issuers of namespaces.
    pub(crate) issuers: Cache<Issuer>,
    /// Issuers of the cluster.
    pub(crate) cluster_issuers: Cache<ClusterIssuer>,
}

impl Caches {
    /// Starts to fill the caches.
    pub(crate) fn start(runtime: &mut Runtime, cluster_resource_namespace: String) -> Self {
        let ours = || watcher::Config::default().labels(names::SELECTOR);
        let any = watcher::Config::default;
        Self {
            pgpools: runtime.watch(any(), trim_pgpool).0,
            secrets: runtime.watch(ours(), trim_secret).0,
            services: runtime.watch(ours(), trim_service).0,
            named: Named::new(runtime, trim_secret),
            authorities: Named::new(runtime, trim_authority),
            cluster_resource_namespace,
            // What may not be seen of cert-manager is told in each Pgpool.
            certificates: runtime.watch_optional(ours(), |_| ()).0,
            // Only for the cause of a failure.
            requests: runtime.watch_optional(ours(), |_| ()).0,
            issuers: runtime.watch_optional(any(), |_| ()).0,
            // Seen only where a ClusterRole says so; otherwise the Certificate tells whether its issuer can issue.
            cluster_issuers: runtime.watch_optional(any(), |_| ()).0,
        }
    }
}

/// Pods are not ours.
fn trim_pgpool(pgpool: &mut Pgpool) {
    pgpool.spec.pod_template = None;
}

/// Passwords and configurations are known to exist and not known otherwise. Who wrote a certificate is read here, before
/// the managed fields are dropped: so it costs no request, and of memory a name where there is something to tell.
fn trim_secret(secret: &mut Secret) {
    let writer = writers::foreign(secret.managed_fields());
    let annotations = secret.annotations_mut();
    annotations.remove(names::ANNOTATION_WRITTEN_BY);
    annotations.extend(writer.map(|writer| (names::ANNOTATION_WRITTEN_BY.to_owned(), writer)));
    if let Some(data) = &mut secret.data {
        data.retain(|key, _| ["ca.crt", "tls.crt", "tls.key"].contains(&key.as_str()));
    }
}

/// That it exists is all that matters.
fn trim_service(service: &mut Service) {
    service.spec = None;
    service.status = None;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn passwords_are_never_kept() {
        let entries = ["tls.crt", "tls.key", "ca.crt", "password", "pcp.conf"];
        let data = entries.map(|key| (key.to_owned(), ByteString::default()));
        let mut secret = Secret {
            data: Some(BTreeMap::from(data)),
            ..Secret::default()
        };
        trim_secret(&mut secret);
        assert_eq!(
            secret.data.unwrap().into_keys().collect::<Vec<_>>(),
            ["ca.crt", "tls.crt", "tls.key"]
        );
    }
}
