//! A small world for tests: a `Pgpool`, what it refers to, and certificates that can be spoiled.

pub(crate) mod api;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use proto::verdict::{CertificateVerdict, PgpoolId, Verdict};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde::de::DeserializeOwned;
use shared_types::{Alias, Pgpool, names};
use tls_bundle::Fingerprint;

use crate::passwords::PasswordSource;
use shared_types::certificates::required;

use crate::pgpool::observe::{Certificate, Inputs, Lookup, Observed};

/// A time at which everything made here is valid.
pub(crate) fn now() -> Timestamp {
    "2027-01-15T12:00:00Z".parse().unwrap()
}

pub(crate) fn parse<T: DeserializeOwned>(yaml: &str) -> T {
    serde_yaml::from_str(yaml).unwrap()
}

/// Three replicas, TLS, `verify-full`, `scram`.
pub(crate) fn tls_pgpool() -> Pgpool {
    let mut pgpool: Pgpool = parse(include_str!("fixtures/pgpool-tls.yaml"));
    pgpool.metadata.generation = Some(4);
    pgpool
}

/// One replica, no TLS, PostgreSQL in another namespace.
pub(crate) fn plain_pgpool() -> Pgpool {
    let mut pgpool: Pgpool = parse(include_str!("fixtures/pgpool.yaml"));
    pgpool.metadata.generation = Some(1);
    pgpool
}

/// The same, scraped by an agent, with certificates for logins when there is TLS.
pub(crate) fn scraped(mut pgpool: Pgpool, agent: &str) -> Pgpool {
    pgpool.spec.monitor = Some(parse(&format!("agent: {agent}")));
    if pgpool.spec.ssl_mode().enabled() {
        pgpool.spec.client_auth_mode = Some(shared_types::ClientAuthMode::Cert);
    }
    pgpool
}

/// Everything that the fixtures refer to.
pub(crate) fn inputs(pgpool: &Pgpool) -> Inputs {
    let mut binding: shared_types::AppBinding = parse(include_str!("fixtures/app-binding.yaml"));
    binding.metadata.namespace = pgpool.spec.postgres_ref.namespace.clone();
    let secret: Secret = parse(include_str!("fixtures/backend-secret.yaml"));
    Inputs {
        version: Lookup::Present(Arc::new(parse(include_str!("fixtures/pgpool-version.yaml")))),
        app_binding: Lookup::Present(Arc::new(binding)),
        backend_secret: Some(Lookup::Present(Arc::new(secret))),
        auth_secret: Lookup::Absent,
        passwords: PasswordSource::of(|| "sixteen-letters!".to_owned()),
        cluster_domain: "cluster.local".to_owned(),
        ..Inputs::default()
    }
}

/// A `Pgpool` with TLS whose certificates are all there and good.
pub(crate) fn observed(pgpool: &Pgpool, pki: &Pki) -> Observed {
    let certificates = if pgpool.spec.ssl_mode().enabled() {
        certificates(pgpool, pki)
    } else {
        Vec::new()
    };
    Observed {
        inputs: inputs(pgpool),
        certificates,
        ..Observed::default()
    }
}

/// A pair as cert-manager writes it, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) ca: String,
    pub(crate) fingerprint: Fingerprint,
}

/// An issuer.
pub(crate) struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test issuer");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    pub(crate) fn ca(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn server(&self, dns_names: &[String]) -> Pair {
        let mut params = CertificateParams::new(dns_names).unwrap();
        params
            .subject_alt_names
            .push(rcgen::SanType::IpAddress([127, 0, 0, 1].into()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    pub(crate) fn client(&self, common_name: &str) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    pub(crate) fn both(&self, common_name: &str, dns_names: &[String]) -> Pair {
        let mut params = CertificateParams::new(dns_names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params
            .subject_alt_names
            .push(rcgen::SanType::IpAddress([127, 0, 0, 1].into()));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Pair {
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        // As cert-manager does: it tells CAs of one name apart.
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: leaf.pem(),
            key: key.serialize_pem(),
            ca: self.ca(),
            fingerprint: Fingerprint::of_der(leaf.der()),
        }
    }
}

/// The Secret of a pair.
pub(crate) fn secret(name: &str, pair: &Pair) -> Secret {
    let entry = |key: &str, text: &str| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("demo".to_owned()),
            labels: Some(names::selector_labels("pool")),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([
            entry("tls.crt", &pair.certificate),
            entry("tls.key", &pair.key),
            entry("ca.crt", &pair.ca),
        ])),
        ..Secret::default()
    }
}

/// ops-manager's verdict on a Pgpool.
pub fn verdict_on(pgpool: &Pgpool, generation: i64, certificates: Vec<CertificateVerdict>) -> Verdict {
    let metadata = pgpool.metadata.clone();
    Verdict {
        pgpool: PgpoolId {
            namespace: metadata.namespace.unwrap(),
            name: metadata.name.unwrap(),
            uid: metadata.uid.unwrap(),
        },
        generation,
        ready: certificates.iter().all(|certificate| certificate.ready),
        reason: None,
        message: String::new(),
        certificates,
    }
}

pub fn certificate_verdict(
    alias: Alias,
    fingerprint: Option<Fingerprint>,
    ready: bool,
    message: &str,
) -> CertificateVerdict {
    CertificateVerdict {
        alias,
        secret_name: String::new(),
        ready,
        reason: None,
        message: message.to_owned(),
        fingerprint,
        not_before: None,
        not_after: None,
    }
}

/// Good certificates, as the cache would have them.
pub(crate) fn certificates(pgpool: &Pgpool, pki: &Pki) -> Vec<Certificate> {
    let certificate = |alias| {
        let required = required(pgpool, alias, "cluster.local");
        let pair = match alias {
            Alias::Server => pki.server(&required[0].dns_names),
            Alias::Client => pki.client("postgres"),
            Alias::MetricsExporter => pki.both("postgres", &required[1].dns_names),
        };
        let secret_name = names::certificate_secret(pgpool, alias);
        let secret = Lookup::Present(Arc::new(secret(&secret_name, &pair)));
        Certificate {
            alias,
            namespace: "demo".to_owned(),
            secret_name,
            secret,
            required,
        }
    };
    Alias::ALL.into_iter().map(certificate).collect()
}

/// Changes an entry of a certificate Secret; `None` removes it.
pub(crate) fn spoil(certificate: &mut Certificate, key: &str, value: Option<&str>) {
    let mut secret = certificate.secret.present().unwrap().as_ref().clone();
    let data = secret.data.get_or_insert_default();
    match value {
        Some(value) => data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec())),
        None => data.remove(key),
    };
    certificate.secret = Lookup::Present(Arc::new(secret));
}
