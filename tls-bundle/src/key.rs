//! Does the private key match the leaf certificate? Derives the public key from the private one and compares. No part
//! of the private key leaves this module.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::{Failure, der};

/// The supported kinds of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa { bits: usize },
    P256,
    P384,
    P521,
    Ed25519,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::P521 => f.write_str("ECDSA P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// The curves, each with an algorithm that parses its keys.
static CURVES: [(Kind, &EcdsaSigningAlgorithm); 3] = [
    (Kind::P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
    (Kind::P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
    (Kind::P521, &ECDSA_P521_SHA512_ASN1_SIGNING),
];

const UNSUPPORTED: &str =
    "it is malformed, or neither RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, nor Ed25519";

/// A public key, as in the BIT STRING of a certificate.
#[derive(PartialEq, Eq)]
pub(crate) struct PublicKey {
    kind: Kind,
    bits: Vec<u8>,
}

impl PublicKey {
    fn new(kind: Kind, pair: &impl KeyPair<PublicKey: AsRef<[u8]>>) -> Self {
        Self {
            kind,
            bits: pair.public_key().as_ref().to_vec(),
        }
    }

    /// Derives the public key of a private one. The library rejects an inconsistent key pair.
    pub(crate) fn of_private(key: &PrivateKeyDer<'_>) -> Result<Self, &'static str> {
        if !der::one_sequence(key.secret_der()) {
            return Err(UNSUPPORTED);
        }
        let public = match key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(rsa),
            PrivateKeyDer::Sec1(der) => elliptic(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
            _ => None,
        };
        public.ok_or(UNSUPPORTED)
    }

    /// Reads the public key of a certificate.
    pub(crate) fn of_certificate(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let bits = &*info.subject_public_key.data;
        let kind = if info.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
            Kind::Rsa {
                bits: modulus_bits(bits)?,
            }
        } else if info.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
            [
                (OID_EC_P256, Kind::P256),
                (OID_NIST_EC_P384, Kind::P384),
                (OID_NIST_EC_P521, Kind::P521),
            ]
            .into_iter()
            .find_map(|(oid, kind)| (oid == curve).then_some(kind))?
        } else if info.algorithm.algorithm == OID_SIG_ED25519 {
            Kind::Ed25519
        } else {
            return None;
        };
        Some(Self {
            kind,
            bits: bits.to_vec(),
        })
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }
}

/// Returns a failure when the private key does not match the leaf certificate.
pub(crate) fn mismatch(key: &PublicKey, leaf: &PublicKey) -> Option<Failure> {
    (key != leaf).then(|| Failure::KeyMismatch {
        key: key.kind.to_string(),
        leaf: leaf.kind.to_string(),
    })
}

fn pkcs8(der: &[u8]) -> Option<PublicKey> {
    if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
        return Some(rsa(pair));
    }
    let edwards = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
    elliptic(der).or_else(|| edwards().map(|pair| PublicKey::new(Kind::Ed25519, &pair)))
}

fn elliptic(der: &[u8]) -> Option<PublicKey> {
    CURVES.iter().find_map(|(kind, algorithm)| {
        let pair = EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?;
        Some(PublicKey::new(*kind, &pair))
    })
}

// By value: the key pair is dropped, and zeroed, here.
#[allow(clippy::needless_pass_by_value)]
fn rsa(pair: RsaKeyPair) -> PublicKey {
    PublicKey::new(
        Kind::Rsa {
            bits: pair.public_modulus_len().saturating_mul(8),
        },
        &pair,
    )
}

fn modulus_bits(bits: &[u8]) -> Option<usize> {
    use x509_parser::prelude::FromDer as _;
    let (_, key) = RSAPublicKey::from_der(bits).ok()?;
    Some(key.key_size())
}
