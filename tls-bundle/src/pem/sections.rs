//! Splits PEM text into sections. Only a line feed ends a line; spaces and control characters at the end of a line do not
//! matter, and a line is cut after 254 bytes.

use std::borrow::Cow;

use super::Problem;

/// What OpenSSL reads at once.
const LINE: usize = 254;
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One section.
pub(super) struct Section {
    pub(super) label: String,
    /// What stands before a blank line.
    pub(super) header: Vec<u8>,
    /// Its content.
    pub(super) der: Vec<u8>,
}

/// The sections of a text, up to the first that OpenSSL does not read.
pub(super) struct Sections<'t> {
    text: &'t [u8],
    is_over: bool,
}

/// A line without its end.
struct Line<'t> {
    text: &'t [u8],
    /// Whether it goes on in the next one.
    is_cut: bool,
}

impl<'t> Sections<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self { text, is_over: false }
    }

    fn line(&mut self) -> Option<Line<'t>> {
        if self.text.is_empty() {
            return None;
        }
        let most = self.text.get(..LINE).unwrap_or(self.text);
        let feed = most.iter().position(|byte| *byte == b'\n');
        let end = feed.map_or(most.len(), |feed| feed.saturating_add(1));
        let (line, rest) = self.text.split_at_checked(end)?;
        self.text = rest;
        let length = line
            .iter()
            .rposition(|byte| *byte > b' ')
            .map_or(0, |last| last.saturating_add(1));
        Some(Line {
            text: line.get(..length).unwrap_or(line),
            is_cut: feed.is_none() && line.len() == LINE,
        })
    }

    /// Finds the next first line of a section, and returns its label.
    fn label(&mut self) -> Option<Result<String, Problem>> {
        let mut is_first = true;
        loop {
            let line = self.line()?.text;
            let line = match line.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) if is_first => rest,
                _ => line,
            };
            is_first = false;
            if !line.starts_with(DASHES) {
                continue;
            }
            if !line.is_ascii() {
                return Some(Err(
                    "it has characters other than ASCII beside the dashes of a PEM section".into(),
                ));
            }
            let label = line
                .strip_prefix(BEGIN)
                .and_then(|rest| rest.strip_suffix(DASHES));
            if let Some(label) = label {
                return Some(String::from_utf8(label.to_vec()).map_err(|_| "it is damaged PEM".into()));
            }
        }
    }

    fn section(&mut self, label: String) -> Result<Section, Problem> {
        let mut texts = Texts::default();
        let mut was_cut = false;
        loop {
            let Some(line) = self.line() else {
                return Err(format!("it is damaged PEM: the end of section {label} is missing").into());
            };
            let is_rest = std::mem::replace(&mut was_cut, line.is_cut);
            if let Some(end) = line.text.strip_prefix(END) {
                if end.strip_suffix(DASHES) != Some(label.as_bytes()) {
                    return Err(format!(
                        "it is damaged PEM: the line that ends section {label} is not alone or names another section; \
                         put every BEGIN and END line on a line of its own"
                    )
                    .into());
                }
                return texts.section(label);
            }
            texts.add(&line, is_rest)?;
        }
    }
}

impl Iterator for Sections<'_> {
    type Item = Result<Section, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let section = if self.text.contains(&0) {
            Err("it is damaged PEM: it holds a NUL character".into())
        } else {
            self.label()?.and_then(|label| self.section(label))
        };
        self.is_over = section.is_err();
        Some(section)
    }
}

/// What a section holds: lines, and after a blank one further lines.
#[derive(Default)]
struct Texts {
    before: Vec<u8>,
    after: Option<Vec<u8>>,
    has_colon: bool,
    /// After a blank line all lines but the last have 64 characters.
    has_short: bool,
}

impl Texts {
    fn add(&mut self, line: &Line<'_>, is_rest: bool) -> Result<(), Problem> {
        const FULL: usize = 64;
        if line.text.is_empty() {
            if is_rest {
                return Ok(());
            }
            if self.after.is_some() {
                return Err("it is damaged PEM: a section has a blank line inside".into());
            }
            self.after = Some(Vec::new());
            return Ok(());
        }
        let Some(after) = &mut self.after else {
            self.has_colon |= line.text.contains(&b':');
            self.before.extend(line.text);
            self.before.push(b'\n');
            return Ok(());
        };
        if self.has_short || line.text.len() > FULL {
            return Err("it is damaged PEM: a line after a blank line has not 64 characters".into());
        }
        self.has_short = line.text.len() < FULL;
        after.extend(line.text);
        after.push(b'\n');
        Ok(())
    }

    fn section(self, label: String) -> Result<Section, Problem> {
        let (header, body) = match self.after {
            Some(body) => (self.before, body),
            None if self.has_colon => (self.before, Vec::new()),
            None => (Vec::new(), self.before),
        };
        // OpenSSL decodes every section that it reads, whether it needs it or not.
        let der = decoded(&body)?;
        Ok(Section { label, header, der })
    }
}

/// Decodes base64. White space may stand anywhere, and the bits behind the last octet do not matter.
fn decoded(text: &[u8]) -> Result<Vec<u8>, Problem> {
    const DAMAGED: Problem =
        Cow::Borrowed("it is damaged PEM: a section is no base64, or has a blank line inside");
    const HYPHEN: Problem = Cow::Borrowed(
        "it is damaged PEM: a section has a hyphen in its base64, as where an END line has lost one",
    );
    let mut octets = Vec::with_capacity(text.len());
    let mut group: u32 = 0;
    let (mut digits, mut padding) = (0_usize, 0_usize);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding = padding.saturating_add(1);
                0
            }
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            // OpenSSL takes it for the end, and skips what follows.
            b'-' => return Err(HYPHEN),
            _ => return Err(DAMAGED),
        };
        if padding > 2 || padding > 0 && *byte != b'=' {
            return Err(DAMAGED);
        }
        group = group.wrapping_shl(6) | u32::from(value);
        digits = digits.saturating_add(1);
        if digits.is_multiple_of(4) {
            octets.extend(group.to_be_bytes().into_iter().skip(1));
            group = 0;
        }
    }
    if !digits.is_multiple_of(4) || octets.is_empty() {
        return Err(DAMAGED);
    }
    octets.truncate(octets.len().saturating_sub(padding));
    Ok(octets)
}
