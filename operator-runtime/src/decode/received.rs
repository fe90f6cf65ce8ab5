//! An object as a response or a watch event contains it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use shared_types::names;

use super::{Identified, Undecodable, decode};

/// An object, or what is known of one that could not be decoded. Decoding it from JSON text therefore never fails,
/// neither alone nor as an item of a list or as the object of a watch event.
#[derive(Clone)]
pub struct Received<K>(Content<K>);

#[derive(Clone)]
enum Content<K> {
    Decoded(K),
    Undecodable(Box<LeftOut>),
}

/// An object that could not be decoded.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Name, namespace, UID, resource version and generation, and of the labels those that name a Pgpool; nothing else.
    pub identity: ObjectMeta,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The field that could not be decoded.
    pub why: Undecodable,
}

impl LeftOut {
    /// Describes an object by its metadata.
    pub(crate) fn new(metadata: &ObjectMeta, why: Undecodable) -> Self {
        let identity = ObjectMeta {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
            generation: metadata.generation,
            labels: metadata.labels.clone().and_then(naming),
            ..ObjectMeta::default()
        };
        Self {
            identity,
            deleting: metadata.deletion_timestamp.is_some(),
            why,
        }
    }
}

/// Keeps the labels that name the Pgpool that an object belongs to.
fn naming(mut labels: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    const KEPT: [&str; 3] = [
        names::LABEL_NAME,
        names::LABEL_INSTANCE,
        names::LABEL_CONFIG_CHECK_OF,
    ];
    labels.retain(|key, _| KEPT.contains(&key.as_str()));
    (!labels.is_empty()).then_some(labels)
}

impl<K> Received<K> {
    /// Returns the object.
    ///
    /// # Errors
    /// When it could not be decoded.
    #[expect(
        clippy::result_large_err,
        reason = "the error holds metadata, so it is about as large as the object"
    )]
    pub fn into_result(self) -> Result<K, LeftOut> {
        match self.0 {
            Content::Decoded(object) => Ok(object),
            Content::Undecodable(left_out) => Err(*left_out),
        }
    }

    /// As [`Received::into_result`], for the response to a request.
    pub fn decoded(self) -> Result<K, kube::Error> {
        self.into_result()
            .map_err(|left_out| kube::Error::Service(Box::new(left_out.why)))
    }
}

/// Never shows the object: it may be a Secret.
impl<K> Debug for Received<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Content::Decoded(_) => "Decoded(..)",
            Content::Undecodable(_) => "Undecodable(..)",
        })
    }
}

impl<'de, K> Deserialize<'de> for Received<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Only one object at a time exists as text and in decoded form.
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(match decode(json.get()) {
            Ok(object) => Content::Decoded(object),
            Err(why) => {
                let Identified { metadata } = serde_json::from_str(json.get()).unwrap_or_default();
                let identity = ObjectMeta {
                    name: metadata.name,
                    namespace: metadata.namespace,
                    uid: metadata.uid,
                    resource_version: metadata.resource_version,
                    generation: metadata.generation,
                    labels: metadata
                        .labels
                        .and_then(|labels| serde_json::from_str(labels.get()).ok())
                        .and_then(naming),
                    ..ObjectMeta::default()
                };
                Content::Undecodable(Box::new(LeftOut {
                    identity,
                    deleting: metadata.deletion_timestamp.is_some(),
                    why,
                }))
            }
        }))
    }
}

impl<K> Resource for Received<K>
where
    K: Resource<DynamicType = ()>,
{
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Content::Decoded(object) => object.meta(),
            Content::Undecodable(left_out) => &left_out.identity,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Content::Decoded(object) => object.meta_mut(),
            Content::Undecodable(left_out) => &mut left_out.identity,
        }
    }
}
