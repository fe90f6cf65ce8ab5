//! Verifies the signature of a certificate with the public key of its issuer. SHA-1 is unsupported, as in OpenSSL.

use aws_lc_rs::signature::{self as algorithms, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_RSASSAPSS,
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, OID_SIG_ED25519, Oid,
};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

use crate::key::{Kind, PublicKey};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Valid,
    Wrong,
    Unsupported,
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Checks that `issuer` signed `certificate`.
pub(crate) fn check(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Signature {
    let info = issuer.public_key();
    let Some(key) = PublicKey::of_certificate(info) else {
        return Signature::Unsupported;
    };
    let Some(algorithm) = algorithm(&certificate.signature_algorithm, key.kind()) else {
        return Signature::Unsupported;
    };
    let key = UnparsedPublicKey::new(algorithm, &info.subject_public_key.data);
    let signed = certificate.tbs_certificate.as_ref();
    match key.verify(signed, &certificate.signature_value.data) {
        Ok(()) => Signature::Valid,
        Err(_) => Signature::Wrong,
    }
}

type Algorithm = &'static dyn VerificationAlgorithm;

fn algorithm(named: &AlgorithmIdentifier<'_>, key: Kind) -> Option<Algorithm> {
    let oid = &named.algorithm;
    match key {
        Kind::Rsa { .. } if *oid == OID_PKCS1_RSASSAPSS => rsa_pss(named),
        Kind::Rsa { .. } => rsa_pkcs1(oid),
        Kind::Ed25519 => (*oid == OID_SIG_ED25519).then_some(&algorithms::ED25519 as Algorithm),
        Kind::P256 | Kind::P384 | Kind::P521 => ecdsa(oid, key),
    }
}

fn rsa_pkcs1(oid: &Oid<'_>) -> Option<Algorithm> {
    if *oid == OID_PKCS1_SHA256WITHRSA {
        Some(&algorithms::RSA_PKCS1_2048_8192_SHA256)
    } else if *oid == OID_PKCS1_SHA384WITHRSA {
        Some(&algorithms::RSA_PKCS1_2048_8192_SHA384)
    } else if *oid == OID_PKCS1_SHA512WITHRSA {
        Some(&algorithms::RSA_PKCS1_2048_8192_SHA512)
    } else {
        None
    }
}

fn rsa_pss(named: &AlgorithmIdentifier<'_>) -> Option<Algorithm> {
    let parameters = RsaSsaPssParams::try_from(named.parameters.as_ref()?).ok()?;
    let hash = parameters.hash_algorithm_oid();
    if *hash == OID_NIST_HASH_SHA256 {
        Some(&algorithms::RSA_PSS_2048_8192_SHA256)
    } else if *hash == OID_NIST_HASH_SHA384 {
        Some(&algorithms::RSA_PSS_2048_8192_SHA384)
    } else if *hash == OID_NIST_HASH_SHA512 {
        Some(&algorithms::RSA_PSS_2048_8192_SHA512)
    } else {
        None
    }
}

fn ecdsa(oid: &Oid<'_>, curve: Kind) -> Option<Algorithm> {
    let hash = if *oid == OID_SIG_ECDSA_WITH_SHA256 {
        Hash::Sha256
    } else if *oid == OID_SIG_ECDSA_WITH_SHA384 {
        Hash::Sha384
    } else if *oid == OID_SIG_ECDSA_WITH_SHA512 {
        Hash::Sha512
    } else {
        return None;
    };
    match (curve, hash) {
        (Kind::P256, Hash::Sha256) => Some(&algorithms::ECDSA_P256_SHA256_ASN1),
        (Kind::P256, Hash::Sha384) => Some(&algorithms::ECDSA_P256_SHA384_ASN1),
        (Kind::P256, Hash::Sha512) => Some(&algorithms::ECDSA_P256_SHA512_ASN1),
        (Kind::P384, Hash::Sha256) => Some(&algorithms::ECDSA_P384_SHA256_ASN1),
        (Kind::P384, Hash::Sha384) => Some(&algorithms::ECDSA_P384_SHA384_ASN1),
        (Kind::P384, Hash::Sha512) => Some(&algorithms::ECDSA_P384_SHA512_ASN1),
        (Kind::P521, Hash::Sha256) => Some(&algorithms::ECDSA_P521_SHA256_ASN1),
        (Kind::P521, Hash::Sha384) => Some(&algorithms::ECDSA_P521_SHA384_ASN1),
        (Kind::P521, Hash::Sha512) => Some(&algorithms::ECDSA_P521_SHA512_ASN1),
        (Kind::Rsa { .. } | Kind::Ed25519, _) => None,
    }
}
