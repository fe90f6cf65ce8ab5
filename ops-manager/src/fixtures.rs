//! One Pgpool and the world around it, as the tests of every step need them.

pub(crate) mod ops;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use operator_runtime::{Availability, Lookup};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use shared_types::certificates::LOGINS;
use shared_types::pgpool::{PodStatus, TlsConfig};
use shared_types::{Alias, ClientAuthMode, Pgpool, names};

use crate::ca_index::CaUse;
use crate::cert_manager::{self, Certificate, CertificateSpec, IssuerReference};
use crate::certificates::build::build;
use crate::certificates::decide::breaker::Limits;
use crate::certificates::decide::{Decision, decide};
use crate::certificates::observe::{Child, IssuerState, Observed, Prerequisite, Presence};
use crate::certificates::pending_writes::Recent;
use crate::certificates::validate::{Validated, validate};

pub(crate) const DOMAIN: &str = "cluster.local";

/// The time of every reconcile.
pub(crate) fn now() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

pub(crate) fn limits() -> Limits {
    Limits {
        revisions: 5,
        overwrites: 2,
        window: Duration::from_hours(1),
    }
}

pub(crate) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A Pgpool of an hour ago, with TLS and nothing special.
pub(crate) fn pgpool() -> Pgpool {
    serde_yaml::from_str(
        "
        apiVersion: kubedb.com/v1alpha2
        kind: Pgpool
        metadata:
          name: pool
          namespace: demo
          uid: 7a1d6c1e-0000-4000-8000-0000c0ffee01
          generation: 1
          creationTimestamp: 2026-06-01T11:00:00Z
          labels: {team: blue}
        spec:
          version: 4.5.0
          postgresRef: {name: pg, namespace: demo}
          sslMode: require
          tls:
            issuerRef: {kind: Issuer, name: ca}
        ",
    )
    .unwrap()
}

/// The same, with clients that log in by certificate.
pub(crate) fn by_certificate(mut pgpool: Pgpool) -> Pgpool {
    pgpool.spec.client_auth_mode = Some(ClientAuthMode::Cert);
    pgpool
}

/// The same with other wishes about certificates, in YAML as a user would write them below `spec.tls`.
pub(crate) fn pgpool_with(tls: &str) -> Pgpool {
    let mut pgpool = pgpool();
    let tls: TlsConfig = serde_yaml::from_str(tls).unwrap();
    let issuer_ref = tls.issuer_ref.or_else(|| pgpool.spec.tls.unwrap().issuer_ref);
    pgpool.spec.tls = Some(TlsConfig { issuer_ref, ..tls });
    pgpool
}

/// Another Pgpool of the same namespace.
pub(crate) fn named(mut pgpool: Pgpool, name: &str) -> Pgpool {
    pgpool.metadata.name = Some(name.into());
    pgpool.metadata.uid = Some(format!("uid-of-{name}"));
    pgpool
}

pub(crate) fn validated(pgpool: &Pgpool, observed: &Observed) -> Validated {
    validate(pgpool, observed, DOMAIN).unwrap()
}

/// What the provisioner has made, and a ready issuer for every alias; nothing is asked for yet.
pub(crate) fn prepared(pgpool: &Pgpool) -> Observed {
    let issuers = Alias::ALL.iter().filter_map(|alias| {
        let issuer = pgpool.spec.issuer_ref(*alias)?;
        Some(IssuerReference {
            group: cert_manager::GROUP.into(),
            kind: issuer.kind.clone(),
            name: issuer.name.clone(),
        })
    });
    let present = |kind, name| Prerequisite {
        kind,
        name,
        presence: Presence::Since(Some(at("2026-06-01T11:00:01Z"))),
    };
    Observed {
        rights: shared_types::policies::PolicyState::Trusted,
        cert_manager: Availability::Served,
        issuers: issuers.map(|issuer| (issuer, issuer_state(true))).collect(),
        issuer_cas: BTreeMap::new(),
        prerequisites: vec![
            present("Secret", names::auth_secret(pgpool)),
            present("Secret", names::config_secret(pgpool)),
            present("Secret", names::pcp_secret(pgpool)),
            present("Secret", names::users_secret(pgpool)),
            present("Service", names::primary_service(pgpool)),
            present("Service", names::governing_service(pgpool)),
        ],
        claims: Vec::new(),
        children: Alias::ALL.map(|alias| (alias, Child::default())).into(),
        client_cas: LOGINS.map(|alias| (alias, CaUse::Own)).into(),
        recent: Recent::default(),
    }
}

