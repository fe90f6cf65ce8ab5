//! What the demo, the test cases and the benchmarks are written with: one namespace, the manifests that a user
//! would apply there, and questions about what became of them.
//!
//! A [`TestNamespace`] needs a client and nothing else, whatever the cluster is.

pub(crate) mod cert_manager;
pub(crate) mod channel;
pub(crate) mod database;
pub(crate) mod external_issuer;
pub(crate) mod fixtures;
pub(crate) mod handshake;
pub(crate) mod issuers;
pub(crate) mod operator_process;
pub(crate) mod ops_request;
pub(crate) mod pgbench;
pub(crate) mod pods;
pub(crate) mod pool;
pub(crate) mod psql;
pub(crate) mod rbac;
pub(crate) mod rotation;
pub(crate) mod scrape;
pub(crate) mod shell;
pub(crate) mod snapshot;
pub(crate) mod test_ca;
pub(crate) mod timeline;
pub(crate) mod write_barrier;

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, Resource, ResourceExt as _};

use fixtures::Manifest;
use local_cluster::manifests;

/// Time for anything that should happen at once. Generous: a build machine does other things as well.
pub(crate) const SOON: Duration = Duration::from_mins(2);

/// One namespace, with nothing in it but what its owner put there and the operators added.
#[derive(Clone)]
pub(crate) struct TestNamespace {
    client: Client,
    namespace: String,
}

impl TestNamespace {
    /// Makes a namespace whose name begins with `prefix`, and in which only restricted pods may run.
    pub(crate) async fn create(client: &Client, prefix: &str) -> anyhow::Result<Self> {
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
    pub(crate) async fn adopt(client: &Client, namespace: &str) -> anyhow::Result<Self> {
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
    pub(crate) fn existing(client: &Client, namespace: &str) -> Self {
        Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn name(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The objects of a kind that has no Rust type here.
    pub(crate) fn dynamic(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Applies every document of a text, as a user does with `kubectl apply`.
    pub(crate) async fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        manifests::apply(&self.client, &self.namespace, yaml).await?;
        Ok(())
    }

    pub(crate) async fn put(&self, manifest: &Manifest) -> anyhow::Result<DynamicObject> {
        manifests::apply_object(&self.client, &self.namespace, &manifest.object()?).await
    }

    /// Deletes an object that may be gone already.
    pub(crate) async fn delete<K>(&self, name: &str) -> anyhow::Result<()>
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
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.delete(&self.namespace, &DeleteParams::background())
            .await
            .with_context(|| format!("deleting the namespace {}", self.namespace))?;
        Ok(())
    }
}

/// Puts the version of the fixtures into the catalog, unless the cluster offers it already, with an exporter.
pub(crate) async fn offer_version(client: &Client) -> anyhow::Result<()> {
    for version in manifests::parse(fixtures::CATALOG)? {
        let api = manifests::api(client, "", &version).await?;
        let offered = api.get_opt(&version.name_any()).await?;
        if offered.is_none_or(|offered| offered.data["spec"]["exporter"].is_null()) {
            manifests::apply_object(client, "", &version).await?;
        }
    }
    Ok(())
}

pub(crate) fn equal<A, B>(what: &str, found: &A, wanted: &B) -> anyhow::Result<()>
where
    A: Debug + PartialEq<B> + ?Sized,
    B: Debug + ?Sized,
{
    ensure!(found == wanted, "{what}: {found:?} instead of {wanted:?}");
    Ok(())
}

/// The API server has no such object.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
