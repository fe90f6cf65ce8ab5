//! Server-side apply that sends nothing when nothing differs, and never takes what is not ours.
//!
//! Everything is applied with force, since within its own fields an operator is right by definition.
//! That is only safe for objects that belong to it, so before anything is forced the live object is
//! judged. An object that is not in the cache is applied in a form that can only create it; when
//! something of that name turns out to exist, it is fetched and judged like any other. That costs one
//! request for a new object and none for one that stands as desired.

mod claim;
mod compare;
mod error;
mod quantity;

use std::fmt::{self, Debug};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::info;

pub(crate) use self::compare::drop_nulls;
pub use self::error::ApplyError;
pub(crate) use self::error::Subject;
pub use self::quantity::same as same_quantity;
use crate::scope::Placement;

/// The annotation that carries the hash of what was last applied.
pub const APPLIED: &str = "pgpool.kubedb.com/applied-hash";

/// A resource version that no object has: the first revision of etcd precedes every object. The API
/// server compares it with what exists and ignores it when nothing does, so an apply that carries it
/// creates or conflicts.
pub const NO_VERSION: &str = "1";

/// Applies objects in the name of one field manager.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    field_manager: &'static str,
}

/// One pod, and no other that takes its name.
#[derive(Clone, Copy, Debug)]
pub struct PodRef<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
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

/// An object as it stands after an apply.
#[derive(Clone)]
pub struct Applied<K> {
    /// The object.
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
    /// Makes an applier.
    #[must_use]
    pub fn new(client: Client, field_manager: &'static str) -> Self {
        Self {
            client,
            field_manager,
        }
    }

    /// Brings an object to what is desired. `live` is the object in the cache, which must not have been
    /// trimmed of anything that is applied.
    ///
    /// Whose the object is follows from the owner references and the labels
    /// `app.kubernetes.io/managed-by` and `app.kubernetes.io/instance` of `desired`.
    ///
    /// Content that was decided from what stands in the object itself must not be written over anything else:
    /// such a `desired` bears the resource version that was read, or [`NO_VERSION`] where there was no object. An
    /// object of another version is then left as it is, and the answer is a conflict, upon which to decide anew.
    ///
    /// # Errors
    /// [`ApplyError::NameConflict`] when an object of this name belongs to somebody else. Nothing was
    /// changed then.
    pub async fn apply<K>(&self, desired: &K, live: Option<&K>) -> Result<Applied<K>, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
        K::Scope: Placement<K>,
    {
        let subject = Subject::of(desired);
        let wanted = prepared(desired).map_err(|error| subject.unserializable(error))?;
        let api = self.api(desired);
        if let Some(live) = live {
            return self
                .configure(&api, &subject, desired, wanted, live.clone())
                .await;
        }
        let mut created = wanted.clone();
        created["metadata"]["resourceVersion"] = NO_VERSION.into();
        match self.send(&api, &subject, &desired.name_any(), created).await {
            Ok(object) => {
                info!(kind = %subject.kind, name = %subject.name, "created");
                Ok(Applied {
                    object,
                    change: Change::Created,
                })
            }
            Err(error) if error.code() == Some(409) => {
                let live = subject.answered(api.get(&desired.name_any())).await?;
                self.configure(&api, &subject, desired, wanted, live).await
            }
            Err(error) => Err(error),
        }
    }

    /// Creates an object that never changes afterwards. `None` when there is one of that name, whoever made it: no right
    /// but that of creation is needed.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn create<K>(&self, desired: &K) -> Result<Option<K>, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
        K::Scope: Placement<K>,
    {
        let subject = Subject::of(desired);
        let params = PostParams {
            field_manager: Some(self.field_manager.to_owned()),
            ..PostParams::default()
        };
        let api = self.api(desired);
        match subject.answered(api.create(&params, desired)).await {
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
        api: &Api<K>,
        subject: &Subject,
        desired: &K,
        mut wanted: Value,
        live: K,
    ) -> Result<Applied<K>, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        if let Some(owner) = claim::other_owner(desired.meta(), live.meta()) {
            return Err(ApplyError::NameConflict {
                kind: subject.kind.clone(),
                name: subject.name.clone(),
                owner,
            });
        }
        let stands = serde_json::to_value(&live)
            .map(|live| compare::stands(&wanted, &live))
            .map_err(|error| subject.unserializable(error))?;
        if stands {
            return Ok(Applied {
                object: live,
                change: Change::None,
            });
        }
        // Whatever takes the place of the object that was judged is not written.
        wanted["metadata"]["uid"] = json!(live.meta().uid);
        if let Some(version) = &desired.meta().resource_version {
            wanted["metadata"]["resourceVersion"] = json!(version);
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
        api: &Api<K>,
        subject: &Subject,
        name: &str,
        wanted: Value,
    ) -> Result<K, ApplyError>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let params = PatchParams::apply(self.field_manager).force();
        let patch = Patch::Apply(wanted);
        subject.answered(api.patch(name, &params, &patch)).await
    }

