//! The public key of a certificate.

use std::fmt;

use aws_lc_rs::signature as algorithms;
use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};

use crate::der::{self, Read, Reader, tag};
use crate::oid;

/// The kinds of keys that OpenSSL tells apart when it looks for an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Rsa,
    /// RSA for PSS alone.
    RsaPss,
    Ec,
    Ed25519,
    Ed448,
    Dsa,
}

/// The supported kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A public key by its numbers, so that two encodings of one key are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The abscissa of the point, and whether its ordinate is odd.
    Point {
        curve: Kind,
        abscissa: Vec<u8>,
        is_odd: bool,
    },
    Ed25519(Vec<u8>),
}

impl Numbers {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Rsa { modulus, .. } => Kind::Rsa { bits: bits(modulus) },
            Self::Point { curve, .. } => *curve,
            Self::Ed25519(_) => Kind::Ed25519,
        }
    }

    /// Reads an `RSAPublicKey`.
    pub(crate) fn rsa(bytes: &[u8]) -> Option<Self> {
        let mut reader = der::alone(bytes, tag::SEQUENCE).ok()?.reader();
        let mut number = || unsigned(&mut reader);
        let (modulus, exponent) = (number()?, number()?);
        reader.is_empty().then_some(Self::Rsa { modulus, exponent })
    }

    /// Reads a point in any form: compressed, whole, or both at once.
    pub(crate) fn point(curve: Kind, octets: &[u8]) -> Option<Self> {
        let size = match curve {
            Kind::P256 => 32,
            Kind::P384 => 48,
            Kind::P521 => 66,
            Kind::Rsa { .. } | Kind::Ed25519 => return None,
        };
        let (&form, rest) = octets.split_first()?;
        let (abscissa, ordinate) = rest.split_at_checked(size)?;
        let is_odd = match (form, ordinate) {
            (2 | 3, []) => form == 3,
            (4, [.., last]) if ordinate.len() == size => last & 1 == 1,
            (6 | 7, [.., last]) if ordinate.len() == size && last & 1 == form & 1 => form == 7,
            _ => return None,
        };
        Some(Self::Point {
            curve,
            abscissa: abscissa.to_vec(),
            is_odd,
        })
    }
}

/// Reads a positive number, without the octet that only tells its sign.
pub(crate) fn unsigned(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let content = der::integer(reader.expect(tag::INTEGER).ok()?.content).ok()?;
    match content {
        [0, rest @ ..] => Some(rest.to_vec()),
        [first, ..] if *first < 0x80 => Some(content.to_vec()),
        _ => None,
    }
}

/// The length of a number without leading zero octets, in bits.
pub(crate) fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    number.len().saturating_mul(8).saturating_sub(unused as usize)
}

/// The public key of a certificate.
pub(crate) struct PublicKey<'a> {
    /// All of the `SubjectPublicKeyInfo`.
    pub(crate) info: &'a [u8],
    algorithm: &'a [u8],
    family: Option<Family>,
    curve: Option<Kind>,
    has_parameters: bool,
    /// The key itself; `None` if it has a fraction of an octet.
    bits: Option<&'a [u8]>,
}

impl<'a> PublicKey<'a> {
    /// Reads a `SubjectPublicKeyInfo`.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Read<Self> {
        let info = reader.expect(tag::SEQUENCE)?;
        let mut inside = info.reader();
        let (oid, parameters) = der::algorithm_identifier(&inside.expect(tag::SEQUENCE)?)?;
        let (unused, bits) = der::bit_string(inside.expect(tag::BIT_STRING)?.content)?;
        inside.end()?;
        let curve = parameters
            .as_ref()
            .filter(|parameters| parameters.tag == tag::OID);
        let curve = curve.and_then(|found| self::curve(found.content));
        Ok(Self {
            info: info.whole,
            algorithm: oid,
            family: family(oid),
            curve,
            has_parameters: parameters.is_some(),
            bits: (unused == 0).then_some(bits),
        })
    }

    pub(crate) const fn family(&self) -> Option<Family> {
        self.family
    }

    /// The key itself, as in the BIT STRING.
    pub(crate) const fn octets(&self) -> Option<&'a [u8]> {
        self.bits
    }

    /// Whether it is a point of a curve in its compressed form.
    pub(crate) fn is_compressed(&self) -> bool {
        let form = self.bits.and_then(<[u8]>::first);
        self.family == Some(Family::Ec) && matches!(form, Some(2 | 3))
    }

    /// The key by its numbers, if it is of a supported kind.
    pub(crate) fn numbers(&self) -> Option<Numbers> {
        let bits = self.bits?;
        match self.family? {
            Family::Rsa => Numbers::rsa(bits),
            Family::Ec => Numbers::point(self.curve?, bits),
            // Without parameters (RFC 8410, section 3): OpenSSL does not read a key with any.
            Family::Ed25519 if self.has_parameters => None,
            Family::Ed25519 => (bits.len() == 32).then(|| Numbers::Ed25519(bits.to_vec())),
            Family::RsaPss | Family::Ed448 | Family::Dsa => None,
        }
    }

    /// Whether it is strong enough for OpenSSL at security level 2, its default.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence about the key.
    pub(crate) fn strength(&self) -> Result<(), String> {
        let numbers = self.numbers().ok_or_else(|| self.unsupported())?;
        let kind = numbers.kind();
        if let Kind::Rsa { bits } = kind {
            if bits < 2048 {
                return Err(format!(
                    "has {bits} bits; supported are RSA keys of 2048 to 8192 bits"
                ));
            }
            return Ok(());
        }
        // A point that is not on its curve is no key.
        let algorithm = representative(kind);
        let parsed = ParsedPublicKey::new(algorithm, self.bits.unwrap_or_default());
        parsed.map(drop).map_err(|_| self.unsupported())
    }

    fn unsupported(&self) -> String {
        let found = match self.family {
            Some(Family::Rsa | Family::Ed25519) => "is malformed",
            Some(Family::Ec) if self.curve.is_some() => "is malformed",
            Some(Family::Ec) => "is on another curve than P-256, P-384 and P-521",
            Some(Family::RsaPss) => "is of the kind RSASSA-PSS",
            Some(Family::Ed448) => "is of the kind Ed448",
            Some(Family::Dsa) => "is of the kind DSA",
            None => {
                return format!(
                    "is of the unknown kind {}",
                    crate::name::display_oid(self.algorithm)
                );
            }
        };
        format!("{found}; supported are RSA, ECDSA with P-256, P-384 and P-521, and Ed25519")
    }
}

