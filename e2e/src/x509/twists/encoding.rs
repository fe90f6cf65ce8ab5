//! How certificates are written, with which keys and algorithms.

use jiff::SignedDuration;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::authorities::any_ca;
use crate::x509::certificate::{
    Algorithm, Attribute, AuthorityKeyId, COMMON_NAME, Extension, PRINTABLE, UTF8, time,
};
use crate::x509::der::{bits, element, integer, null, octets, oid, sequence, tagged};
use crate::x509::keys::{Key, Kind};
use crate::x509::plan::Plan;

/// Around the time of the case, to the second.
pub(super) fn validity(plan: &mut Plan, random: &mut StdRng) {
    let position = random.random_range(0..plan.links.len());
    let seconds = *[-86_400, -1, 0, 1, 86_400].choose(random).unwrap_or(&0);
    let end = usize::from(random.random_bool(0.7));
    plan.links[position].validity[end] = time(plan.now + SignedDuration::from_secs(seconds));
}

pub(super) fn odd_times(plan: &mut Plan, random: &mut StdRng) {
    let forms: [(u8, &str); 18] = [
        (0x17, "3012312359Z"),
        (0x17, "301231235959+0100"),
        (0x17, "301231235959-0000"),
        (0x17, "301231235959"),
        (0x17, "301331235959Z"),
        (0x17, "300230235959Z"),
        (0x17, "301231245959Z"),
        (0x17, "301231235960Z"),
        (0x17, "20301231235959Z"),
        (0x18, "20301231235959Z"),
        (0x18, "20601231235959Z"),
        (0x18, "99991231235959Z"),
        (0x18, "20301231235959.5Z"),
        (0x18, "203012312359Z"),
        (0x18, "20301231235959+0100"),
        (0x18, "301231235959Z"),
        (0x17, ""),
        (0x0C, "301231235959Z"),
    ];
    let (tag, text) = forms.choose(random).copied().unwrap_or((0x17, ""));
    let position = random.random_range(0..plan.links.len());
    plan.links[position].validity[1] = element(tag, text.as_bytes());
    if random.random_bool(0.2) {
        plan.links[position].validity[0] = element(0x17, b"490101000000Z");
    }
    if random.random_bool(0.2) {
        plan.links[position].validity[0] = element(0x17, b"500101000000Z");
    }
}

/// A certificate names its issuer with other strings than the issuer itself.
pub(super) fn name_strings(plan: &mut Plan, random: &mut StdRng) {
    let position = any_ca(plan, random) - 1;
    let mut issuer = plan.links[position + 1].subject.clone();
    for part in &mut issuer {
        let text = String::from_utf8_lossy(&part.value).into_owned();
        match random.random_range(0..9) {
            0 => part.tag = PRINTABLE,
            1 => part.value = text.to_uppercase().into_bytes(),
            2 => part.value = format!("  {text} ").into_bytes(),
            3 => part.value = text.replace(' ', "   ").into_bytes(),
            4 => *part = wide(part, &text),
            5 => part.tag = 0x14,
            6 => part.value = format!("{text}\t").into_bytes(),
            7 => part.value = format!("{text}x").into_bytes(),
            _ => {}
        }
    }
    plan.links[position].issuer = Some(issuer);
}

/// As a `BMPString` or `UniversalString`.
fn wide(part: &Attribute, text: &str) -> Attribute {
    Attribute {
        oid: part.oid,
        tag: 0x1E,
        value: text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    }
}

/// Strings that are not what their tag says, in the subject of any certificate.
pub(super) fn odd_strings(plan: &mut Plan, random: &mut StdRng) {
    let forms: [(u8, &[u8]); 12] = [
        (UTF8, &[0xFF, 0xFE]),
        (UTF8, &[0xC3]),
        (UTF8, b""),
        (PRINTABLE, b"a@b_c*"),
        (PRINTABLE, &[0xFF]),
        (0x14, &[0xE4, 0xF6]),
        (0x16, &[0xE4]),
        (0x1E, &[0, 0x61, 0]),
        (0x1C, &[0, 0, 0, 0x61]),
        (0x12, b"12 34"),
        (0x04, b"octets"),
        (0x01, &[0xFF]),
    ];
    let (tag, value) = forms.choose(random).copied().unwrap_or((UTF8, b""));
    let position = random.random_range(0..plan.links.len());
    plan.links[position].subject.push(Attribute {
        oid: COMMON_NAME,
        tag,
        value: value.to_vec(),
    });
}

