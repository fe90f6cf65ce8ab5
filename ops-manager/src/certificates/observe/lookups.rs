//! Look-ups in the caches, one kind of object per function.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use operator_runtime::{Availability, Lookup};
use shared_types::{Alias, Pgpool, names};

use super::{
    Child, Claim, IssuerState, Prerequisite, Presence, created, issued_for, named_by_user, writes_to,
};
use crate::caches::Caches;
use crate::caches::mapping::may_collide;
use crate::cert_manager::{self, Certificate, CertificateRequest, IssuerReference, IssuerStatus};

impl Caches {
    pub(super) fn issuer(&self, pgpool: &Pgpool, issuer: &IssuerReference) -> IssuerState {
        if issuer.group != cert_manager::GROUP {
            return IssuerState::Unchecked;
        }
        match issuer.kind.as_str() {
            "Issuer" => {
                let namespace = pgpool.namespace().unwrap_or_default();
                let found = self.issuers.get(Some(&namespace), &issuer.name);
                let found = found.map(|found| present(&found.metadata, found.status.as_ref()));
                issuer_state(self.issuers.availability_in(&namespace), found)
            }
            "ClusterIssuer" => {
                let found = self.cluster_issuers.get(None, &issuer.name);
                let found = found.map(|found| present(&found.metadata, found.status.as_ref()));
                issuer_state(self.cluster_issuers.availability(), found)
            }
            _ => IssuerState::Absent,
        }
    }

    /// A Secret with the labels of this Pgpool.
    pub(super) fn labeled_secret(&self, pgpool: &Pgpool, name: &str) -> Option<Arc<Secret>> {
        let secret = self.secrets.get(pgpool.namespace().as_deref(), name)?;
        let instance = secret.labels().get(names::LABEL_INSTANCE);
        (instance == Some(&pgpool.name_any())).then_some(secret)
    }

    /// The certificate Secrets that no Certificate is written to yet, though one may be requested. What already exists
    /// under such a name would be overwritten, so it is looked up before.
    pub(super) fn unclaimed(&self, pgpool: &Pgpool) -> Vec<String> {
        let namespace = pgpool.namespace().unwrap_or_default();
        let served = self.certificates.availability_in(&namespace) == Availability::Served;
        let requests = served && pgpool.spec.tls.is_some() && pgpool.spec.ssl_mode().enabled();
        let aliases = Alias::ALL
            .into_iter()
            .filter(|alias| requests && IssuerReference::of(pgpool, *alias).is_some());
        let secrets = aliases.filter_map(|alias| {
            let secret = names::certificate_secret(pgpool, alias);
            let certificate = names::certificate(pgpool, alias);
            let certificate = self.certificates.get(Some(&namespace), &certificate);
            (!writes_to(certificate.as_deref(), &secret)).then_some(secret)
        });
        secrets.collect()
    }

    /// A Secret by its name, whichever cache has it.
    pub(crate) fn secret(&self, pgpool: &Pgpool, name: &str) -> Lookup<Secret> {
        if let Some(secret) = self.labeled_secret(pgpool, name) {
            return Lookup::Present(secret);
        }
        let mut watched = named_by_user(pgpool).into_iter().chain(self.unclaimed(pgpool));
        if watched.any(|watched| watched == name) {
            return self
                .named_secrets
                .lookup(&pgpool.namespace().unwrap_or_default(), name);
        }
        Lookup::Absent
    }

    pub(super) fn prerequisites(&self, pgpool: &Pgpool) -> Vec<Prerequisite> {
        let auth = names::auth_secret(pgpool);
        // Without TLS nothing waits for it, and a Secret of the user is not watched.
        let generated = pgpool
            .spec
            .auth_secret
            .as_ref()
            .is_none_or(|secret| secret.name.is_none());
        let auth = (generated || pgpool.spec.tls.is_some()).then_some(auth);
        let generated = [
            names::config_secret(pgpool),
            names::pcp_secret(pgpool),
            names::users_secret(pgpool),
        ];
        let secrets = auth.into_iter().chain(generated).map(|name| Prerequisite {
            kind: "Secret",
            presence: self.secret_presence(pgpool, &name),
            name,
        });
        let services = [names::primary_service(pgpool), names::governing_service(pgpool)];
        let services = services.into_iter().map(|name| {
            let found = self.services.get(pgpool.namespace().as_deref(), &name);
            Prerequisite {
                kind: "Service",
                presence: found.map_or(Presence::Absent, |found| {
                    Presence::Since(created(&found.metadata))
                }),
                name,
            }
        });
        secrets.chain(services).collect()
    }

