//! The controller `certificates`: gives each Pgpool its certificates, judges them, and says how they stand.

pub(crate) mod apply;
pub(crate) mod breaker;
pub(crate) mod caches;
pub(crate) mod desired;
pub(crate) mod error;
pub(crate) mod interest;
pub(crate) mod judge;
pub(crate) mod observe;
pub(crate) mod reissue;
pub(crate) mod status;
pub(crate) mod succession;
pub(crate) mod triggers;
pub(crate) mod validate;
pub(crate) mod written;

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use operator_runtime::events::{Events, is_transition};
use operator_runtime::{Applier, Outcome, clock};
use shared_types::conditions::{self, Reason};
use shared_types::{Pgpool, names};
use tracing::info;

use crate::verdicts::VerdictStore;
use breaker::Limits;
use caches::Caches;
use error::Error;
use judge::Judged;
use observe::Observed;
use reissue::Reissue;
use status::Report;
use succession::Replaced;
use validate::Plan;
use written::Written;

/// What a reconcile works with.
pub(crate) struct Context {
    /// What is cached.
    pub(crate) caches: Caches,
    /// What writes.
    pub(crate) writer: Writer,
    /// Where verdicts are put up.
    pub(crate) verdicts: Arc<VerdictStore>,
    /// What was set for all Pgpools.
    pub(crate) settings: Settings,
}

/// What is set for all Pgpools.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The DNS domain of the cluster.
    pub(crate) cluster_domain: String,
    /// How often a certificate may change.
    pub(crate) limits: Limits,
}

/// The ways to the API server.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    applier: Applier,
    events: Events,
    written: Arc<Written>,
}

impl Writer {
    /// Makes the ways of one client.
    pub(crate) fn new(client: &Client, events: Events) -> Self {
        Self {
            client: client.clone(),
            applier: Applier::new(client.clone(), names::OPS_MANAGER),
            events,
            written: Arc::default(),
        }
    }
}

impl Context {
    /// Forgets a Pgpool that is gone.
    pub(crate) fn forget(&self, pgpool: &ObjectRef<Pgpool>) {
        let namespace = pgpool.namespace.as_deref().unwrap_or_default();
        observe::forget(&self.caches, pgpool);
        self.verdicts.remove(namespace, &pgpool.name);
        self.writer.written.forget(namespace, &pgpool.name);
    }

    /// Forgets a Pgpool if there is none of that name.
    pub(crate) fn forget_if_gone(&self, pgpool: &ObjectRef<Pgpool>) {
        if self
            .caches
            .pgpools
            .get(pgpool.namespace.as_deref(), &pgpool.name)
            .is_none()
        {
            self.forget(pgpool);
        }
    }
}

/// Looks after the certificates of one Pgpool.
pub(crate) async fn reconcile(pgpool: Arc<Pgpool>, context: Arc<Context>) -> Result<Outcome, Error> {
    let key = ObjectRef::from_obj(pgpool.as_ref());
    if pgpool.metadata.deletion_timestamp.is_some() {
        // Its children go by their owner references.
        context.forget(&key);
        return Ok(Outcome::Converged);
    }
    let Context {
        caches,
        writer,
        verdicts,
        settings,
    } = context.as_ref();
    observe::follow(caches, &pgpool);
    let observed = observe::observe(caches, &pgpool); // caches
    let outcome = settle(&pgpool, observed, writer, verdicts, settings, clock::now()).await;
    // It may have gone meanwhile, and then was forgotten too early.
    context.forget_if_gone(&key);
    outcome
}

/// Does what a reconcile does, from what was observed. The verdict is on the verdicts before anything waits for the API
/// server about it.
pub(crate) async fn settle(
    pgpool: &Pgpool,
    mut observed: Observed,
    writer: &Writer,
    verdicts: &VerdictStore,
    settings: &Settings,
    now: Timestamp,
) -> Result<Outcome, Error> {
    writer.written.complete(pgpool, &mut observed);
    let mut plan = validate::validate(pgpool, &observed, &settings.cluster_domain); // pure
    let judged = judge::judge_plan(&plan, &observed, now); // pure
    let replaced = arranged(pgpool, &mut plan, &observed, &judged, now); // pure
    let current = writer.written.current_status(pgpool);
    let circuits = breaker::count(pgpool, &current, &observed, &judged, &settings.limits, now); // pure
    let mut desired = desired::desired(pgpool, &plan, &observed); // pure
    circuits.hold_back(pgpool, &observed, &mut desired);
    let known = writer.written.hold_back(pgpool, &mut desired);
    let mut applied = apply::apply(&writer.applier, desired, &observed).await; // client
    applied.problems.extend(known);
    applied.problems.extend(circuits.problems(pgpool, &observed));
    let closed = replaced.into_iter().filter(|it| !circuits.is_open(it.alias));
    let renewed = renew(pgpool, closed, writer, now).await; // client
    let report = report(pgpool, &plan, &observed, &judged, &applied, now); // pure
    let report = report.map(|report| report.counting(circuits));
    remember(pgpool, &mut applied, &writer.written);
    match &report {
        // What was said before stands until more is known.
        Some(report) if report.unknown => {}
        Some(report) => verdicts.publish(report.verdict.clone()),
        None => verdicts.remove(&pgpool.namespace().unwrap_or_default(), &pgpool.name_any()),
    }
    let told = tell(pgpool, report.as_ref(), writer, now); // client
    let (told, adopted) = futures::join!(told, adopt(pgpool, &plan, &observed, writer));
    applied
        .failure
        .map_or(Ok(()), |failure| Err(Error::Apply(failure)))?;
    renewed?;
    told?;
    adopted?;
    Ok(status::outcome(report.as_ref(), now))
}

