//! What the demo, the test cases and the benchmarks are written with: one namespace, the manifests a user
//! would put into it, and questions about what became of them.
//!
//! Nothing here knows how the cluster came to be; a [`Scene`] needs a client and nothing else.

pub mod authority;
pub mod certificates;
pub mod channel;
pub mod database;
pub mod fixtures;
pub mod handshake;
pub mod load;
pub mod operation;
pub mod operator;
pub mod pods;
pub mod pool;
pub mod psql;
pub mod reissue;
pub mod rights;
pub mod rotation;
pub mod scrape;
pub mod shell;
pub mod snapshot;
pub mod timeline;
pub mod write_barrier;

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt as _};

use fixtures::Manifest;
use local_cluster::manifests;

/// Time for anything that should happen at once. Generous: a build machine does other things as well.
pub const SOON: Duration = Duration::from_mins(2);

/// One namespace, with nothing in it but what its owner put there and the operators added.
#[derive(Clone)]
pub struct Scene {
    client: Client,
    namespace: String,
}

impl Scene {
    /// Makes a namespace whose name begins with `prefix`, and in which only restricted pods may run.
    pub async fn create(client: &Client, prefix: &str) -> anyhow::Result<Self> {
        let namespace: Namespace = serde_json::from_value(serde_json::json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "generateName": format!("{prefix}-"),
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }))?;
        let created = Api::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("making a namespace for {prefix}"))?;
        Ok(Self {
            client: client.clone(),
            namespace: created.name_any(),
        })
    }

    /// Takes a namespace that is there already, and lets only restricted pods run in it from now on.
    pub async fn adopt(client: &Client, namespace: &str) -> anyhow::Result<Self> {
        let labels = serde_json::json!({
            "metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        });
        let api: Api<Namespace> = Api::all(client.clone());
        api.patch(namespace, &PatchParams::default(), &Patch::Merge(&labels))
            .await
            .with_context(|| format!("restricting the namespace {namespace}"))?;
        Ok(Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
        })
    }

    /// Takes a namespace that is there already as it is.
    #[must_use]
    pub fn existing(client: &Client, namespace: &str) -> Self {
        Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
        }
    }

    /// The client it is reached with.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The objects of one kind in it.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies every document of a text, as a user does with `kubectl apply`.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        manifests::apply(&self.client, &self.namespace, yaml).await?;
        Ok(())
    }

    /// Applies one manifest.
    pub async fn put(&self, manifest: &Manifest) -> anyhow::Result<DynamicObject> {
        manifests::apply_object(&self.client, &self.namespace, &manifest.object()?).await
    }

    /// Deletes an object that may be gone already.
    pub async fn delete<K>(&self, name: &str) -> anyhow::Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + serde::de::DeserializeOwned,
    {
        match self.api::<K>().delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("deleting {} {name}", K::kind(&()))),
        }
    }

    /// Starts to delete the namespace with everything in it, and does not wait for the end.
    pub async fn remove(&self) -> anyhow::Result<()> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.delete(&self.namespace, &DeleteParams::background())
            .await
            .with_context(|| format!("deleting the namespace {}", self.namespace))?;
        Ok(())
    }
}

/// Puts the version of the fixtures into the catalogue, unless the cluster offers it already, with an exporter.
pub async fn offer_version(client: &Client) -> anyhow::Result<()> {
    for version in manifests::parse(fixtures::CATALOG)? {
        let api = manifests::api(client, "", &version).await?;
        let offered = api.get_opt(&version.name_any()).await?;
        if offered.is_none_or(|offered| offered.data["spec"]["exporter"].is_null()) {
            manifests::apply_object(client, "", &version).await?;
        }
    }
    Ok(())
}

/// Fails unless something is as wanted.
pub fn equal<A, B>(what: &str, found: &A, wanted: &B) -> anyhow::Result<()>
where
    A: Debug + PartialEq<B> + ?Sized,
    B: Debug + ?Sized,
{
    ensure!(found == wanted, "{what}: {found:?} instead of {wanted:?}");
    Ok(())
}

/// The API server says that there is no such object.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
