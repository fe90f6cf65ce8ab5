//! The extensions that decide about a certificate, decoded as OpenSSL decodes them. Malformed ones make a certificate
//! invalid: OpenSSL then takes it neither for an issuer nor looks for its issuer.

use crate::constraints::NameConstraints;
use crate::der::{self, Fault, Read, Reader, tag};
use crate::general_name::GeneralName;
use crate::name::display_oid;
use crate::oid;

/// The critical extensions that OpenSSL acts on, or knows that it need not.
const KNOWN: [&[u8]; 15] = [
    oid::NETSCAPE_CERTIFICATE_TYPE,
    oid::KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::BASIC_CONSTRAINTS,
    oid::CERTIFICATE_POLICIES,
    oid::CRL_DISTRIBUTION_POINTS,
    oid::EXTENDED_KEY_USAGE,
    oid::ADDRESS_BLOCKS,
    oid::AUTONOMOUS_SYSTEMS,
    oid::OCSP_NO_CHECK,
    oid::POLICY_CONSTRAINTS,
    oid::PROXY_CERTIFICATE,
    oid::NAME_CONSTRAINTS,
    oid::POLICY_MAPPINGS,
    oid::INHIBIT_ANY_POLICY,
];

/// Extensions whose rules are not implemented: proxy certificates, which no client accepts, and address ranges.
const UNSUPPORTED: [&[u8]; 3] = [
    oid::PROXY_CERTIFICATE,
    oid::ADDRESS_BLOCKS,
    oid::AUTONOMOUS_SYSTEMS,
];

/// Whether a certificate is a CA, by its basic constraints.
#[derive(Clone, Copy)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    /// How many CAs may be below it.
    pub(crate) path_length: Option<u64>,
}

/// The usages of the key: the bits of RFC 5280, those of the first octet in the first element.
#[derive(Clone, Copy)]
pub(crate) struct KeyUsage([u8; 2]);

impl KeyUsage {
    pub(crate) const fn signs(self) -> bool {
        self.0[0] & 0x80 != 0
    }

    pub(crate) const fn signs_certificates(self) -> bool {
        self.0[0] & 0x04 != 0
    }
}

/// The extended key usages that matter for TLS.
#[derive(Clone, Copy, Default)]
pub(crate) struct ExtendedKeyUsage {
    pub(crate) server: bool,
    pub(crate) client: bool,
}

/// The key that signed a certificate.
#[derive(Default)]
pub(crate) struct AuthorityKeyId<'a> {
    pub(crate) key_id: Option<&'a [u8]>,
    /// The issuer of the issuer, in canonical form.
    pub(crate) issuer: Option<Vec<u8>>,
    /// The serial number of the issuer.
    pub(crate) serial: Option<&'a [u8]>,
}

/// The decoded extensions of a certificate.
#[derive(Default)]
pub(crate) struct Extensions<'a> {
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage>,
    /// The first octet of the Netscape certificate type.
    pub(crate) netscape_type: Option<u8>,
    pub(crate) subject_key_id: Option<&'a [u8]>,
    pub(crate) authority_key_id: Option<AuthorityKeyId<'a>>,
    pub(crate) alternative_names: Vec<GeneralName<'a>>,
    pub(crate) name_constraints: Option<NameConstraints<'a>>,
    /// The first critical extension that clients do not know.
    pub(crate) unknown_critical: Option<String>,
    /// The first extension whose rules are not implemented.
    pub(crate) unsupported: Option<String>,
    /// What is malformed, as the name of an extension.
    pub(crate) malformed: Option<&'static str>,
}

impl<'a> Extensions<'a> {
    /// Reads a list of extensions.
    pub(crate) fn read(mut reader: Reader<'a>) -> Read<Self> {
        let mut found = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        while !reader.is_empty() {
            let mut extension = reader.expect(tag::SEQUENCE)?.reader();
            let oid = der::oid(extension.expect(tag::OID)?.content)?;
            let critical = boolean(&mut extension)?;
            let value = extension.expect(tag::OCTET_STRING)?.content;
            extension.end()?;
            found.note(oid, critical);
            let Some(name) = decoded(oid) else {
                continue;
            };
            if seen.contains(&oid) {
                found.malformed = found.malformed.or(Some(name));
            }
            seen.push(oid);
            match found.decode(oid, value) {
                Ok(()) => {}
                Err(Fault::Malformed) => found.malformed = found.malformed.or(Some(name)),
                Err(refused) => return Err(refused),
            }
        }
        Ok(found)
    }

    fn note(&mut self, oid: &[u8], critical: bool) {
        if critical && self.unknown_critical.is_none() && !KNOWN.contains(&oid) {
            self.unknown_critical = Some(display_oid(oid));
        }
        if self.unsupported.is_none() && UNSUPPORTED.contains(&oid) {
            self.unsupported = Some(display_oid(oid));
        }
    }

