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
        let (oid, parameters) = der::algorithm_identifier(element)?;
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
        // OpenSSL knows for which keys these are, but not which hash they have.
        oid::ECDSA_RECOMMENDED | oid::ECDSA_SHA2 => return Some(Scheme::Ecdsa(Hash::Other)),
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

#[cfg(test)]
mod tests {
    use super::{Algorithm, Family, Hash};
    use crate::der::Reader;
    use crate::oid;

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        [&[tag, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
    }

    fn hash(oid: &[u8]) -> Vec<u8> {
        element(0x30, &[&element(6, &[oid])])
    }

    fn mask(generator: &[u8], oid: &[u8]) -> Vec<u8> {
        element(0x30, &[&element(6, &[generator]), &hash(oid)])
    }

    /// The hash of RSA-PSS with these parameters, each in its own tag.
    fn pss(parameters: &[(u8, Vec<u8>)]) -> Option<Hash> {
        let parts: Vec<_> = parameters
            .iter()
            .map(|(number, part)| element(0xa0 | number, &[part]))
            .collect();
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let whole = element(0x30, &[&element(6, &[oid::RSA_PSS]), &element(0x30, &parts)]);
        let read = Reader::new(&whole).element().unwrap();
        let algorithm = Algorithm::read(&read).unwrap();
        assert_eq!(algorithm.strength().is_ok(), algorithm.pss().is_some());
        algorithm.pss()
    }

    #[test]
    fn ecdsa_with_an_unknown_hash_is_for_elliptic_curves_and_too_weak() {
        for identifier in [oid::ECDSA_RECOMMENDED, oid::ECDSA_SHA2] {
            let whole = hash(identifier);
            let algorithm = Algorithm::read(&Reader::new(&whole).element().unwrap()).unwrap();
            assert!(algorithm.is_for(Some(Family::Ec)) && !algorithm.is_for(Some(Family::Rsa)));
            assert!(algorithm.strength().is_err());
        }
    }

    #[test]
    fn rsa_pss_has_one_hash_and_a_salt_of_its_length() {
        let with = |digest: &[u8], salt: u8| {
            [
                (0, hash(digest)),
                (1, mask(oid::MGF1, digest)),
                (2, vec![2, 1, salt]),
            ]
        };
        for (digest, salt, expected) in [
            (oid::SHA256, 32, Some(Hash::Sha256)),
            (oid::SHA384, 48, Some(Hash::Sha384)),
            (oid::SHA512, 64, Some(Hash::Sha512)),
            (oid::SHA256, 20, None),
            (oid::SHA512, 32, None),
        ] {
            assert_eq!(pss(&with(digest, salt)), expected, "{digest:?} {salt}");
        }
        let [digest, generator, salt] = with(oid::SHA256, 32);
        let trailer = |number: u8| (3, vec![2, 1, number]);
        let usual = [digest.clone(), generator.clone(), salt.clone(), trailer(1)];
        assert_eq!(pss(&usual), Some(Hash::Sha256));
        for unusual in [
            // SHA-1 and a salt of 20 octets where nothing is said.
            vec![],
            vec![digest.clone(), generator.clone()],
            vec![digest.clone(), salt.clone()],
            vec![generator.clone(), salt.clone()],
            vec![digest.clone(), (1, mask(oid::MGF1, oid::SHA384)), salt.clone()],
            vec![digest.clone(), (1, mask(oid::SHA256, oid::SHA256)), salt.clone()],
            vec![digest.clone(), generator.clone(), salt.clone(), trailer(2)],
            vec![digest, generator, salt, trailer(1), trailer(1)],
        ] {
            assert_eq!(pss(&unusual), None, "{unusual:?}");
        }
    }
}
