//! Judges a certificate Secret: do `tls.crt`, `tls.key` and `ca.crt` belong together, and do they serve what a
//! Pgpool needs of them at a given time?
//!
//! Pgpool falls back to plain text when key and certificate do not fit, and says nothing: so both operators ask
//! this crate first, and must get the same answer. It is pure: no Kubernetes, no files, no clock. Messages and
//! `Debug` output name what is public in a certificate, never anything of a key.

mod certificate;
mod chain;
mod constraints;
mod der;
mod failure;
mod fingerprint;
mod key;
mod names;
mod origin;
mod pem;
mod signature;
mod usage;
mod verify;

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;

pub use failure::{ChainFault, Entry, Failure};
pub use fingerprint::{Fingerprint, NotAFingerprint};

/// The entries of a certificate Secret, as they are.
#[derive(Clone, Copy, Default)]
pub struct Bundle<'a> {
    /// `ca.crt`: the CAs that verify the leaf, in PEM.
    pub ca: Option<&'a [u8]>,
    /// `tls.crt`: the leaf, then its intermediates, in PEM.
    pub certificate: Option<&'a [u8]>,
    /// `tls.key`: the private key of the leaf, in PEM.
    pub key: Option<&'a [u8]>,
}

impl<'a> Bundle<'a> {
    /// Takes the three entries out of the data of a Secret, whatever map holds it.
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
    /// Served to clients.
    Server,
    /// Shown to servers.
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

/// What is required of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// How it is used.
    pub role: Role,
    /// DNS names that it must cover; a wildcard is covered by itself only.
    pub dns_names: Vec<String>,
    /// Addresses that it must cover.
    pub ip_addresses: Vec<IpAddr>,
    /// The common name that it must have, if any.
    pub common_name: Option<String>,
}

/// What is public and worth telling about the leaf of `tls.crt`.
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

/// The judgement on a certificate Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The leaf, when `tls.crt` could be read.
    pub leaf: Option<Leaf>,
    /// All that is wrong, the root cause first; empty when all is well.
    pub failures: Vec<Failure>,
}

impl Verification {
    /// Tells whether the bundle may be used.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.leaf.is_some() && self.failures.is_empty()
    }

    /// Gives the failure to report when only one can be.
    #[must_use]
    pub fn first(&self) -> Option<&Failure> {
        self.failures.first()
    }
}

/// Judges a bundle against what is required of it at the time `now`.
#[must_use]
pub fn verify(bundle: &Bundle<'_>, required: &Required, now: Timestamp) -> Verification {
    verify::verify(bundle, required, now)
}

/// Tells whether the first certificate of `authority` signed the leaf of a `tls.crt`, whatever their times say. Both are
/// PEM; nothing when one of them cannot be read.
#[must_use]
pub fn is_signed_by(certificate: &[u8], authority: &[u8]) -> Option<bool> {
    origin::is_signed_by(certificate, authority)
}

/// Gives what is worth telling about the leaf of a `tls.crt`, or nothing when it cannot be read. No judgement.
#[must_use]
pub fn leaf(pem: &[u8]) -> Option<Leaf> {
    let certificates = pem::certificates(pem).ok()?;
    let parsed = certificate::parse(certificates.first()?).ok()?;
    Some(certificate::leaf(&parsed))
}

/// Gives the leaf of a `tls.crt` in DER form, or nothing when the text cannot be read.
#[must_use]
pub fn leaf_der(pem: &[u8]) -> Option<Vec<u8>> {
    let certificates = pem::certificates(pem).ok()?;
    certificates.first().map(|leaf| leaf.to_vec())
}
