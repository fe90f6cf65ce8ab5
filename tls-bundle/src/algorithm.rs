//! Signature algorithms: for which keys they are, whether OpenSSL takes them for strong enough, and what verifies them.

use aws_lc_rs::signature::{self as algorithms, VerificationAlgorithm};

use crate::der::{self, Element, Read, tag};
use crate::oid;
use crate::public_key::{Family, Kind};

/// The hashes of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// Any other, such as MD4.
    Other,
}

/// A signature algorithm.
#[derive(Clone, Copy)]
pub(crate) struct Algorithm<'a> {
    scheme: Option<Scheme>,
    parameters: Option<Element<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Pkcs1(Hash),
    Pss,
    Ecdsa(Hash),
    Ed25519,
    Ed448,
    Dsa(Hash),
}

impl<'a> Algorithm<'a> {
    /// Reads an `AlgorithmIdentifier`.
    pub(crate) fn read(element: &Element<'a>) -> Read<Self> {
        let mut reader = element.reader();
        let oid = der::oid(reader.expect(tag::OID)?.content)?;
        let parameters = if reader.is_empty() {
            None
        } else {
            let parameters = reader.element()?;
            der::any(&parameters)?;
            Some(parameters)
        };
        reader.end()?;
        Ok(Self {
            scheme: scheme(oid),
            parameters,
        })
    }

    /// Whether a key of this family makes such signatures.
    pub(crate) fn is_for(&self, key: Option<Family>) -> bool {
        let (Some(scheme), Some(key)) = (self.scheme, key) else {
            return false;
        };
        match scheme {
            Scheme::Pkcs1(_) => key == Family::Rsa,
            Scheme::Pss => matches!(key, Family::Rsa | Family::RsaPss),
            Scheme::Ecdsa(_) => key == Family::Ec,
            Scheme::Ed25519 => key == Family::Ed25519,
            Scheme::Ed448 => key == Family::Ed448,
            Scheme::Dsa(_) => key == Family::Dsa,
        }
    }

    /// Whether OpenSSL takes it for strong enough at security level 2, its default.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence about the signature.
    pub(crate) fn strength(&self) -> Result<(), &'static str> {
        let hash = match self.scheme {
            None => return Err("has an unknown algorithm"),
            Some(Scheme::Ed25519 | Scheme::Ed448) => return Ok(()),
            Some(Scheme::Pss) => {
                return match self.pss() {
                    Some(_) => Ok(()),
                    None => Err(PSS),
                };
            }
            Some(Scheme::Pkcs1(hash) | Scheme::Ecdsa(hash) | Scheme::Dsa(hash)) => hash,
        };
        match hash {
            Hash::Md5 => Err("is made with MD5, which OpenSSL refuses"),
            Hash::Sha1 => Err("is made with SHA-1, which OpenSSL refuses"),
            Hash::Sha224 | Hash::Sha256 | Hash::Sha384 | Hash::Sha512 => Ok(()),
            Hash::Other => Err("is made with an unknown hash"),
        }
    }

    /// The hash of RSA-PSS. Supported is what RFC 8446 demands: the same hash for the mask, and a salt of its length.
    fn pss(&self) -> Option<Hash> {
        let mut reader = self
            .parameters
            .filter(|found| found.tag == tag::SEQUENCE)?
            .reader();
        let hash = hash_inside(reader.expect(tag::constructed(0)).ok()?.reader())?;
        let mut mask = reader.expect(tag::constructed(1)).ok()?.reader();
        let mut generator = mask.expect(tag::SEQUENCE).ok()?.reader();
        let is_mgf1 = generator.expect(tag::OID).ok()?.content == oid::MGF1;
        let same = hash_inside(generator)? == hash && mask.is_empty();
        let mut salt = reader.expect(tag::constructed(2)).ok()?.reader();
        let length: u8 = match hash {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            _ => 64,
        };
        let fits = salt.expect(tag::INTEGER).ok()?.content == [length] && salt.is_empty();
        let trailer = match reader.optional(tag::constructed(3)).ok()? {
            None => true,
            Some(trailer) => trailer.content == [tag::INTEGER, 1, 1],
        };
        (is_mgf1 && same && fits && trailer && reader.is_empty()).then_some(hash)
    }
}

const PSS: &str = "has RSA-PSS parameters that are not supported; supported are SHA-256, SHA-384 and SHA-512, the same hash for the mask, and a salt of its length";

/// One hash algorithm, with or without the parameter NULL.
fn hash_inside(mut reader: der::Reader<'_>) -> Option<Hash> {
    let mut algorithm = reader.expect(tag::SEQUENCE).ok()?.reader();
    let hash = match algorithm.expect(tag::OID).ok()?.content {
        oid::SHA256 => Hash::Sha256,
        oid::SHA384 => Hash::Sha384,
        oid::SHA512 => Hash::Sha512,
        _ => return None,
    };
    let null = algorithm.optional(tag::NULL).ok()?;
    let ends = null.is_none_or(|null| null.content.is_empty());
    (ends && algorithm.is_empty() && reader.is_empty()).then_some(hash)
}