    /// Deletes exactly this object, not another that took its name. Returns whether it was still there.
    pub async fn delete<K>(&self, live: &K) -> Result<bool, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
        K::Scope: Placement<K>,
    {
        let subject = Subject::of(live);
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: live.meta().uid.clone(),
            resource_version: None,
        });
        match subject
            .answered(self.api(live).delete(&live.name_any(), &params))
            .await
        {
            Ok(_) => {
                info!(kind = %subject.kind, name = %subject.name, "deleted");
                Ok(true)
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets one annotation of an object that somebody else makes, and nothing else of it. Returns the object, or
    /// `None` when it is gone.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn annotate<K>(
        &self,
        namespace: &str,
        name: &str,
        (key, value): (&str, &str),
    ) -> Result<Option<K>, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
        K::Scope: Placement<K>,
    {
        let subject = Subject {
            kind: K::kind(&()).into_owned(),
            name: format!("{namespace}/{name}"),
        };
        let api: Api<K> = K::Scope::at(&self.client, Some(namespace));
        let patch = json!({ "metadata": { "annotations": { key: value } } });
        let params = PatchParams {
            field_manager: Some(self.field_manager.to_owned()),
            ..PatchParams::default()
        };
        match subject
            .answered(api.patch(name, &params, &Patch::Merge(patch)))
            .await
        {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets one label of exactly this pod, which somebody else makes, as one who resizes it.
    ///
    /// # Errors
    /// When the API server does not take it; with code 404 or 409 when the pod is gone.
    pub async fn label_resized(
        &self,
        pod: PodRef<'_>,
        (key, value): (&str, &str),
    ) -> Result<Pod, ApplyError> {
        let patch = json!({ "metadata": { "uid": pod.uid, "labels": { key: value } } });
        let (subject, api) = self.pod(pod);
        let patch = Patch::Merge(patch);
        subject
            .answered(api.patch(pod.name, &self.resizing(), &patch))
            .await
    }

    /// Asks for other CPU and memory of containers of exactly this pod, while it runs: `containers` has an entry with
    /// `name` and `resources` for each.
    ///
    /// # Errors
    /// When the API server does not take it: with code 404 also when it is older than Kubernetes 1.33, with 422 when what
    /// is asked for cannot be had without a new pod.
    pub async fn resize(&self, pod: PodRef<'_>, containers: &Value) -> Result<Pod, ApplyError> {
        let patch = json!({ "metadata": { "uid": pod.uid }, "spec": { "containers": containers } });
        let (subject, api) = self.pod(pod);
        let patch = Patch::Strategic(patch);
        let params = self.resizing();
        let resized = subject
            .answered(api.patch_subresource("resize", pod.name, &params, &patch))
            .await?;
        info!(kind = %subject.kind, name = %subject.name, "resized");
        Ok(resized)
    }

    fn pod(&self, pod: PodRef<'_>) -> (Subject, Api<Pod>) {
        let subject = Subject {
            kind: "Pod".to_owned(),
            name: format!("{}/{}", pod.namespace, pod.name),
        };
        (subject, Api::namespaced(self.client.clone(), pod.namespace))
    }

    /// A name of its own, so that what is written for another reason can be told apart in the object.
    fn resizing(&self) -> PatchParams {
        PatchParams {
            field_manager: Some(format!("{}-resize", self.field_manager)),
            ..PatchParams::default()
        }
    }

    fn api<K>(&self, object: &K) -> Api<K>
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

/// Whether every field of a desired object, or of a part of one, stands in the live one. A field that was taken out of
/// what is desired is not noticed.
#[must_use]
pub fn stands<T: Serialize>(desired: &T, live: &T) -> bool {
    let json = |part| {
        serde_json::to_value(part).map(|mut json| {
            drop_nulls(&mut json);
            json
        })
    };
    match (json(desired), json(live)) {
        (Ok(desired), Ok(live)) => compare::stands(&desired, &live),
        _ => false,
    }
}

/// Turns a desired object into what is sent: nothing but what is wanted, stamped with its hash.
fn prepared<K>(desired: &K) -> Result<Value, serde_json::Error>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let mut wanted = serde_json::to_value(desired)?;
    if let Some(object) = wanted.as_object_mut() {
        // Compared objects come from lists too, whose items may lack these.
        object.insert("apiVersion".to_owned(), K::api_version(&()).into());
        object.insert("kind".to_owned(), K::kind(&()).into());
        object.remove("status");
    }
    drop_nulls(&mut wanted);
    compare::encode_string_data(&mut wanted);
    // A condition of the write, and nothing that is wanted.
    if let Some(metadata) = wanted["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let hash = compare::hash(&wanted);
    let metadata = &mut wanted["metadata"];
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = json!({});
    }
    metadata["annotations"][APPLIED] = hash.into();
    Ok(wanted)
}

#[cfg(test)]
mod tests;
