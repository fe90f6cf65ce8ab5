//! The private key of a certificate, in the words of cert-manager:
//! <https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificatePrivateKey>.

use kube::KubeSchema;
use kube::core::Rule as CelRule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::rule;
use crate::schema;

/// Settings of a private key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = size_fits())]
pub struct PrivateKey {
    /// Algorithm of the private key; `RSA` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<KeyAlgorithm>")]
    pub algorithm: Option<KeyAlgorithm>,
    /// Bits of the private key: 2048 to 8192 for `RSA`, 2048 when unset; 256, 384 or 521 for `ECDSA`, 256 when unset; none
    /// for `Ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i32>,
    /// Encoding of the private key; `PKCS1` when unset. An `Ed25519` key is always encoded as `PKCS8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<KeyEncoding>")]
    pub encoding: Option<KeyEncoding>,
    /// Whether a renewed certificate gets a new private key; `Always` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<KeyRotation>")]
    pub rotation_policy: Option<KeyRotation>,
}

impl PrivateKey {
    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm.unwrap_or_default()
    }

    /// In bits; `None` for an algorithm with one size.
    ///
    /// # Errors
    /// What sizes the algorithm has, if it has not this one: a phrase for a message.
    pub fn size(&self) -> Result<Option<i32>, &'static str> {
        let asked = self.size.filter(|size| *size != 0);
        match (self.algorithm(), asked) {
            (KeyAlgorithm::Ed25519, None) => Ok(None),
            (KeyAlgorithm::Ed25519, Some(_)) => Err("no size at all, since Ed25519 keys have one size"),
            (KeyAlgorithm::Rsa, None) => Ok(Some(2048)),
            (KeyAlgorithm::Rsa, Some(2048..=8192)) | (KeyAlgorithm::Ecdsa, Some(256 | 384 | 521)) => {
                Ok(asked)
            }
            (KeyAlgorithm::Rsa, Some(_)) => Err("2048 to 8192 for RSA"),
            (KeyAlgorithm::Ecdsa, None) => Ok(Some(256)),
            (KeyAlgorithm::Ecdsa, Some(_)) => Err("256, 384 or 521 for ECDSA"),
        }
    }
}

/// Algorithm of a private key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// RSA.
    #[default]
    #[serde(rename = "RSA")]
    Rsa,
    /// ECDSA on a curve of NIST.
    #[serde(rename = "ECDSA")]
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

impl KeyAlgorithm {
    /// As cert-manager writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// Encoding of a private key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyEncoding {
    /// PKCS #1 for RSA keys, SEC 1 for ECDSA keys.
    #[default]
    Pkcs1,
    /// PKCS #8.
    Pkcs8,
}

/// When a certificate gets a new private key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeyRotation {
    /// With every renewal.
    #[default]
    Always,
    /// Only when its Secret has none.
    Never,
}

impl KeyRotation {
    /// As cert-manager writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::Never => "Never",
        }
    }
}

/// [`PrivateKey::size`] as a rule.
fn size_fits() -> CelRule {
    rule(
        "!has(self.size) || self.size == 0 || (has(self.algorithm) && self.algorithm == 'Ed25519' ? false : \
         has(self.algorithm) && self.algorithm == 'ECDSA' ? self.size in [256, 384, 521] : self.size >= 2048 && self.size \
         <= 8192)",
        "must be 2048 to 8192 for RSA, 256, 384 or 521 for ECDSA, and left out for Ed25519",
    )
    .field_path(".size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_has_its_sizes() {
        use KeyAlgorithm::{Ecdsa, Ed25519, Rsa};
        let size = |algorithm, size| {
            PrivateKey {
                algorithm,
                size,
                ..PrivateKey::default()
            }
            .size()
        };
        for (algorithm, default) in [
            (None, Some(2048)),
            (Some(Rsa), Some(2048)),
            (Some(Ecdsa), Some(256)),
            (Some(Ed25519), None),
        ] {
            assert_eq!(size(algorithm, None), Ok(default));
            assert_eq!(size(algorithm, Some(0)), Ok(default));
        }
        for (algorithm, good, bad) in [
            (None, [2048, 3072, 8192], [2047, 8193, 256]),
            (Some(Ecdsa), [256, 384, 521], [224, 512, 2048]),
        ] {
            assert!(
                good.iter()
                    .all(|bits| size(algorithm, Some(*bits)) == Ok(Some(*bits)))
            );
            assert!(bad.iter().all(|bits| size(algorithm, Some(*bits)).is_err()));
        }
        assert!(size(Some(Ed25519), Some(256)).is_err());
        assert!(size(None, Some(-1)).is_err());
    }
}
