//! Reads DER as strictly as OpenSSL does, or more strictly: what OpenSSL reads although it is not DER is refused, so that no
//! check sees an encoding that two libraries interpret differently.

/// Tags, with class and form.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTF8: u8 = 0x0c;
    pub(crate) const NUMERIC: u8 = 0x12;
    pub(crate) const PRINTABLE: u8 = 0x13;
    pub(crate) const T61: u8 = 0x14;
    pub(crate) const IA5: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const UNIVERSAL: u8 = 0x1c;
    pub(crate) const BMP: u8 = 0x1e;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// The tag `[number]` of a constructed element; `number` is below 31.
    pub(crate) const fn constructed(number: u8) -> u8 {
        0xa0 | number
    }

    /// The tag `[number]` of a primitive element; `number` is below 31.
    pub(crate) const fn primitive(number: u8) -> u8 {
        0x80 | number
    }
}

const CONSTRUCTED: u8 = 0x20;
/// The number of a tag that continues in further octets.
const LONG_TAG: u8 = 0x1f;

/// Why bytes cannot be read, as the end of a sentence about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// OpenSSL does not read it either.
    #[error("is malformed")]
    Malformed,
    /// OpenSSL may read it: it is not DER, or of a kind that is not supported here.
    #[error("has {0}, which is not supported")]
    Refused(&'static str),
}

/// What OpenSSL reads although DER demands another form.
pub(crate) const NOT_DER: Fault = Fault::Refused("an encoding that is not DER");

pub(crate) type Read<T> = Result<T, Fault>;

/// One element: its tag, its content, and all of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads the elements inside.
    pub(crate) const fn reader(&self) -> Reader<'a> {
        Reader { rest: self.content }
    }
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next element, whatever it is.
    pub(crate) fn element(&mut self) -> Read<Element<'a>> {
        let (&tag, rest) = self.rest.split_first().ok_or(Fault::Malformed)?;
        if tag & LONG_TAG == LONG_TAG {
            return Err(Fault::Refused("a tag of several octets"));
        }
        let (&length, rest) = rest.split_first().ok_or(Fault::Malformed)?;
        let (length, rest) = if length < 0x80 {
            (usize::from(length), rest)
        } else {
            let octets = rest.split_at_checked(usize::from(length & 0x7f));
            let (octets, rest) = octets.ok_or(Fault::Malformed)?;
            (long_length(octets)?, rest)
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(Fault::Malformed)?;
        let size = self.rest.len().saturating_sub(rest.len());
        let whole = self.rest.get(..size).ok_or(Fault::Malformed)?;
        self.rest = rest;
        Ok(Element { tag, content, whole })
    }

    /// Reads an element with this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Read<Element<'a>> {
        let element = self.element()?;
        if element.tag == tag {
            return Ok(element);
        }
        Err(mismatch(tag, element.tag))
    }

    /// Reads an element with this tag if it is the next one.
    pub(crate) fn optional(&mut self, tag: u8) -> Read<Option<Element<'a>>> {
        match self.rest.first() {
            Some(next) if *next == tag => self.element().map(Some),
            // A string in pieces.
            Some(next) if *next ^ tag == CONSTRUCTED => Err(mismatch(tag, *next)),
            _ => Ok(None),
        }
    }

    /// Demands that nothing follows inside a sequence.
    pub(crate) const fn end(&self) -> Read<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Fault::Malformed)
        }
    }
}

/// OpenSSL joins strings in pieces, and reads some lists whose tag does not say that they are constructed.
const fn mismatch(wanted: u8, found: u8) -> Fault {
    if wanted ^ found == CONSTRUCTED {
        NOT_DER
    } else {
        Fault::Malformed
    }
}

