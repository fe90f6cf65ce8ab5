//! What is watched, and what of each object is kept. Wiring.
//!
//! Memory follows the number of our own objects: foreign ones are left out by label, and what nobody reads is dropped.

mod foreign_writer;
pub(crate) mod mapping;
mod triggers;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use operator_runtime::{Cache, Named, Policies, Runtime};
use shared_types::{Pgpool, PgpoolOpsRequest, names, policies};

use crate::ca_index::CaIndex;
use crate::cert_manager::{Certificate, CertificateRequest, ClusterIssuer, Issuer};
use crate::public_part;

pub(crate) use triggers::Triggers;

#[derive(Clone)]
pub(crate) struct Caches {
    /// Without their pod templates.
    pub(crate) pgpools: Cache<Pgpool>,
    /// Each with the name of its Pgpool as its instance, for the index.
    pub(crate) requests: Cache<PgpoolOpsRequest>,
    /// With our labels. Of their data only certificates and the public part of keys.
    pub(crate) secrets: Cache<Secret>,
    /// With our labels. Only their metadata.
    pub(crate) services: Cache<Service>,
    /// Single Secrets that a Pgpool refers to and that need not have our labels.
    pub(crate) named_secrets: Named<Secret, Pgpool>,
    /// The Secrets of the CAs behind issuers, without the keys.
    pub(crate) issuer_cas: Named<Secret, Pgpool>,
    /// Where cert-manager looks for the Secrets of `ClusterIssuer`s.
    pub(crate) cluster_resource_namespace: String,
    /// With our labels.
    pub(crate) certificates: Cache<Certificate>,
    /// Of Certificates with our labels.
    pub(crate) certificate_requests: Cache<CertificateRequest>,
    pub(crate) issuers: Cache<Issuer>,
    pub(crate) cluster_issuers: Cache<ClusterIssuer>,
    /// Which CAs have signed certificates of which Pgpools.
    pub(crate) ca_index: Arc<CaIndex>,
    /// Of the API server.
    pub(crate) policies: Policies,
}

impl Caches {
    /// Starts all watches.
    pub(crate) fn watch(runtime: &mut Runtime, cluster_resource_namespace: String) -> (Self, Triggers) {
        let ours = || watcher::Config::default().labels(names::SELECTOR);
        let all = watcher::Config::default;
        let caches = Self {
            pgpools: runtime.watch(all(), reduce_pgpool).0,
            // Optional: without this kind there are no requests, and certificates are issued all the same.
            requests: runtime.watch_optional(all(), reduce_request).0,
            secrets: runtime.watch(ours(), reduce_secret).0,
            services: runtime.watch(ours(), reduce_service).0,
            named_secrets: Named::new(runtime, reduce_secret),
            issuer_cas: Named::new(runtime, reduce_issuer_ca),
            cluster_resource_namespace,
            // Optional: the status of each Pgpool says when cert-manager's kinds are absent or forbidden.
            certificates: runtime.watch_optional(ours(), |_| ()).0,
            certificate_requests: runtime.watch_optional(ours(), |_| ()).0,
            issuers: runtime.watch_optional(all(), |_| ()).0,
            cluster_issuers: runtime.watch_optional(all(), |_| ()).0,
            ca_index: Arc::default(),
            policies: Policies::watch(runtime, &[policies::RIGHTS, policies::REQUEST_RIGHTS]),
        };
        let triggers = Triggers::of(&caches);
        (caches, triggers)
    }

    /// All requests for a Pgpool, from an index.
    pub(crate) fn requests_of(
        requests: &Cache<PgpoolOpsRequest>,
        pgpool: &ObjectRef<Pgpool>,
    ) -> Vec<Arc<PgpoolOpsRequest>> {
        requests.of_instance(pgpool.namespace.as_deref().unwrap_or_default(), &pgpool.name)
    }

    /// Stops the watches of single Secrets that this Pgpool referred to, and forgets its CAs.
    pub(crate) fn unsubscribe(&self, pgpool: &ObjectRef<Pgpool>) {
        self.named_secrets.follow(pgpool, &[]);
        self.issuer_cas.follow(pgpool, &[]);
        self.ca_index.remove(pgpool);
    }
}

fn reduce_pgpool(pgpool: &mut Pgpool) {
    pgpool.spec.pod_template = None;
}

/// Keeps certificates and the public part of keys: no private key, password or configuration. Who wrote a certificate is
/// read here, before the managed fields are dropped: it costs no request, and one annotation if it was not cert-manager.
fn reduce_secret(secret: &mut Secret) {
    let writer = foreign_writer::foreign_writer(secret.managed_fields());
    let annotations = secret.annotations_mut();
    annotations.remove(names::ANNOTATION_WRITTEN_BY);
    if let Some(writer) = writer {
        annotations.insert(names::ANNOTATION_WRITTEN_BY.to_owned(), writer);
    }
    if let Some(data) = &mut secret.data {
        data.retain(|key, _| ["ca.crt", "tls.crt", "tls.key"].contains(&key.as_str()));
        public_part::reduce(data);
    }
}

/// Keeps the certificate of a CA, never its key.
fn reduce_issuer_ca(secret: &mut Secret) {
    secret.metadata.annotations = None;
    secret.metadata.labels = None;
    secret.metadata.owner_references = None;
    if let Some(data) = &mut secret.data {
        data.retain(|key, _| key == "tls.crt");
    }
}

/// Puts the name of the Pgpool into the label by which the cache finds objects. The label is only in the cache of this
/// operator, and is never written.
pub(crate) fn reduce_request(request: &mut PgpoolOpsRequest) {
    let pgpool = request.spec.database_ref.name.clone();
    request.metadata.labels = Some([(names::LABEL_INSTANCE.to_owned(), pgpool)].into());
    request.metadata.annotations = None;
}

fn reduce_service(service: &mut Service) {
    service.spec = None;
    service.status = None;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    type Reduce = fn(&mut Secret);

    #[test]
    fn no_passwords_and_no_keys_of_cas_are_kept() {
        let rows: [(Reduce, &[&str]); 2] = [
            (reduce_secret, &["ca.crt", public_part::ENTRY, "tls.crt"]),
            (reduce_issuer_ca, &["tls.crt"]),
        ];
        for (reduce, kept) in rows {
            let entries = ["tls.crt", "tls.key", "ca.crt", "password", "pcp.conf"];
            let data = entries.map(|key| (key.to_owned(), ByteString::default()));
            let mut secret = Secret {
                data: Some(BTreeMap::from(data)),
                ..Secret::default()
            };
            reduce(&mut secret);
            assert_eq!(secret.data.unwrap().into_keys().collect::<Vec<_>>(), kept);
        }
    }
}
