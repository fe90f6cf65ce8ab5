//! Makes CAs, leaves and bundles, and verifies them at a fixed time.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, date_time_ymd,
};
use tls_bundle::{Bundle, PublicPart, Required, Role, Verification, verify, verify_with_public_part};

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
            key: key_pem(key),
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
        let bundle = self.bundle();
        let verification = verify(&bundle, required, now());
        let part = PublicPart::from_bytes(&PublicPart::of(bundle.key).to_bytes());
        let without_key = Bundle { key: None, ..bundle };
        assert_eq!(
            verify_with_public_part(&without_key, &part, required, now()),
            verification,
            "the public part of a key says as much as the key"
        );
        verification
    }
}

/// The key as Go and OpenSSL write it. rcgen adds the public half to Ed25519 keys.
pub fn key_pem(key: &KeyPair) -> String {
    if key.algorithm() != &PKCS_ED25519 {
        return key.serialize_pem();
    }
    let der = key.serialize_der();
    let seed = &der[16..48];
    let mut version_1 = vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    version_1.extend(seed);
    pem("PRIVATE KEY", &version_1)
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

/// One DER element.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut der = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend(content);
    der
}

/// The elements of a DER content, each with its header.
pub fn elements(mut content: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = Vec::new();
    while !content.is_empty() {
        let size = match content[1] {
            short @ 0..=0x7f => 2 + usize::from(short),
            0x81 => 3 + usize::from(content[2]),
            _ => 4 + usize::from(u16::from_be_bytes([content[2], content[3]])),
        };
        let (element, rest) = content.split_at(size);
        elements.push(element.to_vec());
        content = rest;
    }
    elements
}

/// The content of a DER element.
pub fn inside(der: &[u8]) -> &[u8] {
    match der[1] {
        0..=0x7f => &der[2..],
        0x81 => &der[3..],
        _ => &der[4..],
    }
}

/// The places of the parts of what is signed in a certificate of version 3.
pub mod part {
    pub const ALGORITHM: usize = 2;
    pub const ISSUER: usize = 3;
    pub const VALIDITY: usize = 4;
    pub const SUBJECT: usize = 5;
    pub const KEY: usize = 6;
}

/// A certificate with other parts, signed again, as PEM.
pub fn rewritten(certificate: &[u8], signer: &KeyPair, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> String {
    let outer = elements(inside(certificate));
    let mut parts = elements(inside(&outer[0]));
    change(&mut parts);
    let signed = tlv(0x30, &parts.concat());
    let mut signature = vec![0];
    signature.extend(rcgen::SigningKey::sign(signer, &signed).unwrap());
    // Without a version there is one part less.
    let algorithm = parts.iter().find(|part| part[0] == 0x30).unwrap();
    let body = [signed.clone(), algorithm.clone(), tlv(3, &signature)].concat();
    pem("CERTIFICATE", &tlv(0x30, &body))
}

/// An extension as it stands.
pub fn extension(oid: &[u64], critical: bool, value: Vec<u8>) -> rcgen::CustomExtension {
    let mut extension = rcgen::CustomExtension::from_oid_content(oid, value);
    extension.set_criticality(critical);
    extension
}
