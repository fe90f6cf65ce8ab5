//! Puts a decision into effect. The only step that changes owned objects; it decides nothing but the order.
//!
//! The foundation first and all at once, since its parts do not need each other: Secrets, Services, account, budget and
//! `AppBinding`. ops-manager and cert-manager continue from there. Running pods whose mounted Secrets have changed get a
//! volume sync before the workload is written: that must not wait for anything. Then the TLS copy and at last the
//! `StatefulSet`: a pod that mounts a Secret which appears later waits for the kubelet's next try. The Job of the user's
//! scripts comes last: it needs all of these.

mod config_check;
mod pod_requests;
mod supporting_objects;
mod writer;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Claim;
use operator_runtime::apply::ApplyError;
use shared_types::Pgpool;
use shared_types::explanation::Blocked;

use super::build::Objects;
use super::decide::init_job::InitState;
use super::decide::monitoring::Monitoring;
use super::decide::rollout::{self, Action, Resize, Rollout};
use super::decide::volume_sync::MountedSecrets;
use super::decide::{Decision, probe, rotation_progress};
use super::observe::pods::PodFacts;
use super::observe::{CertificateRevision, Live, Observed};
use crate::context::Context;
use writer::Writer;

/// The result of applying a decision.
pub(crate) enum Progress {
    /// There was no decision: something prevents it.
    Stopped,
    /// An object of a needed name belongs to someone else. The message names it, and how to fix that.
    Conflict { message: String },
    /// The API server did not accept an object.
    Failed(ApplyError),
    /// Everything that may be written is written.
    Written,
}

/// What has become of a decision, and the workload as it is now.
pub(crate) struct Applied {
    pub(crate) progress: Progress,
    /// The workload: the one just written, else that of the cache.
    pub(crate) stateful_set: Option<StatefulSet>,
    /// Why the `ServiceMonitor` could not be written. Apart from the progress: a pool serves without.
    pub(crate) monitoring_failure: Option<ApplyError>,
    /// Whether a pod got a volume sync just now.
    pub(crate) synced: bool,
    /// Whether the API server refused just now to resize a pod, which has to be replaced then.
    pub(crate) resize_rejected: bool,
    /// How far the user's scripts are.
    pub(crate) init: InitState,
    /// Why the Job that runs them was not accepted.
    pub(crate) init_failure: Option<ApplyError>,
    /// Whether the pods are probed.
    pub(crate) probing: bool,
}

impl Applied {
    /// What the next attempt may not meet again, so that it comes soon.
    pub(crate) fn into_failure(self) -> Option<ApplyError> {
        if let Progress::Failed(error) = self.progress {
            return Some(error);
        }
        self.init_failure.or(self.monitoring_failure.filter(is_temporary))
    }
}

/// Not for a user or an administrator to fix. With 404 the kind is gone since the cache was read, which the cache will show.
fn is_temporary(error: &ApplyError) -> bool {
    let is_conflict = matches!(error, ApplyError::NameConflict { .. });
    !is_conflict && !matches!(error.code(), Some(400 | 403 | 404 | 422))
}

/// What was written where nothing stopped it.
struct Written {
    stateful_set: Option<StatefulSet>,
    synced: bool,
    resize_rejected: bool,
    init: InitState,
    init_failure: Option<ApplyError>,
}

/// Probes the pods as decided, records how far a rotation is, and writes the objects.
pub(crate) async fn apply(
    context: &Context,
    pgpool: &Pgpool,
    decision: &Result<Decision<'_>, Blocked>,
    objects: Option<Objects>,
    observed: &Observed,
    now: Timestamp,
) -> Applied {
    let (key, claim) = (&ObjectRef::from_obj(pgpool), &Claim::of(pgpool));
    let decision = decision.as_ref().ok();
    if let Some(decision) = decision {
        record_rotation(context, key, decision, observed, now);
    }
    let access = decision.and_then(|decision| decision.access.clone());
    context.health.set_targets(key, probe::targets(observed), access);
    let mut applied = Applied {
        progress: Progress::Stopped,
        stateful_set: observed.live.stateful_set.as_deref().cloned(),
        monitoring_failure: None,
        synced: false,
        resize_rejected: false,
        init: InitState::Unknown,
        init_failure: None,
        probing: context.health.is_probing(key),
    };
    let (Some(decision), Some(objects)) = (decision, objects) else {
        return applied;
    };
    let writer = Writer {
        applier: &context.applier,
        memory: &context.memory,
        key,
        claim,
    };
    let service_monitor = objects.service_monitor.clone();
    match Box::pin(write(writer, decision, objects, observed)).await {
        Ok(written) => {
            let live = observed.live.service_monitor.as_deref();
            applied.monitoring_failure = writer.put_some(service_monitor, live).await.err();
            applied.progress = Progress::Written;
            applied.stateful_set = written.stateful_set.or(applied.stateful_set);
            applied.synced = written.synced;
            applied.resize_rejected = written.resize_rejected;
            applied.init = written.init;
            applied.init_failure = written.init_failure;
        }
        Err(conflict @ ApplyError::NameConflict { .. }) => {
            let message = conflict.to_string();
            applied.progress = Progress::Conflict { message };
        }
        Err(error) => applied.progress = Progress::Failed(error),
    }
    applied
}

