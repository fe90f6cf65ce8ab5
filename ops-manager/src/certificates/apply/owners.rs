//! Makes the Pgpool and its Certificate owners of the Secrets that cert-manager issued, so that the garbage collector
//! deletes them with it. Secrets of the user are left alone.
//!
//! Both, since the garbage collector waits for the last owner: if a Secret were deleted before its Certificate,
//! cert-manager would write it again, and that one would stay.

use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use operator_runtime::apply::ApplyError;
use operator_runtime::decode::Received;
use operator_runtime::{Lookup, REQUEST_TIMEOUT};
use serde_json::{Value, json};
use shared_types::{Pgpool, names};
use tracing::info;

use crate::certificates::decide::Decision;
use crate::certificates::error::Error;
use crate::certificates::observe::Observed;
use crate::certificates::validate::Validated;
use crate::claim;
use crate::context::Context;

/// An issued Secret that lacks owners.
struct Orphan {
    secret: Arc<Secret>,
    owners: Vec<Value>,
}

pub(crate) async fn adopt(
    context: &Context,
    pgpool: &Pgpool,
    observed: &Observed,
    decision: &Decision,
) -> Result<(), Error> {
    let Some(validated) = &decision.validated else {
        return Ok(());
    };
    let orphans = orphans(pgpool, validated, observed);
    let adoptions = orphans.iter().map(|orphan| async move {
        adopt_one(&context.client, orphan).await?;
        context.memory.record_adoption(pgpool, &orphan.secret);
        Ok(())
    });
    let adopted: Result<(), ApplyError> = join_all(adoptions).await.into_iter().collect();
    adopted.map_err(Error::Adopt)
}

fn orphans(pgpool: &Pgpool, validated: &Validated, observed: &Observed) -> Vec<Orphan> {
    let mut orphans = Vec::new();
    for wanted in &validated.wanted {
        let Some(child) = observed.children.get(&wanted.alias) else {
            continue;
        };
        let Lookup::Present(secret) = &child.secret else {
            continue;
        };
        let Some(certificate) = child.certificate.as_deref() else {
            continue;
        };
        let is_issued = claim::is_issued_for(pgpool, certificate, secret);
        if !is_issued || wanted.contested.is_some() || observed.recent.is_adopted(secret) {
            continue;
        }
        let owners = [owner_of(pgpool), owner_of(certificate)];
        let owners: Vec<_> = owners.into_iter().flatten().collect();
        let is_named = |owner: &Value| {
            let mut named = secret.owner_references().iter();
            named.any(|reference| owner.get("uid") == Some(&json!(reference.uid)))
        };
        if !owners.iter().all(is_named) {
            let secret = Arc::clone(secret);
            orphans.push(Orphan { secret, owners });
        }
    }
    orphans
}

/// Not a controller: cert-manager may be configured to control its Secrets, and there can be only one controller.
fn owner_of<K: Resource<DynamicType = ()>>(object: &K) -> Option<Value> {
    let owner = object.owner_ref(&())?;
    Some(json!({
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
    }))
}

async fn adopt_one(client: &Client, orphan: &Orphan) -> Result<(), ApplyError> {
    let Orphan { secret, owners } = orphan;
    let namespace = secret.namespace().unwrap_or_default();
    let name = secret.name_any();
    let patch = Patch::Apply(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        // With the UID, a Secret that has been deleted meanwhile is not created.
        "metadata": {"name": name, "uid": secret.metadata.uid, "ownerReferences": owners},
    }));
    let api: Api<Received<Secret>> = Api::namespaced(client.clone(), &namespace);
    let params = PatchParams::apply(names::OPS_MANAGER).force();
    let sent = tokio::time::timeout(REQUEST_TIMEOUT, api.patch(&name, &params, &patch)).await;
    let place = format!("{namespace}/{name}");
    match sent {
        Ok(Ok(_)) => {
            info!(%namespace, secret = %name, "added owners to the issued Secret");
            Ok(())
        }
        // It was deleted or replaced: its next event causes another reconcile.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(()),
        Ok(Err(source)) => Err(ApplyError::Api {
            kind: "Secret".to_owned(),
            name: place,
            source: Box::new(source),
        }),
        Err(_) => Err(ApplyError::Timeout {
            kind: "Secret".to_owned(),
            name: place,
        }),
    }
}
