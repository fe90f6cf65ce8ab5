//! The certificates that a `Pgpool` needs: their Secrets, what they have to be good for, and what ops-manager says.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use proto::verdict::CertificateVerdict;
use shared_types::certificates::required;
use shared_types::conditions::{ConditionType, find};
use shared_types::{Alias, Pgpool, names};
use tls_bundle::{Fingerprint, Required};

use super::{Lookup, cached, named};
use crate::context::Context;

/// A certificate that a `Pgpool` needs, and its Secret as the cache has it.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// Which of the certificates.
    pub(crate) alias: Alias,
    /// The namespace of the `Pgpool`, which is that of the Secret.
    pub(crate) namespace: String,
    /// The name of the Secret.
    pub(crate) secret_name: String,
    /// The Secret.
    pub(crate) secret: Lookup<Arc<Secret>>,
    /// What the certificate has to be good for, in every role that it plays.
    pub(crate) required: Vec<Required>,
}

impl Certificate {
    /// The fingerprint of the leaf in the Secret; `None` inside when there is no readable leaf.
    pub(crate) fn leaf(&self) -> Lookup<Option<Fingerprint>> {
        self.secret.clone().map(|secret| {
            let pem = secret.data.as_ref().and_then(|data| data.get("tls.crt"))?;
            Some(Fingerprint::of_der(&tls_bundle::leaf_der(&pem.0)?))
        })
    }

    /// How people find the Secret.
    pub(crate) fn title(&self) -> String {
        format!(
            "Secret {}/{} ({} certificate)",
            self.namespace,
            self.secret_name,
            self.alias.as_str()
        )
    }
}

pub(super) fn certificates(pgpool: &Pgpool, context: &Context) -> Vec<Certificate> {
    if !pgpool.spec.ssl_mode().enabled() {
        return Vec::new();
    }
    let namespace = pgpool.namespace().unwrap_or_default();
    let certificate = |alias| {
        let secret_name = names::certificate_secret(pgpool, alias);
        let secret = match cached(&context.caches.secrets, Some(&namespace), &secret_name) {
            Lookup::Absent => match named(context, &namespace, &secret_name) {
                // Nobody follows it, so nobody knows better than the cache.
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

/// What ops-manager says of the certificates in the status.
pub(crate) fn published(pgpool: &Pgpool) -> Vec<CertificateVerdict> {
    let status = pgpool.status.iter().flat_map(|status| &status.certificates);
    status.map(CertificateVerdict::of_status).collect()
}

/// Certificate Secrets that ops-manager has seen and our selector has not: without our labels they are watched by
/// name. Before ops-manager has seen them there is nothing to watch, and a watch is two requests.
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
