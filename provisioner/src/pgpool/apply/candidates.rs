//! Writes the settings that pgpool is to judge, and removes those that nobody needs any more.

use kube::ResourceExt;
use operator_runtime::apply::ApplyError;

use super::Writer;
use crate::pgpool::build::Candidate;
use crate::pgpool::observe::Live;

/// Lets pgpool judge settings: what it reads before the pod in which it does.
pub(super) async fn ask(
    writer: Writer<'_>,
    candidate: Option<Candidate>,
    live: &Live,
) -> Result<(), ApplyError> {
    let Some(Candidate { secret, pod, .. }) = candidate else {
        return Ok(());
    };
    let known = live.candidates.get(&secret.name_any());
    writer
        .put(&secret, known.map(|known| known.secret.as_ref()))
        .await?;
    writer.put(&pod, None).await.map(|_| ())
}

/// Removes settings that are judged, or that nobody wants any more. The pod first: it is found by its settings.
pub(super) async fn retire(writer: Writer<'_>, kept: Option<&str>, live: &Live) -> Result<(), ApplyError> {
    for (_, candidate) in live
        .candidates
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != kept)
    {
        let pod = candidate.pod.as_deref();
        if let Some(pod) = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            writer.delete(pod).await?;
        }
        writer.delete(candidate.secret.as_ref()).await?;
    }
    Ok(())
}
