//! Server-side apply that sends nothing when nothing differs, and never overwrites an object of another owner.
//!
//! Everything is applied with force, since an operator overrides other managers within its own fields. That is
//! only safe for objects that it owns, so the owner of the live object is checked first. An object that is not in
//! the cache is applied in a form that can only create it; when an object of that name exists, it is fetched and
//! checked like any other. That costs one request for a new object and none for one that is up to date.

pub(crate) mod compare;
mod error;
mod quantity;

use std::fmt::{self, Debug};

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};
use tracing::info;

pub(crate) use self::compare::drop_nulls;
pub use self::error::{ApplyError, Subject};
pub use self::quantity::same as same_quantity;
use crate::claim::{self, Claim};
use crate::decode::Received;
use crate::kind::Kind;
use crate::scope::Placement;

/// A resource version that no object has: the first revision of etcd precedes every object. The API
/// server compares it with the existing object, if there is one, so an apply with it either creates the
/// object or conflicts.
pub const NO_VERSION: &str = "1";

/// Applies objects as one field manager.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    field_manager: &'static str,
    hash_annotation: &'static str,
}

/// What an apply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing was sent.
    None,
    /// The object did not exist.
    Created,
    /// The object existed and was changed.
    Configured,
}

/// The result of an apply.
#[derive(Clone)]
pub struct Applied<K> {
    /// The object as the API server returned it, or the live one when nothing was sent.
    pub object: K,
    /// What was done.
    pub change: Change,
}

/// Never shows the object: it may be a Secret.
impl<K> Debug for Applied<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Applied");
        shown.field("change", &self.change).finish_non_exhaustive()
    }
}

impl Applier {
    /// Returns an applier. `hash_annotation` is the annotation in which it keeps the hash of what it last
    /// applied to an object.
    #[must_use]
    pub fn new(client: Client, field_manager: &'static str, hash_annotation: &'static str) -> Self {
        Self {
            client,
            field_manager,
            hash_annotation,
        }
    }

    /// Returns the client, for requests that are no apply.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the field manager, for requests that are no apply.
    #[must_use]
    pub fn field_manager(&self) -> &'static str {
        self.field_manager
    }

    /// Applies an object unless the live one already has every desired field. `live` is the object in the cache,
    /// whose `reduce` function must not drop anything that is applied. It is only changed if `claim` covers it.
    ///
    /// Content that was decided from the object itself must not overwrite another version of it: such a `desired`
    /// has the resource version that was read, or [`NO_VERSION`] where there was no object. An object of another
    /// version is left unchanged, and the call fails with a conflict, after which the caller decides again.
    ///
    /// # Errors
    /// [`ApplyError::NameConflict`] when an object of this name has another owner. Nothing was changed then.
    pub async fn apply<K>(
        &self,
        claim: &Claim,
        desired: &K,
        live: Option<&K>,
    ) -> Result<Applied<K>, ApplyError>
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let subject = Subject::of(desired);
        let wanted =
            prepared(desired, self.hash_annotation).map_err(|error| subject.unserializable(error))?;
        let api = self.api(desired);
        if let Some(live) = live {
            let target = (&api, &subject, claim);
            return self.configure(target, desired, wanted, live.clone()).await;
        }
        let mut created = wanted.clone();
        set(&mut created, &["metadata", "resourceVersion"], NO_VERSION.into());
        match self.send(&api, &subject, &desired.name_any(), created).await {
            Ok(object) => {
                info!(kind = %subject.kind, name = %subject.name, "created");
                Ok(Applied {
                    object,
                    change: Change::Created,
                })
            }
            Err(error) if error.code() == Some(409) => {
                let name = desired.name_any();
                let live = subject
                    .answered(async { api.get(&name).await?.decoded() })
                    .await?;
                let target = (&api, &subject, claim);
                self.configure(target, desired, wanted, live).await
            }
            Err(error) => Err(error),
        }
    }

    /// Creates an object that never changes afterwards. Returns `None` when an object of that name exists, no matter
    /// who owns it: only the `create` permission is needed.
    ///
    /// # Errors
    /// When the API server rejects the request.
    pub async fn create<K>(&self, desired: &K) -> Result<Option<K>, ApplyError>
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let subject = Subject::of(desired);
        let params = PostParams {
            field_manager: Some(self.field_manager.to_owned()),
            ..PostParams::default()
        };
        let api = self.api(desired);
        let json = serde_json::to_vec(desired).map_err(|error| subject.unserializable(error))?;
        let created = async {
            let mut request = Request::new(api.resource_url())
                .create(&params, json)
                .map_err(kube::Error::BuildRequest)?;
            request.extensions_mut().insert("create");
            self.client.request::<Received<K>>(request).await?.decoded()
        };
        match subject.answered(created).await {
            Ok(object) => {
                info!(kind = %subject.kind, name = %subject.name, "created");
                Ok(Some(object))
            }
            Err(error) if error.code() == Some(409) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn configure<K>(
        &self,
        (api, subject, claim): (&Api<Received<K>>, &Subject, &Claim),
        desired: &K,
        mut wanted: Value,
        live: K,
    ) -> Result<Applied<K>, ApplyError>
    where
        K: Kind,
    {
        if let Some(owner) = claim.other_owner(live.meta()) {
            return Err(subject.conflict(owner));
        }
        let present = serde_json::to_value(&live).map_err(|error| subject.unserializable(error))?;
        if compare::contains(&wanted, &present) {
            return Ok(Applied {
                object: live,
                change: Change::None,
            });
        }
        if let Some(owner) = fixed::<K>(&wanted, &present) {
            return Err(subject.conflict(owner));
        }
        // An object that replaced the checked one meanwhile is not written.
        set(&mut wanted, &["metadata", "uid"], json!(live.meta().uid));
        if let Some(version) = &desired.meta().resource_version {
            set(&mut wanted, &["metadata", "resourceVersion"], json!(version));
        }
        let object = self.send(api, subject, &desired.name_any(), wanted).await?;
        info!(kind = %subject.kind, name = %subject.name, "configured");
        Ok(Applied {
            object,
            change: Change::Configured,
        })
    }

    async fn send<K>(
        &self,
        api: &Api<Received<K>>,
        subject: &Subject,
        name: &str,
        wanted: Value,
    ) -> Result<K, ApplyError>
    where
        K: Kind,
    {
        let params = PatchParams::apply(self.field_manager).force();
        let patch = Patch::Apply(wanted);
        subject
            .answered(async { api.patch(name, &params, &patch).await?.decoded() })
            .await
    }

    /// Deletes exactly this object, not another of the same name, and only if `claim` covers it.
    ///
    /// # Errors
    /// [`ApplyError::NameConflict`] when it has another owner, and when the API server rejects the request. That it is gone
    /// already is no error.
    pub async fn delete<K>(&self, claim: &Claim, live: &K) -> Result<(), ApplyError>
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let subject = Subject::of(live);
        if let Some(owner) = claim.other_owner(live.meta()) {
            return Err(subject.conflict(owner));
        }
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: live.meta().uid.clone(),
            resource_version: None,
        });
        let api = self.api(live);
        let deleted = async {
            let mut request = Request::new(api.resource_url())
                .delete(&live.name_any(), &params)
                .map_err(kube::Error::BuildRequest)?;
            request.extensions_mut().insert("delete");
            // The object in the response is of no use.
            self.client.request_text(request).await
        };
        match subject.answered(deleted).await {
            Ok(_) => {
                info!(kind = %subject.kind, name = %subject.name, "deleted");
                Ok(())
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn api<K>(&self, object: &K) -> Api<Received<K>>
    where
        K: Resource<DynamicType = ()>,
        K::Scope: Placement<K>,
    {
        K::Scope::at(&self.client, object.meta().namespace.as_deref())
    }
}

impl Debug for Applier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applier")
            .field("field_manager", &self.field_manager)
            .finish_non_exhaustive()
    }
}

