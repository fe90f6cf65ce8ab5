//! What of a private key is needed to verify a bundle: the public key that it belongs to.

use crate::public_key::{Kind, Numbers};
use crate::verify::private_key;
use crate::{Entry, Failure};

const UNREADABLE: u8 = 0;
const RSA: u8 = 1;
const P256: u8 = 2;
const P384: u8 = 3;
const P521: u8 = 4;
const ED25519: u8 = 5;

/// The public part of a `tls.key`, or why it has none. For programs that verify a bundle more than once and need not keep its
/// private key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicPart(pub(crate) Result<Numbers, Failure>);

impl PublicPart {
    /// Derives it from a `tls.key`, in PEM.
    #[must_use]
    pub fn of(key: Option<&[u8]>) -> Self {
        Self(private_key(key))
    }

    /// Returns bytes from which [`PublicPart::from_bytes`] restores it. They are no secret.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Ok(Numbers::Rsa { modulus, exponent }) => {
                let length = u16::try_from(modulus.len()).unwrap_or_default().to_be_bytes();
                [&[RSA], length.as_slice(), modulus, exponent].concat()
            }
            Ok(Numbers::Point {
                curve,
                abscissa,
                is_odd,
            }) => {
                let curve = match curve {
                    Kind::P384 => P384,
                    Kind::P521 => P521,
                    Kind::P256 | Kind::Rsa { .. } | Kind::Ed25519 => P256,
                };
                [&[curve, u8::from(*is_odd)], abscissa.as_slice()].concat()
            }
            Ok(Numbers::Ed25519(key)) => [&[ED25519], key.as_slice()].concat(),
            Err(Failure::KeyUnreadable { problem }) => [&[UNREADABLE], problem.as_bytes()].concat(),
            // The key is missing.
            Err(_) => Vec::new(),
        }
    }

    /// Reads what [`PublicPart::to_bytes`] returned. Other bytes are no key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let missing = Failure::Incomplete { entry: Entry::Key };
        Self(match bytes.split_first() {
            Some((&UNREADABLE, problem)) => Err(Failure::KeyUnreadable {
                problem: String::from_utf8_lossy(problem).into_owned().into(),
            }),
            Some((&kind, key)) => numbers(kind, key).ok_or(missing),
            None => Err(missing),
        })
    }
}

fn numbers(kind: u8, key: &[u8]) -> Option<Numbers> {
    let point = |curve| {
        let (&is_odd, abscissa) = key.split_first()?;
        Some(Numbers::Point {
            curve,
            abscissa: abscissa.to_vec(),
            is_odd: is_odd == 1,
        })
    };
    match kind {
        RSA => {
            let (length, key) = key.split_first_chunk()?;
            let (modulus, exponent) = key.split_at_checked(u16::from_be_bytes(*length).into())?;
            Some(Numbers::Rsa {
                modulus: modulus.to_vec(),
                exponent: exponent.to_vec(),
            })
        }
        P256 => point(Kind::P256),
        P384 => point(Kind::P384),
        P521 => point(Kind::P521),
        ED25519 => Some(Numbers::Ed25519(key.to_vec())),
        _ => None,
    }
}

/// Never shows the key, although it is public.
impl std::fmt::Debug for PublicPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_ok() {
            "PublicPart(key)"
        } else {
            "PublicPart(none)"
        })
    }
}
