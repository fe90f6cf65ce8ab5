//! Decodes one object at a time, so that one that does not fit its type harms no other. Pure.
//!
//! The API server accepts more than the types of this program: times of the year 9999, structures of any depth,
//! and objects that are older than the present schema. An object that does not decode at once is decoded a second
//! time without the parts that no decision needs (see [`prune`]). If that fails too, the result is [`Undecodable`],
//! which names the field and never its content, since the object may be a Secret.

mod prune;
mod received;

use std::fmt::{self, Display, Formatter};

use kube::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::received::{LeftOut, Received};

/// The longest path of a field in messages, in bytes. Keys of maps are part of a path, and users write them.
const LONGEST_PATH: usize = 200;

/// The longest description of what a field should hold, in bytes.
const LONGEST_EXPECTATION: usize = 100;

/// Why an object could not be decoded: the field, and what belongs there. Never contains a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Undecodable {
    /// The path of the field, such as `spec.tls.certificates[0]`; empty if it is not known.
    path: String,
    /// What belongs there, in the words of the type, such as `i32`; empty if it is not known.
    expected: String,
}

impl Undecodable {
    /// Nothing is known about the field: the object was decoded, and reading it ended in a panic.
    pub(crate) fn unknown() -> Self {
        Self {
            path: String::new(),
            expected: String::new(),
        }
    }

    /// Returns what is wrong with the object `what` and how to fix it, as a sentence without its last dot.
    #[must_use]
    pub fn explain(&self, what: &str) -> String {
        format!("{what} cannot be used: {self}. Correct or remove that field")
    }

    /// Returns the path of the field, such as `spec.tls.certificates[0]`; empty if it is not known.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Display for Undecodable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str("the object cannot be decoded")?,
            path => write!(f, "the field `{path}` cannot be decoded")?,
        }
        match self.expected.as_str() {
            "" => Ok(()),
            expected => write!(f, ": expected {expected}"),
        }
    }
}

/// Decodes one object from JSON.
///
/// # Errors
/// When the object does not fit its type even without the parts that no decision needs.
pub fn decode<K>(json: &str) -> Result<K, Undecodable>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    if let Ok(object) = serde_json::from_str(json) {
        return Ok(object);
    }
    let decoded = if let Some(pruned) = prune::prune(json, unneeded(&K::kind(&()))) {
        serde_path_to_error::deserialize(&pruned)
    } else {
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
    };
    decoded.map_err(|error| undecodable(&error))
}

/// Returns the paths of the fields that no decision needs, although a type has them. Of a Lease, other processes see
/// that its holder is alive by any change.
fn unneeded(kind: &str) -> &'static [&'static [&'static str]] {
    match kind {
        "Service" => &[&["status"]],
        "Lease" => &[&["spec", "acquireTime"], &["spec", "renewTime"]],
        _ => &[],
    }
}

fn undecodable(error: &serde_path_to_error::Error<serde_json::Error>) -> Undecodable {
    let path = match error.path().to_string().as_str() {
        "." | "?" => String::new(),
        path => harmless(path, LONGEST_PATH),
    };
    let expected = harmless(&expectation(&error.inner().to_string()), LONGEST_EXPECTATION);
    Undecodable { path, expected }
}

/// Returns the part of a message of serde that comes from the type rather than from the data. The data is quoted in
/// front of it; a message of another form may be data altogether.
fn expectation(message: &str) -> String {
    let known = ["invalid type: ", "invalid value: ", "unknown variant `"];
    if !known.iter().any(|start| message.starts_with(start)) {
        return String::new();
    }
    let expected = message
        .rsplit_once(", expected ")
        .map_or("", |(_, expected)| expected);
    // serde_json appends the position.
    let end = expected.rfind(" at line ").unwrap_or(expected.len());
    expected.split_at(end).0.to_owned()
}

/// Makes a text safe for a message: one line of printable ASCII without quotes, of limited length.
fn harmless(text: &str, longest: usize) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut shown: String = text.chars().take(longest).map(printable).collect();
    shown.retain(|c| c != '`');
    if text.chars().nth(longest).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Decodes the metadata of an object as far as it identifies the object, whatever the rest of it is.
#[derive(Debug, Default, Deserialize)]
struct Identified {
    #[serde(default)]
    metadata: IdentifiedMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IdentifiedMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests;
