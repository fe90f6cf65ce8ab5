//! Changes DER at one place, at any depth, without a plan.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::der::{children, element, split};

/// The bit of a tag that says that there are elements inside.
const CONSTRUCTED: u8 = 0x20;

/// Returns the element with one change in it.
pub(super) fn reshaped(der: &[u8], random: &mut StdRng) -> Vec<u8> {
    let (Some(&tag), Some((content, _))) = (der.first(), split(der)) else {
        return der.to_vec();
    };
    let inner = children(der);
    let all_inside = inner.iter().map(|child| child.len()).sum::<usize>() == content.len();
    // An extension is an octet string with DER inside.
    let has_parts = !inner.is_empty() && all_inside && (tag & CONSTRUCTED != 0 || tag == 0x04);
    if has_parts && random.random_bool(0.9) {
        let parts = inner.iter().map(|part| part.to_vec()).collect();
        return element(tag, &with_changed_part(parts, random).concat());
    }
    changed(tag, content.to_vec(), random)
}

fn with_changed_part(mut parts: Vec<Vec<u8>>, random: &mut StdRng) -> Vec<Vec<u8>> {
    let at = random.random_range(0..parts.len());
    match random.random_range(0..12) {
        0 => {
            parts.remove(at);
        }
        1 => parts.insert(at, parts[at].clone()),
        2 => {
            let other = random.random_range(0..parts.len());
            parts.swap(at, other);
        }
        _ => parts[at] = reshaped(&parts[at], random),
    }
    parts
}

fn changed(tag: u8, mut content: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    let at = random.random_range(0..content.len().max(1));
    let byte: u8 = random.random();
    match random.random_range(0..8) {
        0..=2 => {
            if let Some(changed) = content.get_mut(at) {
                *changed ^= 1 << (byte % 8);
            }
        }
        3 => content.truncate(at),
        4 => content.insert(at, byte),
        5 => return element(tag ^ (1 << (byte % 8)), &content),
        6 => {
            // The length in more octets than it needs.
            let [.., high, low] = content.len().to_be_bytes();
            return [&[tag, 0x82, high, low], &content[..]].concat();
        }
        _ => content.clear(),
    }
    element(tag, &content)
}
