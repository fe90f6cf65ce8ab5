//! Verifies a certificate Secret: do `tls.crt`, `tls.key` and `ca.crt` belong together, and do they meet the
//! requirements of a Pgpool at a given time?
//!
//! Pgpool silently falls back to plain text when key and certificate do not match. So both operators verify a
//! bundle with this crate first, and get the same result. It is pure: no Kubernetes, no files, no clock. Messages
//! and `Debug` output contain public parts of a certificate only, never any part of a key.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod algorithm;
mod certificate;
mod chain;
mod constraints;
mod der;
mod extensions;
mod failure;
mod fingerprint;
mod general_name;
mod key;
mod key_id;
pub mod limits;
mod name;
mod names;
mod oid;
mod origin;
mod pem;
mod public_key;
mod public_part;
mod shortened;
mod signature;
mod time;
mod usage;
mod verify;
mod warning;

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

pub use failure::{ChainFault, Entry, Failure, Place, Subject};
pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use key_id::KeyId;
pub use public_part::PublicPart;
pub use warning::Warning;

/// The entries of a certificate Secret, unparsed.
#[derive(Clone, Copy, Default)]
pub struct Bundle<'a> {
    /// `ca.crt`: the trusted CAs, in PEM.
    pub ca: Option<&'a [u8]>,
    /// `tls.crt`: the leaf certificate, then its intermediates, in PEM.
    pub certificate: Option<&'a [u8]>,
    /// `tls.key`: the private key of the leaf certificate, in PEM.
    pub key: Option<&'a [u8]>,
}

impl<'a> Bundle<'a> {
    /// Reads the three entries from the data of a Secret.
    pub fn from_data(lookup: impl Fn(&str) -> Option<&'a [u8]>) -> Self {
        Self {
            ca: lookup("ca.crt"),
            certificate: lookup("tls.crt"),
            key: lookup("tls.key"),
        }
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("ca", &self.ca.map(<[u8]>::len))
            .field("certificate", &self.certificate.map(<[u8]>::len))
            .field("key", &self.key.map(|_| "hidden"))
            .finish()
    }
}

/// The side of a TLS connection on which the certificate is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Presented to clients.
    Server,
    /// Presented to servers.
    Client,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

/// The requirements for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The side on which it is used.
    pub role: Role,
    /// DNS names that it must cover; a wildcard is covered by the same wildcard only.
    pub dns_names: Vec<String>,
    /// Addresses that it must cover.
    pub ip_addresses: Vec<IpAddr>,
    /// The common name that it must have, if any.
    pub common_name: Option<String>,
    /// Whether `ca.crt` must be enough to verify it, as where logins depend on that. Otherwise a `ca.crt` that is not
    /// enough is a [`Warning`].
    pub ca_required: bool,
}

/// Public facts about the leaf certificate of `tls.crt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of its DER form.
    pub fingerprint: Fingerprint,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Its common name.
    pub common_name: Option<String>,
    /// The DNS names among its subject alternative names.
    pub dns_names: Vec<String>,
}

impl Leaf {
    /// Returns whether a client that connects to `name` may expect this certificate.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        names::covers(&self.dns_names, name)
    }
}

/// The result of verifying a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The leaf certificate, when `tls.crt` could be parsed.
    pub leaf: Option<Leaf>,
    /// The keys of the CAs on the verified path, from the issuer of the leaf to the trusted CA; empty without such a path.
    pub signers: Vec<KeyId>,
    /// Everything that is wrong, the root cause first; empty when the bundle is valid.
    pub failures: Vec<Failure>,
    /// What clients must know before they can verify the certificate. Empty where [`Required::ca_required`] makes
    /// failures of them.
    pub warnings: Vec<Warning>,
}

impl Verification {
    /// Returns whether the bundle may be used.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.leaf.is_some() && self.failures.is_empty()
    }

    /// Returns the failure to report when only one can be reported.
    #[must_use]
    pub fn first(&self) -> Option<&Failure> {
        self.failures.first()
    }
}

/// Verifies a bundle against the requirements at the time `now`.
#[must_use]
pub fn verify(bundle: &Bundle<'_>, required: &Required, now: Timestamp) -> Verification {
    verify::verify(bundle, required, now)
}

/// As [`verify()`], with the public part of the key in place of `bundle.key`, which is not read.
#[must_use]
pub fn verify_with_public_part(
    bundle: &Bundle<'_>,
    part: &PublicPart,
    required: &Required,
    now: Timestamp,
) -> Verification {
    verify::verify_with(bundle, part.0.clone(), required, now)
}

/// Verifies the certificates that a server presented in a TLS handshake, leaf first, as [`verify()`] verifies those of a
/// bundle. Whether the server has the key is proved by the handshake.
#[must_use]
pub fn verify_presented(
    chain: &[CertificateDer<'_>],
    ca: Option<&[u8]>,
    required: &Required,
    now: Timestamp,
) -> Verification {
    verify::verify_presented(chain, ca, required, now)
}

/// Returns the keys of the certificates in a `ca.crt`. Certificates that cannot be parsed are left out.
#[must_use]
pub fn ca_keys(pem: &[u8]) -> Vec<KeyId> {
    let certificates = pem::certificates(pem).unwrap_or_default();
    let parsed = certificates.iter().filter_map(|ca| certificate::parse(ca).ok());
    parsed.map(|ca| KeyId::of(&ca)).collect()
}

/// Returns whether the first certificate of `ca` signed the leaf certificate of a `tls.crt`, regardless of their
/// validity. Both are PEM; `None` when one of them cannot be parsed.
#[must_use]
pub fn is_signed_by(certificate: &[u8], ca: &[u8]) -> Option<bool> {
    origin::is_signed_by(certificate, ca)
}

/// The subject and the issuer of a certificate as text, shortened to fit into a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whom it names.
    pub subject: String,
    /// Whom it says that it was signed by.
    pub issuer: String,
}

/// Returns the names of the first certificate of a PEM text; `None` when it cannot be parsed.
#[must_use]
pub fn names_of(pem: &[u8]) -> Option<Names> {
    let first = pem::first(pem)?;
    let parsed = certificate::parse(&first).ok()?;
    Some(Names {
        subject: parsed.subject.display(),
        issuer: parsed.issuer.display(),
    })
}

/// Returns the facts about the leaf certificate of a `tls.crt` without verifying it; `None` when it cannot be parsed.
#[must_use]
pub fn leaf(pem: &[u8]) -> Option<Leaf> {
    leaf_of_der(&pem::first(pem)?)
}

/// Like [`leaf`], of a certificate in DER form.
#[must_use]
pub fn leaf_of_der(der: &[u8]) -> Option<Leaf> {
    certificate::parse(der).ok()?.leaf()
}

/// Returns the public key of a certificate in DER form, as a `SubjectPublicKeyInfo`; `None` when it cannot be parsed.
#[must_use]
pub fn public_key_of_der(der: &[u8]) -> Option<SubjectPublicKeyInfoDer<'_>> {
    let parsed = certificate::parse(der).ok()?;
    Some(SubjectPublicKeyInfoDer::from(parsed.key.info))
}

/// Returns the leaf certificate of a `tls.crt` in DER form, or `None` when the text cannot be parsed.
#[must_use]
pub fn leaf_der(pem: &[u8]) -> Option<Vec<u8>> {
    pem::first(pem).map(|leaf| leaf.to_vec())
}
