//! Keys that are the same in every run, so that a seed describes a bundle. Everybody can know them.

use std::cell::RefCell;
use std::collections::HashMap;

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::RsaPrivateKeyBuilder;
use openssl::sha::sha512;

/// A key: the one with that number of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) number: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    P256,
    P384,
    P521,
    /// 112 bits of security: the least that security level 2 allows.
    P224,
    /// Too small.
    P192,
    Brainpool,
    Secp256k1,
    Ed25519,
    Ed448,
    /// Of that many bits.
    Rsa(u32),
}

/// Makes each key once.
#[derive(Default)]
pub(super) struct Keys {
    made: RefCell<HashMap<Key, PKey<Private>>>,
}

impl Keys {
    pub(super) fn get(&self, key: Key) -> anyhow::Result<PKey<Private>> {
        if let Some(made) = self.made.borrow().get(&key) {
            return Ok(made.clone());
        }
        let new = make(key)?;
        self.made.borrow_mut().insert(key, new.clone());
        Ok(new)
    }
}

fn make(key: Key) -> anyhow::Result<PKey<Private>> {
    let bytes = sha512(format!("{key:?}").as_bytes());
    let curve = match key.kind {
        Kind::P256 => Nid::X9_62_PRIME256V1,
        Kind::P384 => Nid::SECP384R1,
        Kind::P521 => Nid::SECP521R1,
        Kind::P224 => Nid::SECP224R1,
        Kind::P192 => Nid::X9_62_PRIME192V1,
        Kind::Brainpool => Nid::BRAINPOOL_P256R1,
        Kind::Secp256k1 => Nid::SECP256K1,
        Kind::Ed25519 => return Ok(PKey::private_key_from_raw_bytes(&bytes[..32], Id::ED25519)?),
        Kind::Ed448 => return Ok(PKey::private_key_from_raw_bytes(&bytes[..57], Id::ED448)?),
        Kind::Rsa(size) => return rsa(&bytes, size.cast_signed()),
    };
    let group = EcGroup::from_curve_name(curve)?;
    // Smaller than the order of every curve.
    let private = BigNum::from_slice(&bytes[..20])?;
    let mut context = BigNumContext::new()?;
    let mut public = EcPoint::new(&group)?;
    public.mul_generator2(&group, &private, &mut context)?;
    Ok(PKey::from_ec_key(EcKey::from_private_components(
        &group, &private, &public,
    )?)?)
}

/// The primes are the first two after numbers made from `bytes`, for which the exponent fits.
fn rsa(bytes: &[u8], size: i32) -> anyhow::Result<PKey<Private>> {
    let mut context = BigNumContext::new()?;
    let one = BigNum::from_u32(1)?;
    let exponent = BigNum::from_u32(65537)?;
    let mut primes = Vec::new();
    for (length, half) in [(size - size / 2, 0_u8), (size / 2, 1)] {
        let mut digits = Vec::new();
        for block in 0_u8..8 {
            digits.extend(sha512(&[bytes, &[half, block]].concat()));
        }
        let mut candidate = BigNum::from_slice(&digits)?;
        candidate.mask_bits(length)?;
        // The two highest bits make the product as long as it should be.
        for bit in [length - 1, length - 2, 0] {
            candidate.set_bit(bit)?;
        }
        loop {
            let mut less = BigNum::new()?;
            less.checked_sub(&candidate, &one)?;
            let mut common = BigNum::new()?;
            common.gcd(&less, &exponent, &mut context)?;
            if common == one && candidate.is_prime_fasttest(32, &mut context, true)? {
                break;
            }
            candidate.add_word(2)?;
        }
        primes.push(candidate);
    }
    let [p, q] = &primes[..] else {
        anyhow::bail!("there are two primes")
    };
    let mut modulus = BigNum::new()?;
    modulus.checked_mul(p, q, &mut context)?;
    let (mut p_less, mut q_less) = (BigNum::new()?, BigNum::new()?);
    p_less.checked_sub(p, &one)?;
    q_less.checked_sub(q, &one)?;
    let mut totient = BigNum::new()?;
    totient.checked_mul(&p_less, &q_less, &mut context)?;
    let mut private = BigNum::new()?;
    private.mod_inverse(&exponent, &totient, &mut context)?;
    let (mut dp, mut dq, mut qi) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
    dp.nnmod(&private, &p_less, &mut context)?;
    dq.nnmod(&private, &q_less, &mut context)?;
    qi.mod_inverse(q, p, &mut context)?;
    let key = RsaPrivateKeyBuilder::new(modulus, exponent, private)?
        .set_factors(BigNumRef::to_owned(p)?, BigNumRef::to_owned(q)?)?
        .set_crt_params(dp, dq, qi)?
        .build();
    Ok(PKey::from_rsa(key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rsa_key_has_the_size_and_is_whole() {
        let key = Keys::default()
            .get(Key {
                kind: Kind::Rsa(1026),
                number: 0,
            })
            .unwrap();
        assert_eq!(key.bits(), 1026);
        assert!(key.rsa().unwrap().check_key().unwrap());
    }
}