pub(crate) fn decided(pgpool: &Pgpool, observed: &Observed) -> Decision {
    decided_at(pgpool, observed, now())
}

pub(crate) fn decided_at(pgpool: &Pgpool, observed: &Observed, now: Timestamp) -> Decision {
    decide(
        pgpool,
        observed,
        validate(pgpool, observed, DOMAIN),
        &limits(),
        now,
    )
}

/// The Certificates to write.
pub(crate) fn built(pgpool: &Pgpool, observed: &Observed) -> Vec<(Alias, Certificate)> {
    build(&decided(pgpool, observed))
}

pub(crate) fn issuer_state(ready: bool) -> IssuerState {
    IssuerState::Present {
        ready,
        message: if ready {
            "Signing CA verified".into()
        } else {
            "no such Secret".into()
        },
        created: Some(at("2026-06-01T10:00:00Z")),
    }
}

/// As [`prepared`], with everything asked for, as it stands right after.
pub(crate) fn asked(pgpool: &Pgpool) -> Observed {
    let mut observed = prepared(pgpool);
    for (alias, mut certificate) in built(pgpool, &observed) {
        certificate.metadata.uid = Some(format!("uid-of-{alias}"));
        certificate.metadata.creation_timestamp = Some(Time(at("2026-06-01T11:00:02Z")));
        observed.children.get_mut(&alias).unwrap().certificate = Some(Arc::new(certificate));
    }
    observed
}

/// As [`asked`], with everything issued.
pub(crate) fn issued(pgpool: &Pgpool) -> Observed {
    let mut observed = asked(pgpool);
    let authority = Authority::new("root");
    for child in observed.children.values_mut() {
        let certificate = child.certificate.as_ref().unwrap();
        child.secret = present(authority.secret(certificate, |_| ()));
    }
    // Where clients log in by certificate, those that name the role come second.
    for (alias, certificate) in built(pgpool, &observed) {
        let child = observed.children.get_mut(&alias).unwrap();
        let mut ordered = Certificate::clone(child.certificate.as_ref().unwrap());
        if ordered.spec != certificate.spec {
            ordered.spec = certificate.spec;
            child.secret = present(authority.secret(&ordered, |_| ()));
            child.certificate = Some(Arc::new(ordered));
        }
    }
    observed
}

/// One certificate is issued as `pgpool` asks for it.
pub(crate) fn issue(observed: &mut Observed, pgpool: &Pgpool, alias: Alias, authority: &Authority) {
    let desired = built(pgpool, &prepared(pgpool));
    let (_, certificate) = desired.into_iter().find(|(of, _)| *of == alias).unwrap();
    let child = observed.children.get_mut(&alias).unwrap();
    child.secret = present(authority.secret(&certificate, |_| ()));
    child.certificate = Some(Arc::new(certificate));
}

/// The fingerprint of a leaf.
pub(crate) fn fingerprint(observed: &Observed, alias: Alias) -> String {
    let Lookup::Present(secret) = &observed.children[&alias].secret else {
        panic!("there is no {alias} Secret");
    };
    let leaf = tls_bundle::leaf_der(&secret.data.as_ref().unwrap()["tls.crt"].0).unwrap();
    tls_bundle::Fingerprint::of_der(&leaf).to_string()
}

/// What the provisioner reports about the pods: the leaf that each serves, if it is known.
pub(crate) fn serving(mut pgpool: Pgpool, pods: &[Option<&str>]) -> Pgpool {
    let pod = |(ordinal, served): (usize, Option<&str>)| PodStatus {
        name: format!("pool-{ordinal}"),
        ready: served.is_some(),
        served_fingerprint: served.map(str::to_owned),
        ..PodStatus::default()
    };
    let status = pgpool.status.get_or_insert_default();
    status.pods = pods.iter().copied().enumerate().map(pod).collect();
    pgpool
}

