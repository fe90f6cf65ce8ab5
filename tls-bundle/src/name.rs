//! Subjects and issuers, in the canonical form in which OpenSSL compares them: neither case, nor white space at the ends or
//! repeated, nor the type of the string matters.

use crate::der::{Fault, Read, Reader, tag};
use crate::shortened::shortened;
use crate::{limits, oid};

const UNUSUAL_STRING: Fault = Fault::Refused("a string of an unusual type in a name");

/// One attribute, such as a common name.
pub(crate) struct Attribute<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
}

/// A subject or issuer.
pub(crate) struct Name<'a> {
    attributes: Vec<Vec<Attribute<'a>>>,
    /// Relative names one after the other, each with its length in front, so that a name above another one is a prefix.
    canonical: Vec<u8>,
    size: usize,
}

impl<'a> Name<'a> {
    /// Reads a name from the front.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Read<Self> {
        let whole = reader.expect(tag::SEQUENCE)?;
        let mut attributes = Vec::new();
        let mut canonical = Vec::new();
        let mut sets = whole.reader();
        while !sets.is_empty() {
            let relative = relative(&mut sets)?;
            // OpenSSL knows attributes and not the sets that they are in: an empty one is nothing.
            if !relative.is_empty() {
                canonical.extend(canonical_relative(&relative)?);
                attributes.push(relative);
            }
        }
        Ok(Self {
            attributes,
            canonical,
            size: whole.whole.len(),
        })
    }

    /// The form in which names are compared.
    pub(crate) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The values of one kind of attribute.
    pub(crate) fn values<'n>(&'n self, oid: &'n [u8]) -> impl Iterator<Item = &'n Attribute<'a>> {
        let all = self.attributes.iter().flatten();
        all.filter(move |attribute| attribute.oid == oid)
    }

    /// The number of attributes.
    pub(crate) fn len(&self) -> usize {
        self.attributes.iter().map(Vec::len).sum()
    }

    /// The first common name.
    pub(crate) fn common_name(&self) -> Option<String> {
        let name = self.values(oid::COMMON_NAME).next()?;
        String::from_utf8(utf8(name.tag, name.value).ok()?).ok()
    }

    /// Formats the name, shortened to fit into a condition.
    pub(crate) fn display(&self) -> String {
        if self.size > limits::SHOWN_NAME_BYTES {
            return format!("a name of {} bytes", self.size);
        }
        let relative = self.attributes.iter().map(|relative| {
            let attributes = relative.iter().map(Attribute::display);
            attributes.collect::<Vec<_>>().join(" + ")
        });
        shortened(relative.collect::<Vec<_>>().join(", "))
    }
}

impl Attribute<'_> {
    fn display(&self) -> String {
        let value = utf8(self.tag, self.value).unwrap_or_else(|_| self.value.to_vec());
        let value = String::from_utf8_lossy(&value).into_owned();
        match short(self.oid) {
            Some(name) => format!("{name}={value}"),
            None => format!("{}={value}", display_oid(self.oid)),
        }
    }
}

/// Formats an object identifier.
pub(crate) fn display_oid(content: &[u8]) -> String {
    let length = content.len();
    if length > limits::SHOWN_OID_BYTES {
        return format!("with an identifier of {length} bytes");
    }
    oid::decimal(content).unwrap_or_else(|| format!("with an identifier of {length} bytes"))
}

const fn short(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 4] => "SN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "street",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x55, 4, 12] => "title",
        [0x55, 4, 17] => "postalCode",
        oid::EMAIL_ADDRESS => "emailAddress",
        oid::DOMAIN_COMPONENT => "DC",
        oid::USER_ID => "UID",
        _ => return None,
    })
}

fn relative<'a>(sets: &mut Reader<'a>) -> Read<Vec<Attribute<'a>>> {
    let mut set = sets.expect(tag::SET)?.reader();
    let mut attributes = Vec::new();
    while !set.is_empty() {
        let mut attribute = set.expect(tag::SEQUENCE)?.reader();
        let oid = crate::der::oid(attribute.expect(tag::OID)?.content)?;
        let value = attribute.element()?;
        attribute.end()?;
        attributes.push(Attribute {
            oid,
            tag: value.tag,
            value: value.content,
        });
    }
    Ok(attributes)
}

fn canonical_relative(relative: &[Attribute<'_>]) -> Read<Vec<u8>> {
    let mut encoded = relative
        .iter()
        .map(canonical_attribute)
        .collect::<Read<Vec<_>>>()?;
    encoded.sort_unstable();
    Ok(sized(&encoded.concat()))
}

fn canonical_attribute(attribute: &Attribute<'_>) -> Read<Vec<u8>> {
    let (tag, value) = match attribute.tag {
        tag::NUMERIC => (tag::NUMERIC, attribute.value.to_vec()),
        tag::BIT_STRING => {
            let (unused, _) = crate::der::bit_string(attribute.value)?;
            if unused != 0 {
                return Err(UNUSUAL_STRING);
            }
            (tag::BIT_STRING, attribute.value.to_vec())
        }
        other => (tag::UTF8, folded(&utf8(other, attribute.value)?)),
    };
    let mut encoded = sized(attribute.oid);
    encoded.push(tag);
    encoded.extend(sized(&value));
    Ok(encoded)
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut sized = bytes.len().to_be_bytes().to_vec();
    sized.extend(bytes);
    sized
}

/// Without white space at the ends, with one space for each run of it, and in lower case, of ASCII characters alone.
fn folded(text: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(text.len());
    for word in text.split(|byte| is_space(*byte)).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(b' ');
        }
        folded.extend(word.iter().map(u8::to_ascii_lowercase));
    }
    folded
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Converts a string of a name. OpenSSL takes the older types for Latin-1, whatever characters they allow.
pub(crate) fn utf8(tag: u8, value: &[u8]) -> Read<Vec<u8>> {
    let text: Option<String> = match tag {
        tag::UTF8 => std::str::from_utf8(value).ok().map(str::to_owned),
        tag::PRINTABLE | tag::T61 | tag::IA5 => Some(value.iter().map(|byte| char::from(*byte)).collect()),
        tag::BMP => wide::<2>(value),
        tag::UNIVERSAL => wide::<4>(value),
        tag::NUMERIC => return Ok(value.to_vec()),
        // Further types are possible, but in no use.
        _ => return Err(UNUSUAL_STRING),
    };
    text.map(String::into_bytes).ok_or(Fault::Malformed)
}

/// Characters of `N` octets each.
fn wide<const N: usize>(value: &[u8]) -> Option<String> {
    let (characters, rest) = value.as_chunks::<N>();
    let text = characters.iter().map(|character| {
        let code = character
            .iter()
            .fold(0_u32, |code, byte| code.wrapping_shl(8) | u32::from(*byte));
        char::from_u32(code)
    });
    rest.is_empty().then(|| text.collect()).flatten()
}
