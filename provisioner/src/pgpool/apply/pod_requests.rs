//! Requests about one running pod: other CPU and memory, a label, an annotation. The StatefulSet controller owns
//! the pod, so these are patches of single fields, never an apply.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use operator_runtime::Applier;
use operator_runtime::apply::{ApplyError, Subject};
use operator_runtime::decode::Received;
use serde_json::{Value, json};
use tracing::info;

/// One pod, and no other of the same name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PodRef<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
}

/// Sets one annotation. Returns `None` when the pod no longer exists.
pub(crate) async fn annotate(
    applier: &Applier,
    pod: PodRef<'_>,
    (key, value): (&str, &str),
) -> Result<Option<Pod>, ApplyError> {
    let patch = Patch::Merge(json!({ "metadata": { "uid": pod.uid, "annotations": { key: value } } }));
    let params = PatchParams {
        field_manager: Some(applier.field_manager().to_owned()),
        ..PatchParams::default()
    };
    let api = api(applier, pod.namespace);
    let request = async { api.patch(pod.name, &params, &patch).await?.decoded() };
    match Subject::named::<Pod>(pod.namespace, pod.name)
        .answered(request)
        .await
    {
        Ok(pod) => Ok(Some(pod)),
        Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets one label on a pod that was resized.
///
/// # Errors
/// When the API server rejects it; with code 404 or 409 when the pod no longer exists.
pub(crate) async fn label_resized(
    applier: &Applier,
    pod: PodRef<'_>,
    (key, value): (&str, &str),
) -> Result<Pod, ApplyError> {
    let patch = Patch::Merge(json!({ "metadata": { "uid": pod.uid, "labels": { key: value } } }));
    let api = api(applier, pod.namespace);
    let params = resizing(applier);
    let request = async { api.patch(pod.name, &params, &patch).await?.decoded() };
    Subject::named::<Pod>(pod.namespace, pod.name)
        .answered(request)
        .await
}

/// Requests other CPU and memory for containers of a pod while it runs: `containers` has an entry with `name` and
/// `resources` for each.
///
/// # Errors
/// When the API server rejects it: with code 404 also when it is older than Kubernetes 1.33, with 422 when the change
/// needs a new pod.
pub(crate) async fn resize(
    applier: &Applier,
    pod: PodRef<'_>,
    containers: &Value,
) -> Result<Pod, ApplyError> {
    let patch = json!({ "metadata": { "uid": pod.uid }, "spec": { "containers": containers } });
    let patch = Patch::Strategic(patch);
    let api = api(applier, pod.namespace);
    let params = resizing(applier);
    let request = async {
        let resized = api.patch_subresource("resize", pod.name, &params, &patch).await?;
        resized.decoded()
    };
    let resized = Subject::named::<Pod>(pod.namespace, pod.name)
        .answered(request)
        .await?;
    info!(namespace = pod.namespace, pod = pod.name, "resized");
    Ok(resized)
}

fn api(applier: &Applier, namespace: &str) -> Api<Received<Pod>> {
    Api::namespaced(applier.client().clone(), namespace)
}

/// A field manager of its own, so that `managedFields` shows which fields a resize wrote.
fn resizing(applier: &Applier) -> PatchParams {
    PatchParams {
        field_manager: Some(format!("{}-resize", applier.field_manager())),
        ..PatchParams::default()
    }
}
