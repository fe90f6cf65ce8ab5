//! What the controller has cached: the requests, and what the controller of certificates has cached anyway.

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher;
use operator_runtime::{Cache, Runtime};
use shared_types::{Pgpool, PgpoolOpsRequest};

use crate::cert_manager::Certificate;
use crate::certificates;

/// What the controller has cached.
#[derive(Clone)]
pub(crate) struct Caches {
    /// Every request in scope.
    pub(crate) requests: Cache<PgpoolOpsRequest>,
    /// Every Pgpool in scope, without its pod template.
    pub(crate) pgpools: Cache<Pgpool>,
    /// Certificates that bear our labels.
    pub(crate) certificates: Cache<Certificate>,
    /// Secrets that bear our labels, without passwords.
    pub(crate) secrets: Cache<Secret>,
}

impl Caches {
    /// Starts to fill the one cache that is not there yet.
    pub(crate) fn start(runtime: &mut Runtime, others: &certificates::caches::Caches) -> Self {
        // A cluster without the kind has no requests; certificates are looked after all the same.
        let (requests, _) = runtime.watch_optional(watcher::Config::default(), |_| ());
        Self {
            requests,
            pgpools: others.pgpools.clone(),
            certificates: others.certificates.clone(),
            secrets: others.secrets.clone(),
        }
    }
}