    /// The Secret of the PCP user under its default name may be the user's own. Without our labels it is not cached here,
    /// but the provisioner makes the PCP Secret from it: once that one exists, so does this one.
    fn secret_presence(&self, pgpool: &Pgpool, name: &str) -> Presence {
        let found = presence(&self.secret(pgpool, name));
        let unseen = found == Presence::Absent
            && name == names::auth_secret(pgpool)
            && !named_by_user(pgpool).iter().any(|named| named == name);
        if unseen {
            presence(&self.secret(pgpool, &names::pcp_secret(pgpool)))
        } else {
            found
        }
    }

    pub(super) fn claims(&self, pgpool: &Pgpool) -> Vec<Claim> {
        let ours = Alias::ALL.map(|alias| names::certificate_secret(pgpool, alias));
        let others = self.pgpools.list();
        let others = others.iter().filter(|other| may_collide(pgpool, other));
        let claims = others.flat_map(|other| {
            let theirs = Alias::ALL.map(|alias| names::certificate_secret(other, alias));
            theirs
                .into_iter()
                .filter(|name| ours.contains(name))
                .map(|secret| Claim {
                    secret,
                    pgpool: other.name_any(),
                    created: created(&other.metadata),
                })
        });
        claims.collect()
    }

    pub(super) fn child(&self, pgpool: &Pgpool, alias: Alias) -> Child {
        let namespace = pgpool.namespace();
        let certificate = self
            .certificates
            .get(namespace.as_deref(), &names::certificate(pgpool, alias));
        let unready = certificate.as_ref().filter(|certificate| {
            let ready = certificate.condition("Ready");
            !ready.is_some_and(cert_manager::Condition::is_true) || certificate.is_issuing()
        });
        let secret = self.secret(pgpool, &names::certificate_secret(pgpool, alias));
        Child {
            request: unready.and_then(|certificate| self.newest_request(pgpool, certificate)),
            maker: issued_for(&secret).and_then(|name| self.certificates.get(namespace.as_deref(), name)),
            secret,
            certificate,
        }
    }

    /// cert-manager gives a request the labels of its Certificate, so that the watch finds it.
    fn newest_request(&self, pgpool: &Pgpool, certificate: &Certificate) -> Option<Arc<CertificateRequest>> {
        let namespace = pgpool.namespace().unwrap_or_default();
        let requests = self
            .certificate_requests
            .of_instance(&namespace, &pgpool.name_any());
        let requests = requests.into_iter().filter(|request| {
            request.annotations().get(cert_manager::CERTIFICATE_NAME) == certificate.metadata.name.as_ref()
        });
        requests.max_by_key(|request| (created(&request.metadata), request.name_any()))
    }
}

fn issuer_state(kind: Availability, found: Option<IssuerState>) -> IssuerState {
    match (kind, found) {
        (Availability::Forbidden, _) => IssuerState::Unchecked,
        (Availability::Absent, _) => IssuerState::KindAbsent,
        (_, Some(found)) => found,
        (Availability::Starting, None) => IssuerState::Starting,
        (Availability::Served, None) => IssuerState::Absent,
    }
}

fn present(meta: &ObjectMeta, status: Option<&IssuerStatus>) -> IssuerState {
    let ready = status.and_then(|status| cert_manager::condition(&status.conditions, "Ready"));
    IssuerState::Present {
        ready: ready.is_some_and(cert_manager::Condition::is_true),
        message: ready
            .map(|ready| ready.message_or_reason().to_owned())
            .unwrap_or_default(),
        created: created(meta),
    }
}

fn presence(secret: &Lookup<Secret>) -> Presence {
    match secret {
        // Nothing may be concluded from what cannot be decoded.
        Lookup::Pending | Lookup::Undecodable(_) => Presence::Pending,
        Lookup::Absent => Presence::Absent,
        Lookup::Forbidden => Presence::Forbidden,
        Lookup::Present(secret) => Presence::Since(created(&secret.metadata)),
    }
}
