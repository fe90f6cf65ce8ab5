//! Cases that differ only in their manifests, edits and conditions: `fixtures/scenarios.yaml`.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use local_cluster::{manifests, wait};
use serde::Deserialize;
use serde_json::Value;

use crate::case::Case;
use crate::case::shared_fixtures::with_operators;
use crate::namespace::fixtures::{self, ISSUER, Manifest, POOL};
use crate::namespace::pool::check_condition;
use crate::namespace::{SOON, TestNamespace, equal};

const SCENARIOS: &str = include_str!("../../../fixtures/scenarios.yaml");

/// What the name of the case's namespace replaces.
const NAMESPACE: &str = "NAMESPACE";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    steps: Vec<Step>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Step {
    Issuer,
    /// Applies the Pgpool of the fixtures with these values at these paths; `null` removes what is there.
    Pgpool(BTreeMap<String, Value>),
    Apply(Value),
    Backend,
    /// Deletes the object of that version, kind and name.
    Delete(Value),
    /// Changes the object of that version, kind and name as a merge patch does.
    Patch(Value),
    /// Waits until the Pgpool has this condition: type, status, reason, and parts of the message.
    Condition(String, String, String, Vec<String>),
    CertificatesReady,
    /// Fails when a Certificate of the Pgpool exists.
    NoCertificates,
    Workload,
    NoWorkload,
}

pub(crate) fn cases() -> anyhow::Result<Vec<Case>> {
    // YAML writes enums as tags; JSON writes them as maps.
    let value: Value = serde_yaml::from_str(SCENARIOS)?;
    let scenarios: Vec<Scenario> =
        serde_json::from_value(value).context("reading fixtures/scenarios.yaml")?;
    let cases = scenarios.into_iter().map(|scenario| {
        let steps: Arc<[Step]> = scenario.steps.into();
        Case::api(scenario.name, move |context| {
            let steps = Arc::clone(&steps);
            with_operators(context, move |ns| play(ns, steps))
        })
    });
    Ok(cases.collect())
}

async fn play(ns: TestNamespace, steps: Arc<[Step]>) -> anyhow::Result<()> {
    for (number, step) in (1..).zip(steps.iter()) {
        let played = take(&ns, step).await;
        played.with_context(|| format!("step {number}"))?;
    }
    Ok(())
}

async fn take(ns: &TestNamespace, step: &Step) -> anyhow::Result<()> {
    match step {
        Step::Issuer => ns.apply(ISSUER).await,
        Step::Pgpool(changes) => {
            let pool = fixtures::pgpool(ns.name())?;
            let set = |pool: Manifest, (path, value): (&String, &Value)| pool.set(path, value);
            let Manifest(pool) = changes.iter().fold(pool, set);
            ns.put(&here(ns, &pool)?).await.map(drop)
        }
        Step::Apply(object) => ns.put(&here(ns, object)?).await.map(drop),
        Step::Backend => ns.backend().await,
        Step::Delete(object) => {
            let object = here(ns, object)?.object()?;
            let api = manifests::api(ns.client(), ns.name(), &object).await?;
            api.delete(&object.name_any(), &DeleteParams::default()).await?;
            Ok(())
        }
        Step::Patch(object) => {
            let Manifest(patch) = here(ns, object)?;
            let object = Manifest(patch.clone()).object()?;
            let api = manifests::api(ns.client(), ns.name(), &object).await?;
            let name = object.name_any();
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
            Ok(())
        }
        Step::Condition(type_, status, reason, words) => {
            let words = words.iter().map(|word| word.replace(NAMESPACE, ns.name()));
            let words: Vec<_> = words.collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            wait::until(&format!("{type_} is {status} with {reason}"), SOON, async || {
                let pgpool = ns.pgpool(POOL).await?;
                check_condition(&pgpool, [type_, status, reason], &words)
            })
            .await
        }
        Step::CertificatesReady => ns.certificates_ready(POOL).await,
        Step::NoCertificates => {
            let labels = format!("app.kubernetes.io/instance={POOL}");
            let labels = ListParams::default().labels(&labels);
            let found = ns.certificates().list(&labels).await?.items;
            equal("Certificates", &found.len(), &0)
        }
        Step::Workload => ns.workload(POOL).await.map(drop),
        Step::NoWorkload => ns.no_workload(POOL).await,
    }
}

fn here(ns: &TestNamespace, object: &Value) -> anyhow::Result<Manifest> {
    let text = object.to_string().replace(NAMESPACE, ns.name());
    Ok(Manifest(serde_json::from_str(&text)?))
}
