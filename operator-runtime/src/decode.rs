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
use serde_json::value::RawValue;
use shared_types::limits;

pub use self::received::{LeftOut, Received};

/// The longest path of a field in messages, in bytes. Keys of maps are part of a path, and users write them.
const LONGEST_PATH: usize = 200;

/// The longest description of what a field should hold, in bytes.
const LONGEST_EXPECTATION: usize = 100;

/// Why an object is left out. Never contains a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Undecodable(Why);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// It could not be decoded.
    Field {
        /// The path of the field, such as `spec.tls.certificates[0]`; empty if it is not known.
        path: String,
        /// What belongs there, in the words of the type, such as `i32`; empty if it is not known.
        expected: String,
    },
    /// It has more bytes than are kept of one object.
    TooLarge(usize),
    /// As many bytes as are kept of its kind in its namespace are in use.
    NoRoom,
}

impl Undecodable {
    /// Nothing is known about the field: the object was decoded, and reading it ended in a panic.
    pub(crate) fn unknown() -> Self {
        Self(Why::Field {
            path: String::new(),
            expected: String::new(),
        })
    }

    /// It was decoded, and is larger than what is kept in memory. Its size is in bytes of JSON.
    pub(crate) fn too_large(bytes: usize) -> Self {
        Self(Why::TooLarge(bytes))
    }

    /// It was decoded, and there is no room for it.
    pub(crate) fn no_room() -> Self {
        Self(Why::NoRoom)
    }

    /// Returns what is wrong with the object `what` and how to fix it, as a sentence without its last dot.
    #[must_use]
    pub fn explain(&self, what: &str) -> String {
        format!("{what} cannot be used: {self}. {}", self.remedy())
    }

    /// Returns what to do about it, as a sentence without its dot.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self.0 {
            Why::Field { .. } => "Correct or remove that field",
            Why::TooLarge(_) => "Make it smaller",
            Why::NoRoom => {
                "Delete or reduce large objects of this kind in the namespace, then change this one"
            }
        }
    }

    /// Returns the path of the field, such as `spec.tls.certificates[0]`; empty if it is not known.
    #[must_use]
    pub fn path(&self) -> &str {
        match &self.0 {
            Why::Field { path, .. } => path,
            Why::TooLarge(_) | Why::NoRoom => "",
        }
    }
}

impl Display for Undecodable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (path, expected) = match &self.0 {
            Why::Field { path, expected } => (path, expected),
            Why::TooLarge(bytes) => {
                let most = limits::CACHED_OBJECT_BYTES;
                return write!(
                    f,
                    "the object has {bytes} bytes as JSON, and at most {most} are read"
                );
            }
            Why::NoRoom => {
                let most = limits::CACHED_NAMESPACE_BYTES;
                return write!(
                    f,
                    "the objects of this kind in its namespace have more than {most} bytes together"
                );
            }
        };
        match path.as_str() {
            "" => f.write_str("the object cannot be decoded")?,
            path => write!(f, "the field `{path}` cannot be decoded")?,
        }
        match expected.as_str() {
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
    Undecodable(Why::Field { path, expected })
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
struct Identified<'a> {
    #[serde(default, borrow)]
    metadata: IdentifiedMetadata<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IdentifiedMetadata<'a> {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests;