pub(super) fn odd_extensions(plan: &mut Plan, random: &mut StdRng) {
    let point = |inner: &[u8]| sequence(&[sequence(&[inner.to_vec()])]);
    let uri = element(0x86, b"http://example.com/crl");
    let forms: [(&'static str, Vec<u8>); 24] = [
        ("1.3.6.1.5.5.7.1.1", sequence(&[octets(b"x")])),
        ("1.3.6.1.5.5.7.1.1", sequence(&[])),
        ("1.3.6.1.4.1.11129.2.4.2", b"x".to_vec()),
        ("2.5.29.32", sequence(&[octets(b"x")])),
        (
            "2.5.29.32",
            sequence(&[sequence(&[oid("1.2.3")]), sequence(&[oid("1.2.3")])]),
        ),
        ("2.5.29.31", point(&tagged(0, &tagged(0, &uri)))),
        ("2.5.29.31", point(&element(0x85, b"x"))),
        ("2.5.29.31", point(&tagged(0, &element(0x85, b"x")))),
        ("2.5.29.31", point(&element(0x81, &[9, 1]))),
        ("2.5.29.46", point(&tagged(0, &tagged(0, &uri)))),
        ("2.5.29.31", sequence(&[integer(1)])),
        ("2.5.29.19", sequence(&[])),
        ("2.5.29.19", sequence(&[element(1, &[1])])),
        ("2.5.29.19", sequence(&[element(1, &[0xFF]), element(2, &[0xFF])])),
        ("2.5.29.19", null()),
        ("2.5.29.15", bits(&[0x80])),
        ("2.5.29.15", element(3, &[9, 0x80])),
        ("2.5.29.15", null()),
        ("2.5.29.37", sequence(&[null()])),
        ("2.5.29.17", sequence(&[])),
        ("2.5.29.17", null()),
        ("2.5.29.14", null()),
        ("2.5.29.36", sequence(&[element(0x80, &[0])])),
        ("1.2.3.4", Vec::new()),
    ];
    let position = random.random_range(0..plan.links.len());
    let link = &mut plan.links[position];
    let (kind, value) = forms.choose(random).cloned().unwrap_or(("1.2.3.4", Vec::new()));
    // Mostly instead of the extension that is there.
    if random.random_bool(0.7) {
        match kind {
            "2.5.29.19" => link.basic_constraints = None,
            "2.5.29.15" => link.key_usage = None,
            "2.5.29.37" => link.extended_key_usage = None,
            "2.5.29.17" => link.alternative_names.clear(),
            _ => {}
        }
    }
    link.extensions.push(Extension {
        oid: kind,
        critical: random.random_bool(0.2),
        value,
    });
    if random.random_bool(0.2) {
        let contents = [
            element(0x83, b"x"),
            element(0xA0, b"x"),
            element(0x80, &[]),
            null(),
        ];
        link.authority_key_id = AuthorityKeyId::Content(contents.choose(random).cloned().unwrap_or_default());
    }
}

pub(super) fn version_and_serial(plan: &mut Plan, random: &mut StdRng) {
    let position = random.random_range(0..plan.links.len());
    let link = &mut plan.links[position];
    match random.random_range(0..8) {
        0 => link.version = 0,
        1 => link.version = 1,
        2 => link.version = 3,
        3 => link.serial = vec![0],
        4 => link.serial = vec![0xFF],
        5 => link.serial = vec![0x7F; 30],
        6 => link.serial = vec![0, 1],
        _ => link.serial = Vec::new(),
    }
}

/// Any change of what is signed, made before it is signed.
pub(super) fn reshaped(plan: &mut Plan, random: &mut StdRng) {
    let position = random.random_range(0..plan.links.len());
    plan.reshaped.push((position, random.random()));
}

/// One bit after the signature was made.
pub(super) fn flip(plan: &mut Plan, random: &mut StdRng) {
    let position = random.random_range(0..plan.links.len());
    plan.flips
        .push((position, random.random_range(0..1000), random.random_range(0..8)));
}

pub(super) fn algorithms(plan: &mut Plan, random: &mut StdRng) {
    let position = random.random_range(0..plan.links.len());
    let forms = [
        Algorithm::Sha1,
        Algorithm::Sha224,
        Algorithm::Sha384,
        Algorithm::Sha512,
        Algorithm::Pss {
            salt: 32,
            sha1_mask: false,
        },
        Algorithm::Pss {
            salt: 20,
            sha1_mask: false,
        },
        Algorithm::Pss {
            salt: 32,
            sha1_mask: true,
        },
        Algorithm::Pss {
            salt: 0,
            sha1_mask: false,
        },
    ];
    let algorithm = *forms.choose(random).unwrap_or(&Algorithm::Sha512);
    if matches!(algorithm, Algorithm::Pss { .. }) {
        for link in &mut plan.links {
            link.key.kind = Kind::Rsa(2048);
        }
    }
    let link = &mut plan.links[position];
    link.algorithm = algorithm;
    if random.random_bool(0.1) {
        link.algorithms_differ = true;
    }
    if random.random_bool(0.1) {
        link.signed_with = Some(Key {
            number: 0x70,
            ..link.key
        });
    }
}

pub(super) fn keys(plan: &mut Plan, random: &mut StdRng) {
    let kinds = [
        Kind::Rsa(1024),
        Kind::Rsa(2047),
        Kind::Rsa(2050),
        Kind::Rsa(2048),
        Kind::P192,
        Kind::P224,
        Kind::P384,
        Kind::Brainpool,
        Kind::Secp256k1,
        Kind::Ed448,
        Kind::Ed25519,
    ];
    let position = random.random_range(0..plan.links.len());
    let link = &mut plan.links[position];
    link.key.kind = *kinds.choose(random).unwrap_or(&Kind::P384);
    link.compressed = random.random_bool(0.3);
}
