//! Does the private key match the leaf certificate? Derives the public key from the private one and compares. No part
//! of the private key leaves this module.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;

use crate::Failure;
use crate::der::{self, Reader, tag};
use crate::public_key::{Family, Kind, Numbers, bits, curve, family, unsigned};

/// The curves, each with an algorithm that parses its keys.
static CURVES: [(Kind, &EcdsaSigningAlgorithm); 3] = [
    (Kind::P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
    (Kind::P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
    (Kind::P521, &ECDSA_P521_SHA512_ASN1_SIGNING),
];

const DAMAGED: &str = "it is damaged: it is malformed, or its parts contradict each other";
const UNSUPPORTED: &str = "it is of another kind; supported are RSA of 2048 to 8192 bits, ECDSA with P-256, P-384 and P-521, and Ed25519";
const VERSION_2: &str = "it is in version 2 of PKCS #8, with its public key, which OpenSSL 3.0 cannot read; write it in version 1";
const NO_CURVE: &str = "it does not name its curve, so OpenSSL cannot read it; write it in PKCS #8";
const MISLABELED: &str = "its PEM label does not fit its content";

/// Derives the public key of a private one. The library rejects an inconsistent key pair.
///
/// # Errors
/// What is wrong, as the end of a sentence about the key.
pub(crate) fn public_of(key: &PrivateKeyDer<'_>) -> Result<Numbers, &'static str> {
    if der::alone(key.secret_der(), tag::SEQUENCE).is_err() {
        return Err(DAMAGED);
    }
    if kind_is_supported(key) == Some(false) {
        return Err(UNSUPPORTED);
    }
    let public = match key {
        PrivateKeyDer::Pkcs1(der) => {
            let pair = RsaKeyPair::from_der(der.secret_pkcs1_der());
            pair.ok()
                .and_then(|pair| Numbers::rsa(pair.public_key().as_ref()))
        }
        PrivateKeyDer::Sec1(der) => {
            let der = der.secret_sec1_der();
            if !names_curve(der).ok_or(MISLABELED)? {
                return Err(NO_CURVE);
            }
            elliptic(der)
        }
        PrivateKeyDer::Pkcs8(der) => {
            let der = der.secret_pkcs8_der();
            if has_public_half(der).ok_or(MISLABELED)? {
                return Err(VERSION_2);
            }
            pkcs8(der)
        }
        _ => None,
    };
    public.ok_or(DAMAGED)
}

/// Whether the kind that a key names is supported; `None` if it names none.
fn kind_is_supported(key: &PrivateKeyDer<'_>) -> Option<bool> {
    let mut reader = der::alone(key.secret_der(), tag::SEQUENCE).ok()?.reader();
    reader.expect(tag::INTEGER).ok()?;
    let named = |mut reader: Reader<'_>| {
        let found = reader.expect(tag::OID).ok()?;
        Some(curve(found.content).is_some())
    };
    match key {
        PrivateKeyDer::Pkcs1(_) => has_supported_size(&mut reader),
        PrivateKeyDer::Sec1(_) => {
            reader.expect(tag::OCTET_STRING).ok()?;
            named(reader.optional(tag::constructed(0)).ok()??.reader())
        }
        _ => {
            let mut algorithm = reader.expect(tag::SEQUENCE).ok()?.reader();
            let found = algorithm.expect(tag::OID).ok()?;
            let inner = reader.expect(tag::OCTET_STRING).ok()?;
            match family(found.content) {
                Some(Family::Rsa) => {
                    let mut inner = der::alone(inner.content, tag::SEQUENCE).ok()?.reader();
                    inner.expect(tag::INTEGER).ok()?;
                    has_supported_size(&mut inner)
                }
                Some(Family::Ec) => named(algorithm),
                other => Some(other == Some(Family::Ed25519)),
            }
        }
    }
}

/// Whether the modulus that comes next has the size of a supported one.
fn has_supported_size(reader: &mut Reader<'_>) -> Option<bool> {
    let modulus = unsigned(reader)?;
    Some((2048..=8192).contains(&bits(&modulus)))
}

/// Whether a PKCS #8 structure holds more than version, algorithm, key and attributes; `None` for another structure.
fn has_public_half(der: &[u8]) -> Option<bool> {
    let mut reader = der::alone(der, tag::SEQUENCE).ok()?.reader();
    reader.expect(tag::INTEGER).ok()?;
    let mut algorithm = reader.expect(tag::SEQUENCE).ok()?.reader();
    algorithm.expect(tag::OID).ok()?;
    reader.expect(tag::OCTET_STRING).ok()?;
    reader.optional(tag::constructed(0)).ok()?;
    Some(!reader.is_empty())
}

/// Whether a SEC 1 structure names its curve; `None` for another structure.
fn names_curve(der: &[u8]) -> Option<bool> {
    let mut reader: Reader<'_> = der::alone(der, tag::SEQUENCE).ok()?.reader();
    reader.expect(tag::INTEGER).ok()?;
    reader.expect(tag::OCTET_STRING).ok()?;
    Some(reader.optional(tag::constructed(0)).ok()?.is_some())
}

/// Returns a failure when the private key does not match the leaf certificate.
pub(crate) fn mismatch(key: &Numbers, leaf: &Numbers) -> Option<Failure> {
    (key != leaf).then(|| Failure::KeyMismatch {
        key: key.kind().to_string(),
        leaf: leaf.kind().to_string(),
    })
}

fn pkcs8(der: &[u8]) -> Option<Numbers> {
    if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
        return Numbers::rsa(pair.public_key().as_ref());
    }
    let edwards = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
    elliptic(der).or_else(|| edwards().map(|pair| Numbers::Ed25519(pair.public_key().as_ref().to_vec())))
}

fn elliptic(der: &[u8]) -> Option<Numbers> {
    CURVES.iter().find_map(|(kind, algorithm)| {
        let pair = EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?;
        Numbers::point(*kind, pair.public_key().as_ref())
    })
}
