//! Checks that the outer structure of a certificate, which its signature does not cover, and of a key is canonical DER.
//! The parser is lenient here, OpenSSL is not, and pgpool serves plain text when OpenSSL rejects a file.

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;

/// One element: its content, and all of its bytes.
struct Element<'a> {
    content: &'a [u8],
    whole: &'a [u8],
}

/// Splits an element with this tag off the front.
fn take<'a>(tag: u8, bytes: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        (long_length(octets)?, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let (whole, _) = bytes.split_at_checked(bytes.len().checked_sub(rest.len())?)?;
    *bytes = rest;
    (first == tag).then_some(Element { content, whole })
}

/// Parses a long length, which must use as few octets as possible.
fn long_length(octets: &[u8]) -> Option<usize> {
    let length = match octets {
        [0, ..] => return None,
        [one] => usize::from(*one),
        [high, low] => usize::from(u16::from_be_bytes([*high, *low])),
        [high, middle, low] => u32::from_be_bytes([0, *high, *middle, *low]) as usize,
        _ => return None,
    };
    (length >= 0x80).then_some(length)
}

/// Returns whether the bytes are one sequence with nothing after it.
pub(crate) fn one_sequence(mut bytes: &[u8]) -> bool {
    take(SEQUENCE, &mut bytes).is_some() && bytes.is_empty()
}

/// Returns whether the bytes are one certificate with a canonical outer structure, the same signature algorithm inside
/// and outside the signed part, and a signature of whole octets.
pub(crate) fn canonical_frame(certificate: &[u8]) -> bool {
    frame(certificate).unwrap_or(false)
}

fn frame(mut bytes: &[u8]) -> Option<bool> {
    let mut content = take(SEQUENCE, &mut bytes)?.content;
    let mut signed = take(SEQUENCE, &mut content)?.content;
    let outer = take(SEQUENCE, &mut content)?;
    let signature = take(BIT_STRING, &mut content)?;
    if signed.first() == Some(&VERSION) {
        take(VERSION, &mut signed)?;
    }
    take(INTEGER, &mut signed)?;
    let inner = take(SEQUENCE, &mut signed)?;
    let alone = bytes.is_empty() && content.is_empty();
    Some(alone && inner.whole == outer.whole && signature.content.first() == Some(&0))
}
