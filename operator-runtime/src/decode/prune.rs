//! Drops the parts of an object that no decision needs and that strangers can fill with what the types refuse.

use std::fmt::{self, Formatter};

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// Parts that are deeper are dropped. Less than the limit of `serde_json`, and more than any type has.
const DEEPEST: usize = 100;

/// Fields of embedded metadata, such as that of a pod template, that the API server keeps and nobody uses.
const UNUSED_IN_TEMPLATES: [&str; 3] = ["creationTimestamp", "deletionTimestamp", "managedFields"];

/// Returns an object without: entries of the managed fields that cannot be decoded, times and managed fields of embedded
/// metadata, the fields at the paths in `unneeded`, and what is deeper than any type. `None` if it is no JSON.
pub(super) fn prune(json: &str, unneeded: &'static [&'static [&'static str]]) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let root = Part {
        depth: 0,
        place: Place::Root(unneeded),
    };
    root.deserialize(&mut reader).ok()
}

/// Where a part of an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The object; with the paths of the fields to drop.
    Root(&'static [&'static [&'static str]]),
    /// The field of the object that has this name; with the same paths.
    Field(&'static str, &'static [&'static [&'static str]]),
    Metadata,
    EmbeddedMetadata,
    Elsewhere,
}

/// A part of an object that is being read.
#[derive(Clone, Copy, Debug)]
struct Part {
    depth: usize,
    place: Place,
}

impl Part {
    fn inner(self, place: Place) -> Self {
        Self {
            depth: self.depth.saturating_add(1),
            place,
        }
    }

    /// The place of a field; `None` for a field to drop.
    fn field(self, name: &str) -> Option<Self> {
        let place = match (self.place, name) {
            (Place::Root(_), "metadata") => Place::Metadata,
            (Place::Root(unneeded), name) => match unneeded.iter().find(|path| path.first() == Some(&name)) {
                Some([_]) => return None,
                Some([outer, ..]) => Place::Field(outer, unneeded),
                Some([]) | None => Place::Elsewhere,
            },
            (Place::Field(outer, unneeded), name) if unneeded.contains(&[outer, name].as_slice()) => {
                return None;
            }
            (Place::EmbeddedMetadata, name) if UNUSED_IN_TEMPLATES.contains(&name) => return None,
            (Place::Elsewhere | Place::Field(..), "metadata") => Place::EmbeddedMetadata,
            _ => Place::Elsewhere,
        };
        Some(self.inner(place))
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > DEEPEST {
            // No type reads it. What is ignored may be of any depth.
            return IgnoredAny::deserialize(deserializer).map(|_| Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.inner(Place::Elsewhere))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.place == Place::Metadata && name == "managedFields" {
                if let Some(entries) = managed_fields(map.next_value::<&RawValue>()?) {
                    fields.insert(name, entries);
                }
                continue;
            }
            match self.field(&name) {
                Some(part) => {
                    let value = map.next_value_seed(part)?;
                    fields.insert(name, value);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(fields))
    }
}

/// An entry of the managed fields, of which any part may be unusable.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    manager: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subresource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(rename = "fieldsV1", borrow, skip_serializing)]
    fields: Option<&'a RawValue>,
}

/// Returns what can be used of managed fields: an unusable time is dropped, and so are fields that are too deep.
fn managed_fields(json: &RawValue) -> Option<Value> {
    let entries: Vec<Entry<'_>> = serde_json::from_str(json.get()).ok()?;
    let entries = entries.into_iter().filter_map(|mut entry| {
        entry.time.take_if(|time| time.parse::<Timestamp>().is_err());
        let fields = entry.fields.and_then(|fields| {
            let mut reader = serde_json::Deserializer::from_str(fields.get());
            let part = Part {
                depth: DEEPEST / 2,
                place: Place::Elsewhere,
            };
            part.deserialize(&mut reader).ok()
        });
        let mut entry = serde_json::to_value(entry).ok()?;
        if let (Some(entry), Some(fields)) = (entry.as_object_mut(), fields) {
            entry.insert("fieldsV1".to_owned(), fields);
        }
        Some(entry)
    });
    Some(entries.collect())
}