fn scheme(oid: &[u8]) -> Option<Scheme> {
    match oid {
        oid::RSA_PSS => return Some(Scheme::Pss),
        oid::ED25519 => return Some(Scheme::Ed25519),
        oid::ED448 => return Some(Scheme::Ed448),
        oid::ECDSA_SHA1 => return Some(Scheme::Ecdsa(Hash::Sha1)),
        oid::DSA_SHA1 => return Some(Scheme::Dsa(Hash::Sha1)),
        _ => {}
    }
    let (last, front) = oid.split_last()?;
    Some(match (front, *last) {
        (oid::PKCS1, 2 | 3 | 15 | 16) | (oid::DSA_SHA2, 13..=16) => Scheme::Pkcs1(Hash::Other),
        (oid::PKCS1, 4) => Scheme::Pkcs1(Hash::Md5),
        (oid::PKCS1, 5) => Scheme::Pkcs1(Hash::Sha1),
        (oid::PKCS1, 11) => Scheme::Pkcs1(Hash::Sha256),
        (oid::PKCS1, 12) => Scheme::Pkcs1(Hash::Sha384),
        (oid::PKCS1, 13) => Scheme::Pkcs1(Hash::Sha512),
        (oid::PKCS1, 14) => Scheme::Pkcs1(Hash::Sha224),
        (oid::ECDSA_SHA2, 1) => Scheme::Ecdsa(Hash::Sha224),
        (oid::ECDSA_SHA2, 2) => Scheme::Ecdsa(Hash::Sha256),
        (oid::ECDSA_SHA2, 3) => Scheme::Ecdsa(Hash::Sha384),
        (oid::ECDSA_SHA2, 4) => Scheme::Ecdsa(Hash::Sha512),
        (oid::DSA_SHA2, 1) => Scheme::Dsa(Hash::Sha224),
        (oid::DSA_SHA2, 2) => Scheme::Dsa(Hash::Sha256),
        // With SHA-3, as those with RSA above.
        (oid::DSA_SHA2, 5..=8) => Scheme::Dsa(Hash::Other),
        (oid::DSA_SHA2, 9..=12) => Scheme::Ecdsa(Hash::Other),
        _ => return None,
    })
}

type Verifier = &'static dyn VerificationAlgorithm;

/// What verifies such signatures of a key of this kind; `None` if that is not supported.
pub(crate) fn verifier(named: &Algorithm<'_>, key: Kind) -> Option<Verifier> {
    match (named.scheme?, key) {
        (Scheme::Pkcs1(hash), Kind::Rsa { .. }) => rsa_pkcs1(hash),
        (Scheme::Pss, Kind::Rsa { .. }) => rsa_pss(named.pss()?),
        (Scheme::Ecdsa(hash), curve) => ecdsa(hash, curve),
        (Scheme::Ed25519, Kind::Ed25519) => Some(&algorithms::ED25519),
        _ => None,
    }
}

fn rsa_pkcs1(hash: Hash) -> Option<Verifier> {
    Some(match hash {
        Hash::Sha256 => &algorithms::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &algorithms::RSA_PKCS1_2048_8192_SHA512,
        Hash::Md5 | Hash::Sha1 | Hash::Sha224 | Hash::Other => return None,
    })
}

fn rsa_pss(hash: Hash) -> Option<Verifier> {
    Some(match hash {
        Hash::Sha256 => &algorithms::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 => &algorithms::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 => &algorithms::RSA_PSS_2048_8192_SHA512,
        Hash::Md5 | Hash::Sha1 | Hash::Sha224 | Hash::Other => return None,
    })
}

fn ecdsa(hash: Hash, curve: Kind) -> Option<Verifier> {
    Some(match (curve, hash) {
        (Kind::P256, Hash::Sha256) => &algorithms::ECDSA_P256_SHA256_ASN1,
        (Kind::P256, Hash::Sha384) => &algorithms::ECDSA_P256_SHA384_ASN1,
        (Kind::P256, Hash::Sha512) => &algorithms::ECDSA_P256_SHA512_ASN1,
        (Kind::P384, Hash::Sha256) => &algorithms::ECDSA_P384_SHA256_ASN1,
        (Kind::P384, Hash::Sha384) => &algorithms::ECDSA_P384_SHA384_ASN1,
        (Kind::P384, Hash::Sha512) => &algorithms::ECDSA_P384_SHA512_ASN1,
        (Kind::P521, Hash::Sha256) => &algorithms::ECDSA_P521_SHA256_ASN1,
        (Kind::P521, Hash::Sha384) => &algorithms::ECDSA_P521_SHA384_ASN1,
        (Kind::P521, Hash::Sha512) => &algorithms::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}