/// Returns why a live Secret cannot become the wanted one; other kinds can.
fn fixed<K: Resource<DynamicType = ()>>(wanted: &Value, live: &Value) -> Option<String> {
    if K::kind(&()) != "Secret" || !K::group(&()).is_empty() {
        return None;
    }
    // Of an immutable Secret that is to be one, the metadata may still change.
    let sealed = live["immutable"] == true && wanted["immutable"] != true;
    claim::fixed(wanted["type"].as_str(), live["type"].as_str(), sealed)
}

/// Returns whether a live object, or a part of one, has every desired field. A field that is no longer desired is not
/// noticed.
#[must_use]
pub fn stands<T: Serialize>(desired: &T, live: &T) -> bool {
    let json = |part| {
        serde_json::to_value(part).map(|mut json| {
            drop_nulls(&mut json);
            json
        })
    };
    match (json(desired), json(live)) {
        (Ok(desired), Ok(live)) => compare::contains(&desired, &live),
        _ => false,
    }
}

/// Converts a desired object into what is sent: the desired fields only, and the annotation with their hash.
fn prepared<K>(desired: &K, hash_annotation: &str) -> Result<Value, serde_json::Error>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let mut wanted = serde_json::to_value(desired)?;
    if let Some(object) = wanted.as_object_mut() {
        // The items of a list lack these.
        object.insert("apiVersion".to_owned(), K::api_version(&()).into());
        object.insert("kind".to_owned(), K::kind(&()).into());
        object.remove("status");
    }
    drop_nulls(&mut wanted);
    compare::encode_string_data(&mut wanted);
    // A precondition of the write, not a desired field.
    if let Some(metadata) = wanted.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    let hash = compare::hash(&wanted);
    set(
        &mut wanted,
        &["metadata", "annotations", hash_annotation],
        hash.into(),
    );
    Ok(wanted)
}

/// Sets the value at a path of keys. What is no map on the way becomes one.
fn set(object: &mut Value, path: &[&str], value: Value) {
    let [key, rest @ ..] = path else {
        *object = value;
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    if let Some(map) = object.as_object_mut() {
        set(map.entry(*key).or_insert(Value::Null), rest, value);
    }
}

#[cfg(test)]
mod tests;
