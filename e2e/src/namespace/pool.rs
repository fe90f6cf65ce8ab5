//! Questions about one Pgpool: its conditions, and what has been created for it.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{self, ConditionType, Reason, Status};
use shared_types::{Alias, Pgpool, Phase};

use super::fixtures::Manifest;
use super::{SOON, TestNamespace};

/// A condition as it should be: its type, status and reason, and what its message contains, such as the object and how
/// to fix it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a>(
    pub(crate) ConditionType,
    pub Status,
    pub Reason,
    pub &'a [&'a str],
);

impl Expected<'_> {
    /// Fails unless the condition is so, with all conditions.
    pub(crate) fn check(&self, pgpool: &Pgpool) -> anyhow::Result<()> {
        let Self(type_, status, reason, words) = *self;
        check_condition(pgpool, [type_.as_str(), status.as_str(), reason.as_str()], words)
    }
}

/// Fails unless the Pgpool has a condition of a type, status and reason, with all words in its message, for its current
/// generation.
pub(crate) fn check_condition(pgpool: &Pgpool, wanted: [&str; 3], words: &[&str]) -> anyhow::Result<()> {
    let [type_, status, reason] = wanted;
    let all = describe(pgpool);
    let condition = conditions_of(pgpool)
        .iter()
        .find(|condition| condition.type_ == type_);
    let condition = condition.with_context(|| format!("it has no condition {type_}: {all}"))?;
    let as_wanted = condition.status == status && condition.reason == reason;
    ensure!(as_wanted, "not {type_} {status} {reason}: {all}");
    let missing = words.iter().find(|word| !condition.message.contains(**word));
    ensure!(missing.is_none(), "{type_} does not contain {missing:?}: {all}");
    let (observed, now) = (condition.observed_generation, pgpool.metadata.generation);
    ensure!(observed == now, "{type_} is about generation {observed:?}");
    Ok(())
}

impl TestNamespace {
    pub(crate) async fn pgpool(&self, name: &str) -> anyhow::Result<Pgpool> {
        self.api::<Pgpool>()
            .get(name)
            .await
            .with_context(|| format!("reading Pgpool {name}"))
    }

    /// Waits until a condition of the Pgpool is as expected, for its current generation.
    pub(crate) async fn has_condition(&self, name: &str, expected: Expected<'_>) -> anyhow::Result<()> {
        self.has_condition_within(name, expected, SOON).await
    }

    pub(crate) async fn has_condition_within(
        &self,
        name: &str,
        expected: Expected<'_>,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let Expected(condition, status, reason, _) = expected;
        let what = format!("{condition} of {name} is {status} with {reason}");
        wait::until(&what, limit, async || expected.check(&self.pgpool(name).await?)).await
    }

    /// Waits until the certificates of the Pgpool are not ready for a reason.
    pub(crate) async fn certificates_not_ready(
        &self,
        name: &str,
        reason: Reason,
        words: &[&str],
    ) -> anyhow::Result<()> {
        let condition = ConditionType::CertificatesReady;
        self.has_condition(name, Expected(condition, Status::False, reason, words))
            .await
    }

    /// Waits until the certificates of the Pgpool are all issued and valid.
    pub(crate) async fn certificates_ready(&self, name: &str) -> anyhow::Result<()> {
        let (condition, reason) = (ConditionType::CertificatesReady, Reason::CertificatesIssued);
        self.has_condition(name, Expected(condition, Status::True, reason, &[]))
            .await
    }

    /// Waits until the provisioner waits for something that may still come.
    pub(crate) async fn waiting(&self, name: &str, reason: Reason, words: &[&str]) -> anyhow::Result<()> {
        let condition = ConditionType::Reconciling;
        self.has_condition(name, Expected(condition, Status::True, reason, words))
            .await
    }

    /// Waits until the provisioner is stalled: it cannot continue until someone changes something.
    pub(crate) async fn stalled(&self, name: &str, reason: Reason, words: &[&str]) -> anyhow::Result<()> {
        let condition = ConditionType::Stalled;
        self.has_condition(name, Expected(condition, Status::True, reason, words))
            .await
    }

    /// Waits until the workload of the Pgpool is there: the end of the ten steps.
    pub(crate) async fn workload(&self, name: &str) -> anyhow::Result<StatefulSet> {
        wait::until(&format!("{name} has a workload"), SOON, async || {
            match self.api::<StatefulSet>().get_opt(name).await? {
                Some(found) => Ok(found),
                None => bail!("none yet; {}", self.conditions(name).await?),
            }
        })
        .await
    }