    fn decode(&mut self, oid: &[u8], value: &'a [u8]) -> Read<()> {
        match oid {
            oid::BASIC_CONSTRAINTS => self.basic_constraints = Some(basic_constraints(value)?),
            oid::KEY_USAGE => {
                let flags = der::flags(der::alone(value, tag::BIT_STRING)?.content)?;
                if flags == [0; 2] {
                    return Err(Fault::Malformed);
                }
                self.key_usage = Some(KeyUsage(flags));
            }
            oid::EXTENDED_KEY_USAGE => self.extended_key_usage = Some(extended_key_usage(value)?),
            oid::NETSCAPE_CERTIFICATE_TYPE => {
                let [flags, _] = der::flags(der::alone(value, tag::BIT_STRING)?.content)?;
                self.netscape_type = Some(flags);
            }
            oid::SUBJECT_KEY_ID => {
                self.subject_key_id = Some(der::alone(value, tag::OCTET_STRING)?.content);
            }
            oid::AUTHORITY_KEY_ID => self.authority_key_id = Some(authority_key_id(value)?),
            oid::SUBJECT_ALT_NAME => {
                let names = der::alone(value, tag::SEQUENCE)?;
                self.alternative_names = GeneralName::read_all(names.reader())?;
            }
            oid::NAME_CONSTRAINTS => self.name_constraints = Some(NameConstraints::read(value)?),
            oid::CRL_DISTRIBUTION_POINTS => distribution_points(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// The name of an extension that OpenSSL decodes in every certificate.
const fn decoded(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        oid::BASIC_CONSTRAINTS => "basic constraints",
        oid::KEY_USAGE => "key usage",
        oid::EXTENDED_KEY_USAGE => "extended key usage",
        oid::NETSCAPE_CERTIFICATE_TYPE => "Netscape certificate type",
        oid::SUBJECT_KEY_ID => "subject key identifier",
        oid::AUTHORITY_KEY_ID => "authority key identifier",
        oid::SUBJECT_ALT_NAME => "subject alternative name",
        oid::NAME_CONSTRAINTS => "name constraints",
        oid::CRL_DISTRIBUTION_POINTS => "CRL distribution points",
        _ => return None,
    })
}

/// An optional BOOLEAN; OpenSSL takes every octet but 0 for true.
fn boolean(reader: &mut Reader<'_>) -> Read<bool> {
    match reader.optional(tag::BOOLEAN)?.map(|value| value.content) {
        None => Ok(false),
        Some([value]) => Ok(*value != 0),
        Some(_) => Err(Fault::Malformed),
    }
}

fn basic_constraints(value: &[u8]) -> Read<BasicConstraints> {
    let mut reader = der::alone(value, tag::SEQUENCE)?.reader();
    let ca = boolean(&mut reader)?;
    let path_length = match reader.optional(tag::INTEGER)? {
        None => None,
        Some(length) => match der::integer(length.content)? {
            [first, ..] if *first >= 0x80 => return Err(Fault::Malformed),
            // A number that fits no C integer is no limit to OpenSSL.
            octets if octets.len() > 8 => None,
            octets => Some(
                octets
                    .iter()
                    .fold(0_u64, |length, octet| length.wrapping_shl(8) | u64::from(*octet)),
            ),
        },
    };
    reader.end()?;
    Ok(BasicConstraints { ca, path_length })
}

fn extended_key_usage(value: &[u8]) -> Read<ExtendedKeyUsage> {
    let mut reader = der::alone(value, tag::SEQUENCE)?.reader();
    let mut usage = ExtendedKeyUsage::default();
    while !reader.is_empty() {
        match der::oid(reader.expect(tag::OID)?.content)? {
            oid::SERVER_AUTH | oid::MICROSOFT_SGC | oid::NETSCAPE_SGC => usage.server = true,
            oid::CLIENT_AUTH => usage.client = true,
            // Any usage, too: OpenSSL does not take it for one of TLS.
            _ => {}
        }
    }
    Ok(usage)
}

fn authority_key_id(value: &[u8]) -> Read<AuthorityKeyId<'_>> {
    let mut reader = der::alone(value, tag::SEQUENCE)?.reader();
    let key_id = reader.optional(tag::primitive(0))?.map(|id| id.content);
    let issuer = match reader.optional(tag::constructed(1))? {
        None => None,
        Some(names) => GeneralName::read_all(names.reader())?
            .into_iter()
            .find_map(|name| match name {
                GeneralName::Directory(name) => Some(name.canonical().to_vec()),
                _ => None,
            }),
    };
    let serial = match reader.optional(tag::primitive(2))? {
        None => None,
        Some(serial) => Some(der::integer(serial.content)?),
    };
    reader.end()?;
    Ok(AuthorityKeyId {
        key_id,
        issuer,
        serial,
    })
}

fn distribution_points(value: &[u8]) -> Read<()> {
    let mut points = der::alone(value, tag::SEQUENCE)?.reader();
    while !points.is_empty() {
        let mut point = points.expect(tag::SEQUENCE)?.reader();
        let place = point.optional(tag::constructed(0))?;
        if let Some(place) = place {
            let mut place = place.reader();
            let names = place.element()?;
            match names.tag {
                0xa0 => drop(GeneralName::read_all(names.reader())?),
                0xa1 => {
                    return Err(Fault::Refused("a CRL distribution point relative to its issuer"));
                }
                _ => return Err(Fault::Malformed),
            }
            place.end()?;
        }
        if let Some(reasons) = point.optional(tag::primitive(1))? {
            der::bit_string(reasons.content)?;
        }
        let issuers = match point.optional(tag::constructed(2))? {
            Some(issuers) => GeneralName::read_all(issuers.reader())?.len(),
            None => 0,
        };
        point.end()?;
        if place.is_none() && issuers == 0 {
            return Err(Fault::Malformed);
        }
    }
    Ok(())
}
