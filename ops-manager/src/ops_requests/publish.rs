//! Publishes the status of a request, and an event when its phase changes.

use kube::runtime::reflector::ObjectRef;
use operator_runtime::status::write_status;
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus, names};
use tracing::info;

use super::error::Error;
use super::{observe, report};
use crate::context::Context;

/// Sends nothing when the status is the same.
pub(crate) async fn publish(
    context: &Context,
    request: &PgpoolOpsRequest,
    status: PgpoolOpsRequestStatus,
) -> Result<(), Error> {
    let before = observe::status(context, request);
    let written = write_status(&context.client, names::OPS_MANAGER, request, &status, &before).await;
    if !written.map_err(Error::Status)? {
        return Ok(());
    }
    let key = ObjectRef::from_obj(request);
    let cached = request.status.clone().unwrap_or_default();
    context.pending.part(&key, cached, status.clone());
    if before.phase == status.phase {
        return Ok(());
    }
    let Some(event) = report::announcement(&status) else {
        return Ok(());
    };
    info!(request = %key, phase = ?status.phase, "operation: {}", event.message);
    let action = request.spec.type_.condition().as_str();
    let events = &context.events;
    if event.is_warning {
        events
            .warning(request, action, event.reason, &event.message)
            .await;
    } else {
        events.normal(request, action, event.reason, &event.message).await;
    }
    Ok(())
}