pub(crate) fn present(secret: Secret) -> Lookup<Secret> {
    Lookup::Present(Arc::new(secret))
}

/// Changes the Secret of one certificate.
pub(crate) fn change_secret(observed: &mut Observed, alias: Alias, change: impl FnOnce(&mut Secret)) {
    let child = observed.children.get_mut(&alias).unwrap();
    let Lookup::Present(secret) = &child.secret else {
        panic!("there is no {alias} Secret");
    };
    let mut secret = Secret::clone(secret);
    change(&mut secret);
    child.secret = present(secret);
}

/// Changes one Certificate.
pub(crate) fn change_certificate(
    observed: &mut Observed,
    alias: Alias,
    change: impl FnOnce(&mut Certificate),
) {
    let child = observed.children.get_mut(&alias).unwrap();
    let mut certificate = Certificate::clone(child.certificate.as_ref().unwrap());
    change(&mut certificate);
    child.certificate = Some(Arc::new(certificate));
}

pub(crate) fn condition(type_: &str, status: &str, reason: &str, message: &str) -> cert_manager::Condition {
    cert_manager::Condition {
        type_: type_.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_transition_time: Some(Time(at("2026-06-01T11:00:03Z"))),
        observed_generation: None,
    }
}

/// A certificate authority that issues what a Certificate asks for, as cert-manager does.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = validity(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, key()).unwrap())
    }

    /// A root, and a CA that it signs.
    pub(crate) fn with_intermediate(root: &str, name: &str) -> (Self, Self) {
        let root = Self::new(root);
        let mut params = validity(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let intermediate = CertifiedIssuer::signed_by(params, key(), &root.0).unwrap();
        (root, Self(intermediate))
    }

    /// The same name and key, in another certificate.
    pub(crate) fn renewed(&self) -> String {
        let mut params = validity("root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_after = date_time_ymd(2028, 1, 1);
        let key = KeyPair::from_pem(&self.0.key().serialize_pem()).unwrap();
        CertifiedIssuer::self_signed(params, key).unwrap().pem()
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn secret(
        &self,
        certificate: &Certificate,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Secret {
        let mut params = leaf(&certificate.spec);
        change(&mut params);
        let key = key();
        let entries = [
            ("ca.crt", self.0.pem()),
            ("tls.crt", params.signed_by(&key, &self.0).unwrap().pem()),
            ("tls.key", key.serialize_pem()),
        ];
        let spec = &certificate.spec;
        let notes = [
            (cert_manager::CERTIFICATE_NAME, certificate.name_any()),
            (cert_manager::ISSUER_GROUP, spec.issuer_ref.group.clone()),
            (cert_manager::ISSUER_KIND, spec.issuer_ref.kind.clone()),
            (cert_manager::ISSUER_NAME, spec.issuer_ref.name.clone()),
        ];
        Secret {
            metadata: ObjectMeta {
                name: Some(spec.secret_name.clone()),
                namespace: certificate.metadata.namespace.clone(),
                uid: Some(format!("uid-of-{}", spec.secret_name)),
                creation_timestamp: Some(Time(at("2026-06-01T11:00:04Z"))),
                labels: spec
                    .secret_template
                    .as_ref()
                    .map(|template| template.labels.clone()),
                annotations: Some(notes.map(|(key, value)| (key.to_owned(), value)).into()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".into()),
            data: Some(BTreeMap::from(
                entries.map(|(key, pem)| (key.to_owned(), ByteString(pem.into()))),
            )),
            ..Secret::default()
        }
    }
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn validity(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn leaf(spec: &CertificateSpec) -> CertificateParams {
    let mut params = validity(spec.common_name.as_deref().unwrap_or("none"));
    let dns = spec
        .dns_names
        .iter()
        .map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
    let ips = spec
        .ip_addresses
        .iter()
        .map(|ip| SanType::IpAddress(ip.parse().unwrap()));
    params.subject_alt_names = dns.chain(ips).collect();
    for usage in &spec.usages {
        match usage.as_str() {
            "digital signature" => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
            "key encipherment" => params.key_usages.push(KeyUsagePurpose::KeyEncipherment),
            "server auth" => params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth),
            "client auth" => params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ClientAuth),
            other => panic!("unknown usage {other}"),
        }
    }
    params
}
