//! Reads the certificates that a `Pgpool` needs: their Secrets, what they must satisfy, and the verdict of ops-manager.

use kube::ResourceExt;
use proto::verdict::CertificateVerdict;
use shared_types::certificates::required;
use shared_types::conditions::{ConditionType, find};
use shared_types::{Alias, Pgpool, names};

use super::certificate::Certificate;
use super::{Lookup, cached, named};
use crate::context::Context;

pub(super) fn certificates(pgpool: &Pgpool, context: &Context) -> Vec<Certificate> {
    if !pgpool.spec.ssl_mode().enabled() {
        return Vec::new();
    }
    let namespace = pgpool.namespace().unwrap_or_default();
    let certificate = |alias| {
        let secret_name = names::certificate_secret(pgpool, alias);
        let secret = match cached(&context.caches.secrets, Some(&namespace), &secret_name) {
            Lookup::Absent => match named(context, &namespace, &secret_name) {
                // It is not watched by name, so only the cache knows.
                Lookup::Pending => Lookup::Absent,
                known => known,
            },
            known => known,
        };
        let required = required(pgpool, alias, &context.cluster_domain);
        Certificate {
            alias,
            namespace: namespace.clone(),
            secret_name,
            secret,
            required,
        }
    };
    Alias::ALL.into_iter().map(certificate).collect()
}

/// The generation of the spec that the verdict in the status is about: that of the condition which ops-manager writes
/// together with the entries.
pub(crate) fn published_for(pgpool: &Pgpool) -> Option<i64> {
    let status = pgpool.status.as_ref()?;
    find(&status.conditions, ConditionType::CertificatesReady)?.observed_generation
}

/// The verdict of ops-manager in the status.
pub(crate) fn published(pgpool: &Pgpool) -> Vec<CertificateVerdict> {
    let status = pgpool.status.iter().flat_map(|status| &status.certificates);
    status.map(CertificateVerdict::of_status).collect()
}

/// Certificate Secrets that ops-manager has seen and our label selector does not match: they are watched by name. Before
/// ops-manager has seen them there is nothing to watch, and a watch costs two requests.
pub(super) fn unlabeled(
    pgpool: &Pgpool,
    context: &Context,
    certificates: &[Certificate],
) -> Vec<(String, String)> {
    let mut seen = published(pgpool);
    seen.extend(
        context
            .verdicts
            .get(pgpool)
            .into_iter()
            .flat_map(|verdict| verdict.certificates.clone()),
    );
    let hidden = certificates.iter().filter(|certificate| {
        let cached = context
            .caches
            .secrets
            .get(Some(&certificate.namespace), &certificate.secret_name);
        let known = seen
            .iter()
            .any(|it| it.alias == certificate.alias && it.fingerprint.is_some());
        cached.is_none() && known
    });
    hidden
        .map(|certificate| (certificate.namespace.clone(), certificate.secret_name.clone()))
        .collect()
}
