//! Writes the plan. The only step that changes owned objects; it decides nothing but the order.
//!
//! The foundation first and all at once, since its parts do not need each other: Secrets, Services, account, budget and
//! `AppBinding`. ops-manager and cert-manager go on from there. Then, when the plan has a workload, the copy of the
//! certificates and at last the `StatefulSet`: a pod that mounts a Secret which appears later waits for the
//! kubelet's next try. The Job of the user's scripts comes last: it needs all of these. Running pods are told of what has
//! changed under them before the workload is looked at: that must not wait for anything.

mod candidates;
mod writer;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use operator_runtime::apply::ApplyError;

use super::build::Foundation;
use super::delivery::Delivered;
use super::monitoring::Scrape;
use super::observe::pods::PodFacts;
use super::observe::{Live, Observed};
use super::plan::{Configuration, InitStand, Initiate, Plan, Stand, Workload};
use super::rollout::{self, Rollout, Step, Stride};
use super::validate::Unmet;

pub(crate) use writer::Writer;

/// What has come of a plan.
pub(crate) enum Progress {
    /// There was none: something is in the way.
    Stopped(Unmet),
    /// An object of a needed name belongs to somebody else.
    Refused {
        /// The object and the cure.
        message: String,
    },
    /// The API server did not take an object.
    Failed(ApplyError),
    /// Everything that may be written stands.
    Written(Stand),
}

/// What has come of a plan, and the workload as it stands now.
pub(crate) struct Done {
    /// What has come of it.
    pub(crate) progress: Progress,
    /// The workload: the one just written, else that of the cache.
    pub(crate) stateful_set: Option<StatefulSet>,
    /// How far its pods may go now; `None` where nothing was written.
    pub(crate) step: Option<Step>,
    /// Why Prometheus could not be told. Apart from the progress: a pool serves without.
    pub(crate) untold: Option<ApplyError>,
    /// Whether a pod was told just now of what has changed under it.
    pub(crate) told: bool,
    /// Whether a pod turned out just now to be one that has to be replaced.
    pub(crate) unresizable: bool,
    /// How the user's scripts stand.
    pub(crate) init: InitStand,
    /// Why the Job that runs them was not taken.
    pub(crate) init_failure: Option<ApplyError>,
}

impl Done {
    /// Where something stopped it.
    fn none(progress: Progress, live: &Live) -> Self {
        Self {
            progress,
            stateful_set: live.stateful_set.as_deref().cloned(),
            step: None,
            untold: None,
            told: false,
            unresizable: false,
            init: InitStand::Unknown,
            init_failure: None,
        }
    }
}

/// What a plan has become where nothing stopped it.
struct Stands {
    handoff: Stand,
    stateful_set: Option<StatefulSet>,
    told: bool,
    unresizable: bool,
    init: InitStand,
    init_failure: Option<ApplyError>,
}

/// Brings the owned objects to what the plan says.
pub(crate) async fn apply(writer: Writer<'_>, plan: Result<Plan, Unmet>, observed: &Observed) -> Done {
    let live = &observed.live;
    let plan = match plan {
        Ok(plan) => plan,
        Err(unmet) => {
            return Done::none(Progress::Stopped(unmet), live);
        }
    };
    let service_monitor = plan.scrape.service_monitor.clone();
    let step = plan.step.clone();
    let progress = match Box::pin(write(writer, plan, observed)).await {
        Ok(stands) => {
            let told = writer.put_some(service_monitor, live.service_monitor.as_deref());
            return Done {
                progress: Progress::Written(stands.handoff),
                stateful_set: stands
                    .stateful_set
                    .or_else(|| live.stateful_set.as_deref().cloned()),
                step,
                untold: told.await.err(),
                told: stands.told,
                unresizable: stands.unresizable,
                init: stands.init,
                init_failure: stands.init_failure,
            };
        }
        Err(conflict @ ApplyError::NameConflict { .. }) => Progress::Refused {
            message: conflict.to_string(),
        },
        Err(error) => Progress::Failed(error),
    };
    Done::none(progress, live)
}

async fn write(writer: Writer<'_>, plan: Plan, observed: &Observed) -> Result<Stands, ApplyError> {
    let Plan {
        foundation,
        configuration,
        candidate,
        kept_candidate,
        workload,
        step,
        handoff,
        init,
        scrape,
        look_again: _,
        asks: _,
        remark: _,
    } = plan;
    let live = &observed.live;
    let old_login = scrape.old_login.clone();
    remove_unread(writer, scrape).await?;
    let (delivered, written) = Box::pin(write_foundation(writer, foundation, configuration, live)).await;
    let told = tell(writer, &delivered, &observed.pods).await;
    written?;
    let asked = Box::pin(candidates::ask(writer, candidate, live)).await;
    Box::pin(candidates::retire(writer, kept_candidate.as_deref(), live)).await?;
    asked?;
    let (mut stateful_set, mut unresizable) = (None, false);
    if let Some(workload) = workload {
        let written = Box::pin(write_workload(writer, workload, live)).await?;
        if let Some(Step {
            stride: Stride::Resizes { pod, uid, resize },
            ..
        }) = &step
        {
            unresizable = writer.resize((pod, uid), resize).await?;
        }
        for copy in rollout::obsolete(observed, &written) {
            writer.delete(copy).await?;
        }
        if let Some(login) = old_login.filter(|_| is_settled(&observed.pods, &written)) {
            writer.delete(login.as_ref()).await?;
        }
        stateful_set = Some(written);
    }
    let started = match init {
        Initiate::Nothing(stand) => Ok(stand),
        Initiate::Create(job) => Box::pin(writer.start(&job)).await,
    };
    // The pool is none the worse for scripts that cannot be run.
    let (init, init_failure) = match started {
        Ok(stand) => (stand, None),
        Err(error) => (InitStand::Unknown, Some(error)),
    };
    Ok(Stands {
        handoff,
        stateful_set,
        told: told?,
        unresizable,
        init,
        init_failure,
    })
}

