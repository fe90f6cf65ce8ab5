//! The public part of a private key in a cached Secret, in place of the key: no decision needs more. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use tls_bundle::PublicPart;

type Data = BTreeMap<String, ByteString>;

/// The entry with [`PublicPart::to_bytes`]. No Secret of the API server has it: the name is not valid there.
pub(crate) const ENTRY: &str = "public part of tls.key";

/// Replaces `tls.key` by its public part.
pub(crate) fn reduce(data: &mut Data) {
    if let Some(key) = data.remove("tls.key") {
        let part = PublicPart::of(Some(&key.0)).to_bytes();
        data.insert(ENTRY.to_owned(), ByteString(part));
    }
}

/// The public part of the key in a cached Secret; `None` without a key.
pub(crate) fn of(data: &Data) -> Option<PublicPart> {
    let part = data.get(ENTRY)?;
    Some(PublicPart::from_bytes(&part.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_private_key_is_kept() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let expected = PublicPart::of(Some(key.as_bytes()));
        let mut data = Data::from([("tls.key".to_owned(), ByteString(key.into_bytes()))]);
        reduce(&mut data);
        assert_eq!(data.keys().collect::<Vec<_>>(), [ENTRY]);
        assert_eq!(of(&data), Some(expected));
        // Two bytes, and the abscissa of a point of P-256: there is no room for a private key.
        assert_eq!(data[ENTRY].0.len(), 2 + 32);
        assert_eq!(of(&Data::new()), None);
    }
}