fn remember(pgpool: &Pgpool, applied: &mut apply::Applied, written: &Written) {
    for certificate in applied.created.drain(..) {
        written.certificate(pgpool, certificate);
    }
    for (alias, problem) in &applied.problems {
        if problem.reason == Reason::NameConflict {
            written.conflict(pgpool, *alias, problem.clone());
        }
    }
}

fn report(
    pgpool: &Pgpool,
    plan: &Plan,
    observed: &Observed,
    judged: &[Judged],
    applied: &apply::Applied,
    now: Timestamp,
) -> Option<Report> {
    let Plan::Needed(needed) = plan else {
        return None;
    };
    Some(status::report(pgpool, needed, observed, judged, applied, now))
}

fn arranged(
    pgpool: &Pgpool,
    plan: &mut Plan,
    observed: &Observed,
    judged: &[Judged],
    now: Timestamp,
) -> Vec<Replaced> {
    match plan {
        Plan::Needed(needed) => succession::arrange(pgpool, needed, observed, judged, now),
        Plan::NotNeeded => Vec::new(),
    }
}

/// Has certificates of a CA that is gone issued anew, each once.
async fn renew(
    pgpool: &Pgpool,
    replaced: impl IntoIterator<Item = Replaced>,
    writer: &Writer,
    now: Timestamp,
) -> Result<(), Error> {
    let due = replaced
        .into_iter()
        .filter(|it| !writer.written.was_renewed(pgpool, it.alias, it.leaf));
    let asked = due.map(|it| async move {
        match reissue::reissue(&writer.client, &it.certificate, &it.why, now).await {
            Ok(Reissue::Asked(_)) => writer.written.renewed(pgpool, it.alias, it.leaf),
            Ok(Reissue::Already | Reissue::Stale) => {}
            Err(error) => return Err(Error::Reissue(error)),
        }
        Ok(())
    });
    join_all(asked).await.into_iter().collect()
}

async fn adopt(pgpool: &Pgpool, plan: &Plan, observed: &Observed, writer: &Writer) -> Result<(), Error> {
    let Plan::Needed(needed) = plan else {
        return Ok(());
    };
    let mut orphans = apply::orphans(pgpool, needed, observed);
    orphans.retain(|orphan| !writer.written.is_adopted(pgpool, &orphan.secret));
    let (adopted, result) = apply::adopt(&writer.client, orphans).await;
    for secret in adopted {
        writer.written.adopted(pgpool, &secret);
    }
    result.map_err(Error::Adopt)
}

/// Writes the status when it differs, and an event when the condition turned.
async fn tell(
    pgpool: &Pgpool,
    report: Option<&Report>,
    writer: &Writer,
    now: Timestamp,
) -> Result<(), Error> {
    let current = writer.written.current_status(pgpool);
    let own = status::own_status(report, &current, now);
    let client = &writer.client;
    let written = operator_runtime::status::write_status(client, names::OPS_MANAGER, pgpool, &own, &current);
    if !written.await.map_err(Error::Status)? {
        return Ok(());
    }
    writer.written.status(pgpool, own.clone());
    let Some(condition) = own.condition() else {
        return Ok(());
    };
    if is_transition(current.condition(), condition) {
        let (namespace, name) = (pgpool.namespace().unwrap_or_default(), pgpool.name_any());
        info!(%namespace, %name, ready = %condition.status, reason = %condition.reason, "certificates: {}", condition.message);
        announce(pgpool, current.condition(), condition, &writer.events).await;
    }
    Ok(())
}

/// Tells people of a transition: of trouble, of its end, and of good certificates that are given up for new ones.
async fn announce(pgpool: &Pgpool, before: Option<&Condition>, now: &Condition, events: &Events) {
    const ACTION: &str = "Certificates";
    let holds = |condition: &Condition| condition.status == conditions::Status::True.as_str();
    let (reason, note) = (now.reason.as_str(), now.message.as_str());
    let near_the_end = [Reason::RenewalOverdue, Reason::ExpiresSoon]
        .iter()
        .any(|word| word.as_str() == reason);
    let passing = [
        Reason::Issuing,
        Reason::WaitingForProvisioner,
        Reason::WaitingForTrust,
    ];
    let in_progress = passing.iter().any(|word| word.as_str() == reason);
    if near_the_end {
        events.warning(pgpool, ACTION, reason, note).await;
    } else if holds(now) || (in_progress && before.is_some_and(holds)) {
        events.normal(pgpool, ACTION, reason, note).await;
    } else if !in_progress {
        events.warning(pgpool, ACTION, reason, note).await;
    }
}

#[cfg(test)]
mod tests;
