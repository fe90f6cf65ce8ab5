//! Secrets that are recognized wherever they appear. Pure, but for the random part of each run.
//!
//! All made-up secrets of a run begin with the same random letters. They are searched for as they are, in base64 at each of its
//! three alignments, in hexadecimal, and as the list of numbers that `Debug` prints for bytes. Secrets that the operators or
//! cert-manager made up are searched for as they are and in base64.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
pub(super) struct Marks {
    prefix: String,
    /// What is searched for, and how it is called in a report.
    patterns: Vec<(String, String)>,
}

impl Marks {
    pub(super) fn random() -> Self {
        Self::with(&format!("zq{:016x}", rand::random::<u64>()))
    }

    fn with(prefix: &str) -> Self {
        let encoded = encodings(prefix);
        let patterns = encoded
            .into_iter()
            .map(|(pattern, how)| (pattern, format!("a made-up secret {how}")));
        Self {
            prefix: prefix.to_owned(),
            patterns: patterns.collect(),
        }
    }

    /// The secret of a name. It may stand where names of users may.
    pub(super) fn secret(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// The text with every `${mark:NAME}` replaced.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut parts = text.split("${mark:");
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            filled += &self.secret(name);
            filled += rest;
        }
        filled
    }

    /// Adds a secret that someone else made up.
    pub(super) fn add(&mut self, what: &str, secret: &str) {
        for (pattern, how) in encodings(secret).into_iter().take(4) {
            self.patterns.push((pattern, format!("{what} {how}")));
        }
    }

    /// The secrets in a text, each once.
    pub(super) fn found(&self, text: &str) -> Vec<String> {
        let found: BTreeSet<_> = self
            .patterns
            .iter()
            .filter_map(|(pattern, what)| {
                let at = text.find(pattern.as_str())?;
                let rest = text.get(at + pattern.len()..).unwrap_or_default();
                let name: String = rest
                    .chars()
                    .take_while(|letter| letter.is_ascii_lowercase() || *letter == '-')
                    .take(40)
                    .collect();
                let named = pattern == &self.prefix;
                Some(if named {
                    format!("{what} ({})", name.trim_matches('-'))
                } else {
                    what.clone()
                })
            })
            .collect();
        found.into_iter().collect()
    }
}

/// A text in every encoding that is looked for.
fn encodings(text: &str) -> Vec<(String, &'static str)> {
    let bytes = text.as_bytes();
    let mut all = vec![(text.to_owned(), "as it is")];
    for offset in 0..3 {
        let mut shifted = vec![0; offset];
        shifted.extend(bytes);
        let encoded = STANDARD_NO_PAD.encode(&shifted);
        // What depends on the bytes before and after is left out.
        let (begin, end) = ([0, 2, 3][offset], shifted.len() / 3 * 4);
        all.push((encoded[begin..end].to_owned(), "in base64"));
    }
    let mut hexadecimal = String::new();
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    all.push((hexadecimal, "in hexadecimal"));
    let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
    all.push((numbers.join(", "), "as numbers"));
    all
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        let marks = Marks::with("AbcDefGhiJkl");
        let secret = marks.secret("superuser");
        assert_eq!(
            marks.found(&format!("x {secret} y")),
            ["a made-up secret as it is (superuser)"]
        );
        for before in ["", "a", "ab", "abc"] {
            let text = STANDARD.encode(format!("{before}{secret}\n"));
            assert_eq!(marks.found(&text), ["a made-up secret in base64"], "{before}");
        }
        let printed = format!("{:?}", secret.as_bytes());
        assert_eq!(marks.found(&printed), ["a made-up secret as numbers"]);
        assert!(marks.found("AbcDefGhiJk").is_empty());
    }

    #[test]
    fn marks_are_filled_in() {
        let marks = Marks::with("AbcDefGhi");
        assert_eq!(
            marks.fill("a ${mark:one}:${mark:two} b"),
            "a AbcDefGhi-one:AbcDefGhi-two b"
        );
        assert_eq!(marks.fill("none"), "none");
    }

    #[test]
    fn secrets_of_others_can_be_added() {
        let mut marks = Marks::with("AbcDefGhiJkl");
        marks.add("the neighbor's key", "MC4CAQAwBQYDK2VwBCIE");
        assert_eq!(
            marks.found("…MC4CAQAwBQYDK2VwBCIE…"),
            ["the neighbor's key as it is"]
        );
    }
}