/// An algorithm that parses keys of this kind.
fn representative(kind: Kind) -> &'static dyn VerificationAlgorithm {
    match kind {
        Kind::Rsa { .. } => &algorithms::RSA_PKCS1_2048_8192_SHA256,
        Kind::P256 => &algorithms::ECDSA_P256_SHA256_ASN1,
        Kind::P384 => &algorithms::ECDSA_P384_SHA384_ASN1,
        Kind::P521 => &algorithms::ECDSA_P521_SHA512_ASN1,
        Kind::Ed25519 => &algorithms::ED25519,
    }
}

/// The supported curve of that name.
pub(crate) fn curve(oid: &[u8]) -> Option<Kind> {
    Some(match oid {
        oid::P256 => Kind::P256,
        oid::P384 => Kind::P384,
        oid::P521 => Kind::P521,
        _ => return None,
    })
}

pub(crate) fn family(algorithm: &[u8]) -> Option<Family> {
    Some(match algorithm {
        oid::RSA => Family::Rsa,
        oid::RSA_PSS => Family::RsaPss,
        oid::EC => Family::Ec,
        oid::ED25519 => Family::Ed25519,
        oid::ED448 => Family::Ed448,
        oid::DSA => Family::Dsa,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, Numbers, PublicKey};
    use crate::der::Reader;

    #[test]
    fn an_ed25519_key_has_no_parameters() {
        let info = |algorithm: &[u8]| {
            let mut inside = [&[0x30, u8::try_from(algorithm.len()).unwrap()], algorithm].concat();
            inside.extend([0x03, 33, 0]);
            inside.extend([7; 32]);
            [&[0x30, u8::try_from(inside.len()).unwrap()], inside.as_slice()].concat()
        };
        let kind = |info: &[u8]| {
            let key = PublicKey::read(&mut Reader::new(info)).unwrap();
            key.numbers().map(|numbers| numbers.kind())
        };
        let ed25519 = [0x06, 3, 0x2b, 0x65, 0x70];
        assert_eq!(kind(&info(&ed25519)), Some(Kind::Ed25519));
        assert_eq!(kind(&info(&[ed25519, ed25519].concat())), None);
        assert_eq!(kind(&info(&[&ed25519[..], &[0x05, 0]].concat())), None);
    }

    #[test]
    fn the_length_of_a_modulus_is_counted_in_bits() {
        for (first, bits) in [(0x80, 2048), (0x40, 2047), (0x02, 2042), (0xff, 2048)] {
            let mut modulus = vec![first];
            modulus.resize(256, 1);
            let key = Numbers::Rsa {
                modulus,
                exponent: vec![3],
            };
            assert_eq!(key.kind(), Kind::Rsa { bits });
        }
    }

    #[test]
    fn a_point_is_the_same_in_every_form() {
        let (x, even, odd) = ([7; 32], [2; 32], [3; 32]);
        let point = |form: u8, rest: &[&[u8]]| {
            Numbers::point(Kind::P256, &[&[form], rest.concat().as_slice()].concat())
        };
        let whole = point(4, &[&x, &odd]);
        assert!(whole.is_some());
        assert_eq!(whole, point(3, &[&x]));
        assert_eq!(whole, point(7, &[&x, &odd]));
        assert_ne!(whole, point(2, &[&x]));
        assert_ne!(whole, point(4, &[&x, &even]));
        for malformed in [
            point(6, &[&x, &odd]),
            point(4, &[&x]),
            point(5, &[&x, &odd]),
            point(2, &[&x, &x]),
        ] {
            assert_eq!(malformed, None);
        }
    }
}