/// Tells the pods all at once: what they are told of has to be in force in all of them soon. Returns whether one had to
/// be told.
async fn tell(writer: Writer<'_>, delivered: &Delivered, pods: &[PodFacts]) -> Result<bool, ApplyError> {
    let Some(note) = delivered.note() else {
        return Ok(false);
    };
    let untold = delivered.untold(pods);
    let results = join_all(untold.iter().map(|pod| writer.tell(pod, &note))).await;
    let told = !untold.is_empty();
    results.into_iter().collect::<Result<(), _>>().map(|()| told)
}

/// Removes what Prometheus goes by, the last trace of it last.
async fn remove_unread(writer: Writer<'_>, scrape: Scrape) -> Result<(), ApplyError> {
    if let Some(monitor) = scrape.old_monitor {
        writer.delete(monitor.as_ref()).await?;
    }
    if let Some(service) = scrape.old_service {
        writer.delete(service.as_ref()).await?;
    }
    Ok(())
}

/// Whether every pod is of the present revision, and none of an earlier one can come.
fn is_settled(pods: &[PodFacts], stateful_set: &StatefulSet) -> bool {
    let replicas = stateful_set.spec.as_ref().and_then(|spec| spec.replicas);
    let rollout = rollout::rollout(Some(stateful_set), pods, replicas.unwrap_or_default());
    rollout == Rollout::Settled && !rollout::earlier_revision_may_return(stateful_set)
}

async fn write_foundation(
    writer: Writer<'_>,
    foundation: Foundation,
    configuration: Configuration,
    live: &Live,
) -> (Delivered, Result<(), ApplyError>) {
    // Without `..`: an object that is built and not written does not compile.
    let Foundation {
        primary_service,
        governing_service,
        stats_service,
        service_account,
        auth_secret,
        config_secret,
        pcp_secret,
        users_secret,
        exporter_secret,
        pod_disruption_budget,
        app_binding,
    } = foundation;
    let written = match configuration {
        Configuration::Write => true,
        Configuration::Keep => live.config_secret.is_none(),
        Configuration::Withhold => false,
    };
    let config_secret = written.then_some(config_secret);
    // All are tried before the first failure counts: one foreign object must not keep the others away.
    let (primary, governing, stats, account, auth, config, pcp, users, exporter, budget, binding) = futures::join!(
        writer.put_some(Some(primary_service), live.primary_service.as_deref()),
        writer.put_some(Some(governing_service), live.governing_service.as_deref()),
        writer.put_some(stats_service, live.stats_service.as_deref()),
        writer.put_some(service_account, live.service_account.as_deref()),
        writer.put_some(auth_secret, live.auth_secret.as_deref()),
        writer.put_some(config_secret, live.config_secret.as_deref()),
        writer.put_some(Some(pcp_secret), live.pcp_secret.as_deref()),
        writer.put_some(Some(users_secret), live.users_secret.as_deref()),
        writer.put_some(exporter_secret, live.exporter_secret.as_deref()),
        writer.put_some(Some(pod_disruption_budget), live.pod_disruption_budget.as_deref()),
        writer.put_some(Some(app_binding), live.app_binding.as_deref()),
    );
    let mut failures = Vec::new();
    let delivered = Delivered {
        config: sorted_out(config, &mut failures).or_else(|| live.config_secret.as_deref().cloned()),
        pcp: sorted_out(pcp, &mut failures),
        users: sorted_out(users, &mut failures),
    };
    sorted_out(primary, &mut failures);
    sorted_out(governing, &mut failures);
    sorted_out(stats, &mut failures);
    sorted_out(exporter, &mut failures);
    sorted_out(account, &mut failures);
    sorted_out(auth, &mut failures);
    sorted_out(budget, &mut failures);
    sorted_out(binding, &mut failures);
    // A conflict is for the user to mend and is told first; the rest is tried again anyway.
    failures.sort_by_key(|failure| !matches!(failure, ApplyError::NameConflict { .. }));
    (delivered, failures.into_iter().next().map_or(Ok(()), Err))
}

/// The object as it stands; a failure goes to the others.
fn sorted_out<K>(result: Result<Option<K>, ApplyError>, failures: &mut Vec<ApplyError>) -> Option<K> {
    result.unwrap_or_else(|failure| {
        failures.push(failure);
        None
    })
}

async fn write_workload(
    writer: Writer<'_>,
    workload: Workload,
    live: &Live,
) -> Result<StatefulSet, ApplyError> {
    let Workload {
        tls_copy,
        stateful_set,
    } = workload;
    let known = tls_copy
        .as_ref()
        .and_then(|copy| live.tls_copies.get(&copy.name_any()));
    writer.put_some(tls_copy, known.map(AsRef::as_ref)).await?;
    writer.put(&stateful_set, live.stateful_set.as_deref()).await
}
