//! Makes CAs, leaves and bundles, and verifies them at a fixed time.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use tls_bundle::{Bundle, Required, Role, Verification, verify};

/// The time of every verification, in the middle of every validity that is not a test's own.
pub fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub type Ca = CertifiedIssuer<'static, KeyPair>;

pub fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// A certificate valid from 2026 to 2027 with the given common name and nothing else.
pub fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

pub fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub fn root(common_name: &str) -> Ca {
    CertifiedIssuer::self_signed(ca_params(common_name), p256()).unwrap()
}

pub fn below(issuer: &Ca, params: CertificateParams) -> Ca {
    CertifiedIssuer::signed_by(params, p256(), issuer).unwrap()
}

/// What cert-manager makes for the server of a Pgpool, in short.
pub fn leaf_params() -> CertificateParams {
    let mut params = params("pool.demo.svc");
    params.subject_alt_names = vec![
        dns("pool.demo.svc"),
        dns("*.pool-pods.demo.svc"),
        dns("localhost"),
        SanType::IpAddress("127.0.0.1".parse().unwrap()),
    ];
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub fn required() -> Required {
    Required {
        role: Role::Server,
        dns_names: vec![
            "pool.demo.svc".into(),
            "*.pool-pods.demo.svc".into(),
            "localhost".into(),
        ],
        ip_addresses: vec!["127.0.0.1".parse().unwrap()],
        common_name: None,
        ca_required: true,
    }
}

/// The three entries of a Secret, as text.
#[derive(Clone)]
pub struct Secret {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

impl Secret {
    /// A leaf of the given form with its own key, issued by `issuer`, which is the CA at once.
    pub fn issued(issuer: &Ca, params: &CertificateParams, key: &KeyPair) -> Self {
        Self {
            ca: issuer.pem(),
            certificate: params.signed_by(key, issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub fn bundle(&self) -> Bundle<'_> {
        Bundle {
            ca: Some(self.ca.as_bytes()),
            certificate: Some(self.certificate.as_bytes()),
            key: Some(self.key.as_bytes()),
        }
    }

    pub fn verify(&self) -> Verification {
        self.verify_for(&required())
    }

    pub fn verify_for(&self, required: &Required) -> Verification {
        verify(&self.bundle(), required, now())
    }
}

/// A Secret without any fault.
pub fn good() -> Secret {
    Secret::issued(&root("root"), &leaf_params(), &p256())
}

/// Armors DER as PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write as _;
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (number, group) in der.chunks(3).enumerate() {
        if number % 16 == 0 {
            text.push('\n');
        }
        let bits = (0..3).fold(0_u32, |bits, at| {
            bits << 8 | u32::from(*group.get(at).unwrap_or(&0))
        });
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > group.len() {
                '='
            } else {
                DIGITS[index as usize].into()
            });
        }
    }
    let mut armored = format!("-----BEGIN {label}-----");
    writeln!(armored, "{text}\n-----END {label}-----").unwrap();
    armored
}