/// Records how far a rotation is: for Pgpools that wait for a place at the limiter, and for the metrics.
fn record_rotation(
    context: &Context,
    key: &ObjectRef<Pgpool>,
    decision: &Decision<'_>,
    observed: &Observed,
    now: Timestamp,
) {
    let rotation = rotation_progress::rotation(decision, observed);
    let rolls = rotation_progress::takes_place(decision, &rotation).then_some(now);
    context.rotation_limiter.update(key, rolls, decision.is_queued);
    let mismatches = rotation_progress::mismatches(observed);
    context.memory.record_rotation(key, rotation, mismatches, now);
}

async fn write(
    writer: Writer<'_>,
    decision: &Decision<'_>,
    objects: Objects,
    observed: &Observed,
) -> Result<Written, ApplyError> {
    // Without `..`, so that an object that is built but not written is a compile error.
    let Objects {
        foundation,
        config_check,
        service_monitor: _,
        tls_copy,
        stateful_set,
        init_job,
    } = objects;
    let live = &observed.live;
    delete_unread(writer, &decision.monitoring).await?;
    let (mounted, written) = Box::pin(supporting_objects::write(writer, foundation, live)).await;
    let synced = sync_volumes(writer, &mounted, &observed.pods).await;
    written?;
    let checked = Box::pin(config_check::start(writer, config_check, live)).await;
    Box::pin(config_check::delete_unneeded(
        writer,
        decision.config.kept_check.as_deref(),
        live,
    ))
    .await?;
    checked?;
    let (mut written_set, mut resize_rejected) = (None, false);
    if let Some(stateful_set) = stateful_set {
        let written = Box::pin(write_workload(writer, tls_copy, stateful_set, live)).await?;
        if let Some((pod, uid, resize)) = next_resize(decision) {
            resize_rejected = writer.resize((pod, uid), resize).await?;
        }
        for copy in rollout::obsolete(observed, &written) {
            writer.delete(copy).await?;
        }
        if let Some(login) = decision.monitoring.old_login
            && is_settled(&observed.pods, &written)
        {
            writer.delete(login).await?;
        }
        written_set = Some(written);
    }
    // Scripts that cannot run do not affect the pool.
    let (init, init_failure) = match Box::pin(start_init(writer, &decision.init, init_job)).await {
        Ok(state) => (state, None),
        Err(error) => (InitState::Unknown, Some(error)),
    };
    Ok(Written {
        stateful_set: written_set,
        synced: synced?,
        resize_rejected,
        init,
        init_failure,
    })
}

fn next_resize<'a>(decision: &'a Decision<'_>) -> Option<(&'a str, &'a str, &'a Resize)> {
    match &decision.workload.as_ref()?.step.action {
        Action::Resizing { pod, uid, resize } => Some((pod, uid, resize)),
        _ => None,
    }
}

async fn start_init(
    writer: Writer<'_>,
    state: &InitState,
    init_job: Option<Job>,
) -> Result<InitState, ApplyError> {
    match init_job {
        Some(job) => writer.start(&job).await,
        None => Ok(state.clone()),
    }
}

/// Annotates all running pods whose mounted Secrets have changed, so that the kubelet refreshes their volumes now. Returns
/// whether there was one.
async fn sync_volumes(
    writer: Writer<'_>,
    mounted: &MountedSecrets,
    pods: &[PodFacts],
) -> Result<bool, ApplyError> {
    let Some(versions) = mounted.versions() else {
        return Ok(false);
    };
    let outdated = mounted.outdated(pods);
    // All at once: the change has to be in effect in all of them soon.
    let results = join_all(outdated.iter().map(|pod| writer.sync_volumes(pod, &versions))).await;
    results.into_iter().collect::<Result<(), _>>()?;
    Ok(!outdated.is_empty())
}

/// Deletes what Prometheus finds the metrics by, the last trace of it last.
async fn delete_unread(writer: Writer<'_>, monitoring: &Monitoring<'_>) -> Result<(), ApplyError> {
    if let Some(monitor) = monitoring.old_monitor {
        writer.delete(monitor).await?;
    }
    if let Some(service) = monitoring.old_service {
        writer.delete(service).await?;
    }
    Ok(())
}

/// Whether every pod is of the present revision, and none of an earlier one can come.
fn is_settled(pods: &[PodFacts], stateful_set: &StatefulSet) -> bool {
    let replicas = stateful_set.spec.as_ref().and_then(|spec| spec.replicas);
    let rollout = rollout::rollout(Some(stateful_set), pods, replicas.unwrap_or_default());
    rollout == Rollout::Settled && !rollout::earlier_revision_may_return(stateful_set)
}

async fn write_workload(
    writer: Writer<'_>,
    tls_copy: Option<Secret>,
    stateful_set: StatefulSet,
    live: &Live,
) -> Result<StatefulSet, ApplyError> {
    let known = tls_copy
        .as_ref()
        .and_then(|copy| live.tls_copies.get(&CertificateRevision::of_copy(copy)));
    writer.put_some(tls_copy, known.map(AsRef::as_ref)).await?;
    writer.put(&stateful_set, live.stateful_set.as_deref()).await
}