/// Parses a length in the long form, which must use as few octets as possible. None of them means an indefinite length,
/// which DER does not have.
fn long_length(octets: &[u8]) -> Read<usize> {
    let length = match octets {
        [] | [0, ..] => return Err(NOT_DER),
        [one] => usize::from(*one),
        [high, low] => usize::from(u16::from_be_bytes([*high, *low])),
        [high, middle, low] => u32::from_be_bytes([0, *high, *middle, *low]) as usize,
        _ => return Err(Fault::Malformed),
    };
    if length < 0x80 {
        return Err(NOT_DER);
    }
    Ok(length)
}

/// Reads a value that is one element alone. OpenSSL does not look at what follows the value of an extension.
pub(crate) fn alone(bytes: &[u8], tag: u8) -> Read<Element<'_>> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    if reader.is_empty() {
        Ok(element)
    } else {
        Err(Fault::Refused("bytes behind a value"))
    }
}

/// Checks the content of an INTEGER: not empty, and as short as possible.
pub(crate) const fn integer(content: &[u8]) -> Read<&[u8]> {
    match content {
        [] => Err(Fault::Malformed),
        [0, next, ..] if *next < 0x80 => Err(Fault::Malformed),
        [0xff, next, ..] if *next >= 0x80 => Err(Fault::Malformed),
        _ => Ok(content),
    }
}

/// Checks the content of an OBJECT IDENTIFIER.
pub(crate) fn oid(content: &[u8]) -> Read<&[u8]> {
    let last = content.last().ok_or(Fault::Malformed)?;
    let mut at_start = true;
    for octet in content {
        if at_start && *octet == 0x80 {
            return Err(Fault::Malformed);
        }
        at_start = *octet < 0x80;
    }
    if *last >= 0x80 {
        return Err(Fault::Malformed);
    }
    Ok(content)
}

/// The content of a BIT STRING: how many bits of the last octet do not count, and the octets.
pub(crate) fn bit_string(content: &[u8]) -> Read<(u8, &[u8])> {
    let (&unused, octets) = content.split_first().ok_or(Fault::Malformed)?;
    if unused > 7 {
        return Err(Fault::Malformed);
    }
    if octets.is_empty() && unused > 0 {
        return Err(NOT_DER);
    }
    Ok((unused, octets))
}

/// The first two octets of a BIT STRING of flags; bits that do not count are 0.
pub(crate) fn flags(content: &[u8]) -> Read<[u8; 2]> {
    let (unused, octets) = bit_string(content)?;
    let last = octets.len().saturating_sub(1);
    let mut flags = [0; 2];
    for (number, (flag, octet)) in flags.iter_mut().zip(octets).enumerate() {
        let mask = if number == last {
            0xff_u8.checked_shl(unused.into()).unwrap_or(0)
        } else {
            0xff
        };
        *flag = octet & mask;
    }
    Ok(flags)
}

/// Checks a value of any type as far as OpenSSL decodes it.
pub(crate) fn any(element: &Element<'_>) -> Read<()> {
    let content = element.content;
    let fits = match element.tag {
        tag::NULL => content.is_empty(),
        tag::BOOLEAN => content.len() == 1,
        tag::INTEGER | 0x0a => integer(content).is_ok(),
        tag::BIT_STRING => bit_string(content).is_ok(),
        tag::OID => oid(content).is_ok(),
        tag::BMP => content.len().is_multiple_of(2),
        tag::UNIVERSAL => content.len().is_multiple_of(4),
        tag::SEQUENCE | tag::SET => true,
        other if other & 0xe0 == CONSTRUCTED => return Err(NOT_DER),
        _ => true,
    };
    if fits { Ok(()) } else { Err(Fault::Malformed) }
}
/// Reads an `AlgorithmIdentifier`: what it names, and its parameters.
pub(crate) fn algorithm_identifier<'a>(element: &Element<'a>) -> Read<(&'a [u8], Option<Element<'a>>)> {
    let mut reader = element.reader();
    let oid = oid(reader.expect(tag::OID)?.content)?;
    let parameters = if reader.is_empty() {
        None
    } else {
        let parameters = reader.element()?;
        any(&parameters)?;
        Some(parameters)
    };
    reader.end()?;
    Ok((oid, parameters))
}
