//! Hashes as text.

use std::fmt::Write;

/// Lowercase hexadecimal digits, two for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first so many digits of [`hex`].
pub(crate) fn first_digits(bytes: &[u8], digits: usize) -> String {
    let mut text = hex(bytes);
    text.truncate(digits);
    text
}
