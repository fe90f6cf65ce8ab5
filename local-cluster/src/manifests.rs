//! Applies manifests as `kubectl apply --server-side` does.
//!
//! Under a field manager of its own and without force, so that applying a manifest takes no field from the operators.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, TypeMeta};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt as _};
use serde::Deserialize as _;

use crate::wait;

pub const MANAGER: &str = "e2e";

/// Time for a new kind to be served.
const ESTABLISH: Duration = Duration::from_secs(30);

/// Applies every document of `yaml` in order, up to the first that the API server rejects. `namespace` is the default for
/// namespaced objects.
pub async fn apply(client: &Client, namespace: &str, yaml: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let mut applied = Vec::new();
    for object in parse(yaml)? {
        applied.push(apply_object(client, namespace, &object).await?);
    }
    Ok(applied)
}

/// Applies one object; see [`apply`].
pub async fn apply_object(
    client: &Client,
    namespace: &str,
    object: &DynamicObject,
) -> anyhow::Result<DynamicObject> {
    let api = api(client, namespace, object).await?;
    let parameters = PatchParams::apply(MANAGER);
    let applied = api
        .patch(&object.name_any(), &parameters, &Patch::Apply(object))
        .await;
    // The error of the API server stays the source: tests look for it.
    applied.with_context(|| format!("applying {}", describe(object)))
}

pub fn parse(yaml: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let value = serde_json::Value::deserialize(document).context("reading a manifest")?;
        if !value.is_null() {
            objects.push(serde_json::from_value(value).context("reading a manifest")?);
        }
    }
    Ok(objects)
}

/// The [`Api`] for the kind of `object`, in its own namespace or in `namespace`.
pub async fn api(
    client: &Client,
    namespace: &str,
    object: &DynamicObject,
) -> anyhow::Result<Api<DynamicObject>> {
    let Some(TypeMeta { api_version, kind }) = &object.types else {
        bail!("a manifest has no kind")
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = pinned_kind(client, &kind)
        .await
        .with_context(|| format!("finding {}", describe(object)))?;
    Ok(match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.metadata.namespace.as_deref().unwrap_or(namespace);
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    })
}

/// Applies the CRDs in the YAML files of `folder` and waits until their kinds are served.
pub async fn apply_crds(client: &Client, folder: &Path) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        for object in parse(&text).with_context(|| path.display().to_string())? {
            let (name, parameters) = (object.name_any(), PatchParams::apply(MANAGER).force());
            api.patch(&name, &parameters, &Patch::Apply(&object)).await?;
            names.push(name);
        }
    }
    for name in names {
        wait::object(&api, &name, ESTABLISH, "is served", |definition| {
            served(definition)
        })
        .await?;
    }
    Ok(())
}

/// Applies every YAML file of `folder`; the objects must be cluster-scoped.
pub async fn apply_folder(client: &Client, folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            apply(client, "", &fs::read_to_string(&path)?)
                .await
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Creates a namespace unless it exists.
pub async fn ensure_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let object: Namespace = serde_json::from_value(serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
    }))?;
    let api: Api<Namespace> = Api::all(client.clone());
    api.patch(name, &PatchParams::apply(MANAGER), &Patch::Apply(&object))
        .await
        .with_context(|| format!("creating the namespace {name}"))?;
    Ok(())
}

fn served(definition: &CustomResourceDefinition) -> anyhow::Result<()> {
    let conditions = definition
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    match conditions
        .clone()
        .find(|condition| condition.type_ == "Established")
    {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => bail!("Established is {}", condition.status),
        None => bail!("it has no condition Established"),
    }
}

fn describe(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("object", |types| &types.kind);
    format!("{kind} {}", object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_read_except_empty_ones() {
        let yaml = "---\n# nothing\n---\nkind: A\napiVersion: v1\nmetadata: {name: one}\n---\nkind: B\napiVersion: g/v2\nmetadata: {name: two}\n";
        let objects = parse(yaml).unwrap();
        let names: Vec<_> = objects.iter().map(describe).collect();
        assert_eq!(names, ["A one", "B two"]);
    }

    #[test]
    fn text_that_is_no_manifest_is_rejected() {
        assert!(parse("just words").is_err());
    }
}
