//! One certificate, decoded as OpenSSL decodes it.

use jiff::Timestamp;

use crate::algorithm::Algorithm;
use crate::der::{self, Read, Reader, tag};
use crate::extensions::Extensions;
use crate::general_name::GeneralName;
use crate::name::Name;
use crate::public_key::PublicKey;
use crate::time::Validity;
use crate::{Fingerprint, Leaf};

/// A decoded certificate.
pub(crate) struct Certificate<'a> {
    /// All of it.
    pub(crate) der: &'a [u8],
    /// What its signature covers.
    pub(crate) signed: &'a [u8],
    pub(crate) algorithm: Algorithm<'a>,
    /// The algorithm as what is signed names it, by which OpenSSL tells whether an issuer has the right kind of key.
    claimed: Algorithm<'a>,
    /// Whether both are the same.
    pub(crate) same_algorithm: bool,
    /// The signature; `None` if it has a fraction of an octet.
    pub(crate) signature: Option<&'a [u8]>,
    pub(crate) is_v1: bool,
    pub(crate) serial: &'a [u8],
    pub(crate) issuer: Name<'a>,
    pub(crate) subject: Name<'a>,
    pub(crate) validity: Validity,
    pub(crate) key: PublicKey<'a>,
    pub(crate) extensions: Extensions<'a>,
}

/// Decodes a certificate.
///
/// # Errors
/// What is wrong, as the end of a sentence about the certificate.
pub(crate) fn parse(bytes: &[u8]) -> Read<Certificate<'_>> {
    Certificate::read(bytes)
}

impl<'a> Certificate<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let whole = der::alone(bytes, tag::SEQUENCE)?;
        let mut outer = whole.reader();
        let signed = outer.expect(tag::SEQUENCE)?;
        let algorithm = outer.expect(tag::SEQUENCE)?;
        let (unused, signature) = der::bit_string(outer.expect(tag::BIT_STRING)?.content)?;
        outer.end()?;

        let mut reader = signed.reader();
        let is_v1 = version(&mut reader)?;
        let serial = der::integer(reader.expect(tag::INTEGER)?.content)?;
        let inner = reader.expect(tag::SEQUENCE)?;
        let claimed = Algorithm::read(&inner)?;
        let issuer = Name::read(&mut reader)?;
        let validity = Validity::read(&mut reader)?;
        let subject = Name::read(&mut reader)?;
        let key = PublicKey::read(&mut reader)?;
        for number in [1, 2] {
            if let Some(id) = reader.optional(tag::primitive(number))? {
                der::bit_string(id.content)?;
            }
        }
        let extensions = match reader.optional(tag::constructed(3))? {
            None => Extensions::default(),
            Some(wrapped) => {
                let mut wrapped = wrapped.reader();
                let list = wrapped.expect(tag::SEQUENCE)?;
                wrapped.end()?;
                Extensions::read(list.reader())?
            }
        };
        reader.end()?;
        Ok(Self {
            der: whole.whole,
            signed: signed.whole,
            algorithm: Algorithm::read(&algorithm)?,
            claimed,
            same_algorithm: inner.whole == algorithm.whole,
            signature: (unused == 0).then_some(signature),
            is_v1,
            serial,
            issuer,
            subject,
            validity,
            key,
            extensions,
        })
    }

    /// Whether subject and issuer are the same.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject.canonical() == self.issuer.canonical()
    }

    /// Whether it claims to be signed with its own key. OpenSSL does not verify that signature, and takes only such a
    /// certificate for the end of a chain.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.is_self_issued() && self.names_key_of(self) && self.claimed.is_for(self.key.family())
    }

    /// Whether the authority key identifier is that of `issuer`, or there is none.
    pub(crate) fn names_key_of(&self, issuer: &Certificate<'_>) -> bool {
        let Some(wanted) = &self.extensions.authority_key_id else {
            return true;
        };
        let same_id = match (wanted.key_id, issuer.extensions.subject_key_id) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        };
        let same_serial = wanted.serial.is_none_or(|serial| serial == issuer.serial);
        let same_issuer = wanted
            .issuer
            .as_ref()
            .is_none_or(|name| name == issuer.issuer.canonical());
        same_id && same_serial && same_issuer
    }

    /// Whether `issuer` may have issued it, as far as OpenSSL looks before it verifies the signature.
    pub(crate) fn may_be_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        self.issuer.canonical() == issuer.subject.canonical()
            && self.extensions.malformed.is_none()
            && issuer.extensions.malformed.is_none()
            && self.names_key_of(issuer)
            && self.claimed.is_for(issuer.key.family())
    }

    /// The public facts about a leaf certificate; `None` if its validity is malformed.
    pub(crate) fn leaf(&self) -> Option<Leaf> {
        let names = self.extensions.alternative_names.iter();
        let dns_names = names.filter_map(|name| match name {
            GeneralName::Dns(name) => Some(std::str::from_utf8(name).ok()?.to_owned()),
            _ => None,
        });
        Some(Leaf {
            fingerprint: Fingerprint::of_der(self.der),
            not_before: timestamp(self.validity.not_before?),
            not_after: timestamp(self.validity.not_after?),
            common_name: self.subject.common_name(),
            dns_names: dns_names.collect(),
        })
    }
}

/// Returns whether the certificate is of version 1.
fn version(reader: &mut Reader<'_>) -> Read<bool> {
    let Some(wrapped) = reader.optional(tag::constructed(0))? else {
        return Ok(true);
    };
    let mut wrapped = wrapped.reader();
    let version = der::integer(wrapped.expect(tag::INTEGER)?.content)?;
    wrapped.end()?;
    Ok(version == [0])
}

/// Seconds since 1970. Times beyond are taken for these: RFC 5280 writes 99991231235959Z for a certificate that never
/// expires, and a status can contain times of years 1000 to 9998.
const YEAR_1000: i64 = -30_610_224_000;
const END_OF_YEAR_9998: i64 = 253_370_764_799;

/// Converts seconds since 1970; a time before the year 1000 or after the year 9998 becomes the nearest within.
pub(crate) fn timestamp(second: i64) -> Timestamp {
    let second = second.clamp(YEAR_1000, END_OF_YEAR_9998);
    Timestamp::from_second(second).unwrap_or_default()
}