    pub(crate) async fn no_workload(&self, name: &str) -> anyhow::Result<()> {
        let found = self.api::<StatefulSet>().get_opt(name).await?;
        ensure!(found.is_none(), "{name} has a workload before its time");
        Ok(())
    }

    /// Applies the manifest of a Pgpool, and waits until it is ready.
    pub(crate) async fn apply_and_wait(&self, pool: &Manifest, limit: Duration) -> anyhow::Result<Pgpool> {
        let name = self.put(pool).await?.name_any();
        self.ready(&name, limit).await
    }

    /// Waits until the Pgpool is ready, and returns it as it then is.
    pub(crate) async fn ready(&self, name: &str, limit: Duration) -> anyhow::Result<Pgpool> {
        wait::until(&format!("Pgpool {name} is ready"), limit, async || {
            let pgpool = self.pgpool(name).await?;
            ensure!(is_ready(&pgpool), "{}", describe(&pgpool));
            Ok(pgpool)
        })
        .await
    }

    /// Changes the Pgpool as a user does who edits it.
    pub(crate) async fn edit(&self, name: &str, change: serde_json::Value) -> anyhow::Result<()> {
        let patch = kube::api::Patch::Merge(json!({ "spec": change }));
        let api = self.api::<Pgpool>();
        api.patch(name, &kube::api::PatchParams::default(), &patch)
            .await
            .with_context(|| format!("editing Pgpool {name}"))?;
        Ok(())
    }

    /// All conditions of the Pgpool, for people.
    pub(crate) async fn conditions(&self, name: &str) -> anyhow::Result<String> {
        Ok(describe(&self.pgpool(name).await?))
    }
}

/// All conditions of a Pgpool, for people.
pub(crate) fn describe(pgpool: &Pgpool) -> String {
    lines(conditions_of(pgpool))
}

/// The pool serves as its current spec requests, with all pods: what `kubectl wait --for=condition=Ready` waits for, which
/// minds the generation that a condition is about.
pub(crate) fn is_ready(pgpool: &Pgpool) -> bool {
    let Some(status) = &pgpool.status else {
        return false;
    };
    let ready = conditions::find(&status.conditions, ConditionType::Ready);
    status.phase == Some(Phase::Ready)
        && status.observed_generation == pgpool.metadata.generation
        && ready.is_some_and(|ready| {
            ready.status == Status::True.as_str() && ready.observed_generation == pgpool.metadata.generation
        })
}

/// The fingerprint of the server certificate in its Secret, by the status of a Pgpool.
pub(crate) fn issued(pgpool: &Pgpool) -> anyhow::Result<String> {
    let mut certificates = pgpool.status.iter().flat_map(|status| &status.certificates);
    let server = certificates.find(|certificate| certificate.alias == Alias::Server);
    let fingerprint = server.and_then(|server| server.fingerprint.clone());
    fingerprint.context("no server certificate")
}

/// The fingerprint that each pod was last seen to serve, in the order of the pods.
pub(crate) fn served(pgpool: &Pgpool) -> Vec<Option<String>> {
    let mut pods: Vec<_> = pgpool.status.iter().flat_map(|status| &status.pods).collect();
    pods.sort_by_key(|pod| &pod.name);
    pods.iter().map(|pod| pod.served_fingerprint.clone()).collect()
}

/// The name of the immutable Secret whose certificate the pods of a workload use.
pub(crate) fn certificate_copy(workload: &StatefulSet) -> anyhow::Result<String> {
    let template = workload
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let volumes = template.iter().flat_map(|pod| pod.volumes.iter().flatten());
    let secrets = volumes
        .filter(|volume| volume.name == "certs")
        .filter_map(|volume| volume.secret.as_ref());
    let mut names = secrets.filter_map(|secret| secret.secret_name.clone());
    names
        .next()
        .with_context(|| format!("the pods of {} mount no certificate", workload.name_any()))
}

fn conditions_of(pgpool: &Pgpool) -> &[Condition] {
    pgpool.status.as_ref().map_or(&[], |status| &status.conditions)
}

pub(crate) fn line(condition: &Condition) -> String {
    let Condition {
        type_,
        status,
        reason,
        message,
        ..
    } = condition;
    format!("{type_}={status} {reason} ({message})")
}

pub(crate) fn lines(conditions: &[Condition]) -> String {
    match conditions {
        [] => "no conditions".to_owned(),
        conditions => conditions.iter().map(line).collect::<Vec<_>>().join("; "),
    }
}
