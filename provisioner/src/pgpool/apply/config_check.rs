//! Starts the check of new settings, and deletes checks that are not needed any more.

use kube::ResourceExt;
use operator_runtime::apply::ApplyError;

use super::Writer;
use crate::pgpool::build::ConfigCheck;
use crate::pgpool::observe::Live;

/// Writes what the pod of a check reads before the pod.
pub(super) async fn start(
    writer: Writer<'_>,
    check: Option<ConfigCheck>,
    live: &Live,
) -> Result<(), ApplyError> {
    let Some(ConfigCheck { secret, pod, .. }) = check else {
        return Ok(());
    };
    let known = live.config_checks.get(&secret.name_any());
    writer
        .put(&secret, known.map(|known| known.secret.as_ref()))
        .await?;
    writer.put(&pod, None).await.map(|_| ())
}

/// Deletes every check but `kept`. The pod first: it is found by its Secret.
pub(super) async fn delete_unneeded(
    writer: Writer<'_>,
    kept: Option<&str>,
    live: &Live,
) -> Result<(), ApplyError> {
    for (name, check) in &live.config_checks {
        if Some(name.as_str()) == kept {
            continue;
        }
        if let Some(pod) = check.pod.as_deref()
            && pod.metadata.deletion_timestamp.is_none()
        {
            writer.delete(pod).await?;
        }
        writer.delete(check.secret.as_ref()).await?;
    }
    Ok(())
}
