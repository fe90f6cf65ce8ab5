//! Deletes a finished request.

use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt};
use shared_types::PgpoolOpsRequest;
use tracing::info;

use super::answered;
use crate::context::Context;
use crate::ops_requests::error::Error;

/// Deletes this state of the request, and no other of its name.
///
/// # Errors
/// When the API server does not answer, or rejects the deletion.
pub(crate) async fn delete(request: &PgpoolOpsRequest, context: &Context) -> Result<(), Error> {
    let (namespace, name) = (request.namespace().unwrap_or_default(), request.name_any());
    let api: Api<PgpoolOpsRequest> = Api::namespaced(context.client.clone(), &namespace);
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: request.uid(),
            resource_version: request.resource_version(),
        }),
        ..DeleteParams::default()
    };
    let what = format!("PgpoolOpsRequest {namespace}/{name}");
    match answered(&what, api.delete(&name, &params)).await {
        Ok(_) => info!(%namespace, %name, "operation: deleted the finished request"),
        // It is gone, or it has changed and is reconciled again.
        Err(error) if matches!(super::rejection(&error), Some(404 | 409)) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
