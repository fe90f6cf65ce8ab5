//! Those who wait: Helm, which goes by kstatus as the tools of `GitOps` do, and `kubectl wait`. Both go on when the present
//! spec is in effect and proven, and not before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::{Alias, Pgpool};

use super::flow::prepared;
use crate::cases::{Case, Context};
use crate::command;
use crate::scene::Scene;
use crate::scene::fixtures::{Manifest, POOL};
use crate::scene::pool::is_ready;
use crate::target::Target;

pub fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "waiting::helm_and_kubectl_go_on_in_time",
        |context| Box::pin(waited(context)),
    )]
}

/// The release of the user's own chart.
const RELEASE: &str = "shop";

/// A chart of a user, which holds a Pgpool among other things.
struct Chart {
    folder: PathBuf,
    namespace: String,
    target: Target,
}

impl Chart {
    fn new(context: &Context, scene: &Scene) -> anyhow::Result<Self> {
        let folder = context.stage.results().join(scene.namespace());
        fs::create_dir_all(folder.join("templates"))?;
        let about = json!({"apiVersion": "v2", "name": RELEASE, "version": "0.1.0"});
        fs::write(folder.join("Chart.yaml"), about.to_string())?;
        Ok(Self {
            folder,
            namespace: scene.namespace().to_owned(),
            target: context.target()?.clone(),
        })
    }

    /// Installs or upgrades the release to these objects, and waits for what Helm waits for.
    async fn upgrade(&self, objects: &[&Manifest]) -> anyhow::Result<()> {
        let texts: Vec<_> = objects.iter().map(|object| object.0.to_string()).collect();
        fs::write(self.folder.join("templates/all.yaml"), texts.join("\n---\n"))?;
        let mut helm = self.helm()?;
        helm.args(["upgrade", "--install", RELEASE])
            .arg(&self.folder)
            .args(["--namespace", &self.namespace, "--wait", "--timeout", "180s"])
            .arg("--kubeconfig")
            .arg(self.target.kubeconfig());
        tokio::task::spawn_blocking(move || command::output(&mut helm)).await??;
        Ok(())
    }

    fn helm(&self) -> anyhow::Result<Command> {
        match &self.target {
            Target::Local(cluster) => Ok(self.target.command(cluster.program("helm")?)),
            Target::Existing(_) => Ok(self.target.command(Path::new("helm"))),
        }
    }
}

impl Drop for Chart {
    fn drop(&mut self) {
        // A leftover would be in nobody's way.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn waited(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let chart = Chart::new(&context, &scene)?;
    chart.upgrade(&[&pool]).await.context("installing")?;
    let first = in_effect(&scene, 1).await?;

    // Another name: the certificate is issued anew, and every pod is replaced.
    let named = pool
        .clone()
        .with("/spec/tls/certificates/0/dnsNames", json!(["db.example.com"]));
    chart.upgrade(&[&named]).await.context("asking for a name")?;
    let second = in_effect(&scene, 1).await?;
    ensure!(first != second, "Helm went on with the certificate of before");

    // The same by hand.
    scene.edit(POOL, json!({"replicas": 2})).await?;
    kubectl_waits(&context, &scene).await?;
    in_effect(&scene, 2).await?;

    // Helm does not wait for what needs a person, and what runs keeps running.
    let before = scene.identities(POOL).await?;
    let custom = Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "custom"},
        "stringData": {"pgpool.conf": "ssl = off\n"},
    }));
    let named = named.with("/spec/replicas", json!(2));
    let refused = named
        .clone()
        .with("/spec/configuration/secretName", json!("custom"));
    let Err(refusal) = chart.upgrade(&[&refused, &custom]).await else {
        bail!("Helm went on: {}", scene.told(POOL).await?)
    };
    let refusal = format!("{refusal:#}");
    ensure!(
        !refusal.contains("deadline exceeded"),
        "Helm waited to the end: {refusal}"
    );
    scene
        .stalled(POOL, Reason::ConfigurationInvalid, &["ssl"])
        .await?;
    before.same(&scene.identities(POOL).await?)?;

    chart.upgrade(&[&named]).await.context("taking it back")?;
    in_effect(&scene, 2).await?;
    before.same(&scene.identities(POOL).await?)
}

/// The present spec is in effect in every pod. Returns the certificate that all serve.
async fn in_effect(scene: &Scene, replicas: usize) -> anyhow::Result<String> {
    let pgpool = scene.pgpool(POOL).await?;
    let told = format!("{:?}", pgpool.status);
    ensure!(is_ready(&pgpool), "not ready: {told}");
    let Pgpool { metadata, status, .. } = pgpool;
    let status = status.context("no status")?;
    let ready = conditions::find(&status.conditions, ConditionType::Ready).context("no condition")?;
    ensure!(
        ready.observed_generation == metadata.generation,
        "about another spec: {told}"
    );
    for condition in [ConditionType::Reconciling, ConditionType::Stalled] {
        ensure!(
            !conditions::is_true(&status.conditions, condition),
            "{condition}: {told}"
        );
    }
    let mut certificates = status.certificates.iter();
    let server = certificates.find(|certificate| certificate.alias == Alias::Server);
    let issued = server
        .and_then(|server| server.fingerprint.clone())
        .context("no certificate")?;
    let served = status
        .pods
        .iter()
        .filter(|pod| pod.served_fingerprint.as_ref() == Some(&issued));
    ensure!(
        served.count() == replicas && status.pods.len() == replicas,
        "{told}"
    );
    Ok(issued)
}

async fn kubectl_waits(context: &Context, scene: &Scene) -> anyhow::Result<()> {
    let target = context.target()?.clone();
    let mut kubectl = target.command(&target.kubectl(&context.stage)?);
    kubectl
        .arg("--kubeconfig")
        .arg(target.kubeconfig())
        .args(["--namespace", scene.namespace(), "wait", "--for=condition=Ready"])
        .args(["--timeout=120s", &format!("pgpool/{POOL}")]);
    tokio::task::spawn_blocking(move || command::output(&mut kubectl)).await??;
    Ok(())
}
