//! The charts, with the default values and with each set of values in the `ci` folder of a chart: Helm finds no fault, and
//! the API server accepts every object.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use local_cluster::{command, manifests};

use crate::case::{Case, Context, Place};

const CHARTS: [&str; 3] = ["crds", "ops-manager", "provisioner"];
/// Group of the kinds that the control plane does not have: those of the Prometheus operator.
const NOT_SERVED: &str = "monitoring.coreos.com/";

/// What is set, and a part of the error.
const REJECTED: &[(&str, &str)] = &[
    (
        "metrics.serviceMonitor.enabled=true",
        "set metrics.expose to true",
    ),
    (
        "metrics.prometheusRule.enabled=true",
        "set metrics.expose to true",
    ),
    ("podLabels.app\\.kubernetes\\.io/name=other", "remove it"),
    (
        "serviceAccount.create=false",
        "set serviceAccount.name to the ServiceAccount",
    ),
    (
        "serviceAccount.create=false,serviceAccount.name=default",
        "choose a ServiceAccount that only the operator uses",
    ),
    ("lease.renew=15s", "must be shorter than lease.duration"),
    (
        "channel.renewBefore=2160h",
        "must be shorter than channel.duration",
    ),
];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "charts::every_set_of_values_renders_valid_objects",
            every_set_of_values_renders_valid_objects,
        ),
        Case::api(
            "charts::values_that_contradict_each_other_are_rejected",
            values_that_contradict_each_other_are_rejected,
        ),
    ]
}

async fn values_that_contradict_each_other_are_rejected(context: Context) -> anyhow::Result<()> {
    let helm = helm(&context)?;
    for name in ["ops-manager", "provisioner"] {
        let chart = context.workspace.root.join("charts").join(name);
        for (set, expected) in REJECTED {
            let Err(error) = run(&helm, &["template", "demo", "--set", set], &chart, None) else {
                bail!("{name} accepts {set}");
            };
            ensure!(
                format!("{error:#}").contains(expected),
                "{name}, {set}: {error:#}"
            );
        }
    }
    Ok(())
}

async fn every_set_of_values_renders_valid_objects(context: Context) -> anyhow::Result<()> {
    let helm = helm(&context)?;
    for name in CHARTS {
        let chart = context.workspace.root.join("charts").join(name);
        run(&helm, &["lint", "--strict"], &chart, None)?;
        render(&context, &helm, &chart, None).await?;
        for values in sets_of_values(&chart)? {
            run(&helm, &["lint", "--strict"], &chart, Some(&values))?;
            render(&context, &helm, &chart, Some(&values))
                .await
                .with_context(|| values.display().to_string())?;
        }
    }
    Ok(())
}

fn helm(context: &Context) -> anyhow::Result<PathBuf> {
    match &context.place {
        Place::Api(_, programs) => Ok(programs.path("helm")?.to_owned()),
        Place::Cluster(_) => bail!("this case needs the control plane alone"),
    }
}

fn sets_of_values(chart: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = chart.join("ci");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}

async fn render(context: &Context, helm: &Path, chart: &Path, values: Option<&Path>) -> anyhow::Result<()> {
    let arguments = ["template", "demo", "--namespace", &context.namespace];
    for object in manifests::parse(&run(helm, &arguments, chart, values)?)? {
        let types = object.types.as_ref().context("an object without a kind")?;
        if !types.api_version.starts_with(NOT_SERVED) {
            dry_run(&context.client, &context.namespace, &object).await?;
        }
    }
    Ok(())
}

fn run(helm: &Path, arguments: &[&str], chart: &Path, values: Option<&Path>) -> anyhow::Result<String> {
    let mut command = Command::new(helm);
    command.args(arguments).arg(chart);
    if let Some(values) = values {
        command.arg("--values").arg(values);
    }
    command::output(&mut command)
}

/// Fails on an unknown field too.
async fn dry_run(client: &Client, namespace: &str, object: &DynamicObject) -> anyhow::Result<()> {
    let api = manifests::api(client, namespace, object).await?;
    let parameters = PatchParams::apply("charts").force().dry_run().validation_strict();
    let name = object.name_any();
    api.patch(&name, &parameters, &Patch::Apply(object))
        .await
        .with_context(|| format!("the API server rejects {name}"))?;
    Ok(())
}
