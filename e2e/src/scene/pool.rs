//! Questions about one Pgpool: what its conditions say, and how far it has come.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{self, ConditionType, Reason, Status};
use shared_types::{Pgpool, Phase};

use super::{SOON, Scene};

/// A condition as it should be: its type, status and reason, and what its message contains, such as the object and how
/// to fix it.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a>(pub ConditionType, pub Status, pub Reason, pub &'a [&'a str]);

impl Expected<'_> {
    /// The condition, or what it is instead.
    pub fn check(&self, pgpool: &Pgpool) -> anyhow::Result<Condition> {
        let Self(type_, status, reason, words) = *self;
        let all = told_of(pgpool);
        let condition = conditions::find(conditions_of(pgpool), type_);
        let condition = condition.with_context(|| format!("it has no condition {type_}: {all}"))?;
        let as_wanted = condition.status == status.as_str() && condition.reason == reason.as_str();
        ensure!(as_wanted, "not {type_} {status} {reason}: {all}");
        let missing = words.iter().find(|word| !condition.message.contains(**word));
        ensure!(
            missing.is_none(),
            "{type_} does not contain {missing:?}: {}",
            condition.message
        );
        let (observed, now) = (condition.observed_generation, pgpool.metadata.generation);
        ensure!(observed == now, "{type_} is about generation {observed:?}");
        Ok(condition.clone())
    }
}

impl Scene {
    /// The Pgpool as it is now.
    pub async fn pgpool(&self, name: &str) -> anyhow::Result<Pgpool> {
        self.api::<Pgpool>()
            .get(name)
            .await
            .with_context(|| format!("reading Pgpool {name}"))
    }

    /// Waits until a condition of the Pgpool is as expected, for its current generation.
    pub async fn says(&self, name: &str, expected: Expected<'_>) -> anyhow::Result<()> {
        self.says_within(name, expected, SOON).await
    }

    /// The same for what takes longer.
    pub async fn says_within(
        &self,
        name: &str,
        expected: Expected<'_>,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let Expected(condition, status, reason, _) = expected;
        let what = format!("{condition} of {name} is {status} with {reason}");
        wait::until(&what, limit, async || {
            expected.check(&self.pgpool(name).await?).map(drop)
        })
        .await
    }

    /// Waits until the certificates of the Pgpool are not ready for a reason.
    pub async fn certificates_refused(
        &self,
        name: &str,
        reason: Reason,
        words: &[&str],
    ) -> anyhow::Result<()> {
        let condition = ConditionType::CertificatesReady;
        self.says(name, Expected(condition, Status::False, reason, words))
            .await
    }

    /// Waits until the certificates of the Pgpool are all issued and valid.
    pub async fn certificates_ready(&self, name: &str) -> anyhow::Result<()> {
        let (condition, reason) = (ConditionType::CertificatesReady, Reason::CertificatesIssued);
        self.says(name, Expected(condition, Status::True, reason, &[]))
            .await
    }

    /// Waits until the provisioner waits for something that may still come.
    pub async fn waiting(&self, name: &str, reason: Reason, words: &[&str]) -> anyhow::Result<()> {
        let condition = ConditionType::Reconciling;
        self.says(name, Expected(condition, Status::True, reason, words))
            .await
    }

    /// Waits until the provisioner cannot continue before someone changes something.
    pub async fn stalled(&self, name: &str, reason: Reason, words: &[&str]) -> anyhow::Result<()> {
        let condition = ConditionType::Stalled;
        self.says(name, Expected(condition, Status::True, reason, words))
            .await
    }

    /// Waits until the workload of the Pgpool is there: the end of the ten steps.
    pub async fn workload(&self, name: &str) -> anyhow::Result<StatefulSet> {
        wait::until(&format!("{name} has a workload"), SOON, async || {
            match self.api::<StatefulSet>().get_opt(name).await? {
                Some(found) => Ok(found),
                None => bail!("none yet; {}", self.told(name).await?),
            }
        })
        .await
    }

    /// Fails when the Pgpool has a workload.
    pub async fn no_workload(&self, name: &str) -> anyhow::Result<()> {
        let found = self.api::<StatefulSet>().get_opt(name).await?;
        ensure!(found.is_none(), "{name} has a workload before its time");
        Ok(())
    }

    /// Waits until the Pgpool is ready, and returns it as it then is.
    pub async fn ready(&self, name: &str, limit: Duration) -> anyhow::Result<Pgpool> {
        wait::until(&format!("Pgpool {name} is ready"), limit, async || {
            let pgpool = self.pgpool(name).await?;
            ensure!(is_ready(&pgpool), "{}", told_of(&pgpool));
            Ok(pgpool)
        })
        .await
    }

    /// Changes the Pgpool as a user does who edits it.
    pub async fn edit(&self, name: &str, change: serde_json::Value) -> anyhow::Result<()> {
        let patch = kube::api::Patch::Merge(json!({ "spec": change }));
        let api = self.api::<Pgpool>();
        api.patch(name, &kube::api::PatchParams::default(), &patch)
            .await
            .with_context(|| format!("editing Pgpool {name}"))?;
        Ok(())
    }

    /// All that the conditions of the Pgpool say, for people.
    pub async fn told(&self, name: &str) -> anyhow::Result<String> {
        Ok(told_of(&self.pgpool(name).await?))
    }
}

/// All that the conditions of a Pgpool say, for people.
#[must_use]
pub fn told_of(pgpool: &Pgpool) -> String {
    lines(conditions_of(pgpool))
}

/// The pool serves as its present spec asks, with all pods: what `kubectl wait --for=condition=Ready` waits for, which
/// minds the generation that a condition is about.
#[must_use]
pub fn is_ready(pgpool: &Pgpool) -> bool {
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

/// The name of the immutable Secret whose certificate the pods of a workload use.
pub fn certificate_copy(workload: &StatefulSet) -> anyhow::Result<String> {
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

/// A condition in one line, for people.
pub fn line(condition: &Condition) -> String {
    let Condition {
        type_,
        status,
        reason,
        message,
        ..
    } = condition;
    format!("{type_}={status} {reason} ({message})")
}

/// Conditions in one line, for people.
pub fn lines(conditions: &[Condition]) -> String {
    match conditions {
        [] => "no conditions".to_owned(),
        conditions => conditions.iter().map(line).collect::<Vec<_>>().join("; "),
    }
}
