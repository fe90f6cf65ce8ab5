//! Writes DER, right or wrong: nothing here checks what is inside.

/// An element of any tag.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len();
    if length < 128 {
        der.push(length.to_le_bytes()[0]);
    } else {
        let octets = length.to_be_bytes();
        let octets = &octets[octets.iter().position(|octet| *octet != 0).unwrap_or(0)..];
        der.push(0x80 | octets.len().to_le_bytes()[0]);
        der.extend_from_slice(octets);
    }
    der.extend_from_slice(content);
    der
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

pub(super) fn set(part: &[u8]) -> Vec<u8> {
    element(0x31, part)
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    element(0x04, content)
}

/// Whole octets: no unused bits.
pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], content].concat())
}

pub(super) fn integer(value: u64) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(7);
    let significant = &octets[start..];
    match significant[0] {
        0x80.. => element(0x02, &[&[0], significant].concat()),
        _ => element(0x02, significant),
    }
}

pub(super) fn boolean(value: bool) -> Vec<u8> {
    element(0x01, &[if value { 0xFF } else { 0 }])
}

pub(super) fn null() -> Vec<u8> {
    element(0x05, &[])
}

/// An explicit tag of the context class, such as `[0]`.
pub(super) fn tagged(number: u8, content: &[u8]) -> Vec<u8> {
    element(0xA0 | number, content)
}

/// An object identifier from its dotted form.
pub(super) fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted.split('.').map(|arc| arc.parse::<u64>().unwrap_or(0));
    let first = arcs.next().unwrap_or(0) * 40 + arcs.next().unwrap_or(0);
    let mut content = Vec::new();
    for arc in std::iter::once(first).chain(arcs) {
        let mut groups = vec![(arc & 0x7F).to_le_bytes()[0]];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push(0x80 | (rest & 0x7F).to_le_bytes()[0]);
            rest >>= 7;
        }
        content.extend(groups.iter().rev());
    }
    element(0x06, &content)
}

/// Splits an element into its content and what follows it; `None` when it is cut off.
pub(super) fn split(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.get(1..)?.split_first()?;
    if first < 128 {
        return rest.split_at_checked(first.into());
    }
    let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
    let length = octets
        .iter()
        .fold(0, |length, octet| length << 8 | usize::from(*octet));
    rest.split_at_checked(length)
}

/// The elements inside an element, each with its tag and length.
pub(super) fn children(der: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    let mut rest = split(der).map_or(&[][..], |(content, _)| content);
    while let Some((_, after)) = split(rest) {
        let (child, _) = rest.split_at(rest.len() - after.len());
        all.push(child);
        rest = after;
    }
    all
}

/// PEM with lines of 64 characters.
pub(super) fn armored(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_as_others_write_them() {
        assert_eq!(oid("1.2.840.113549.1.1.11"), hex("06092a864886f70d01010b"));
        assert_eq!(integer(128), hex("02020080"));
        assert_eq!(integer(0), hex("020100"));
        assert_eq!(element(0x04, &[7; 200])[..3], hex("0481c8"));
        let outer = sequence(&[integer(1), null()]);
        assert_eq!(children(&outer), [&integer(1)[..], &null()[..]]);
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}
