//! Those who wait: Helm, which goes by kstatus as the tools of `GitOps` do, and `kubectl wait`. Both go on when the present
//! spec is in effect and proven, and not before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::LogParams;
use local_cluster::target::Target;
use local_cluster::{command, wait};
use serde_json::json;
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::{Alias, Pgpool};

use super::flow::{READY, prepared};
use crate::case::{Case, Context};
use crate::scene::Scene;
use crate::scene::fixtures::{Manifest, POOL};
use crate::scene::pool::is_ready;
use crate::scene::psql;

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("waiting::helm_and_kubectl_go_on_in_time", waited),
        Case::cluster("waiting::an_edit_without_restart_is_in_force", reloaded),
    ]
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
        let folder = context.workspace.results().join(scene.namespace());
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
            .args(["--namespace", &self.namespace, "--wait", "--timeout", "240s"])
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
    let custom = Manifest::secret("custom", json!({"pgpool.conf": "ssl = off\n"}));
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

/// What running pods take over: kubectl goes on when the last of them has, as a client sees it who asks each all the time.
async fn reloaded(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene.put(&pool.with("/spec/replicas", json!(PODS))).await?;
    scene.ready(POOL, READY).await?;
    let before = scene.identities(POOL).await?;
    let database = context.database().await?;
    scene.put(&database.credentials(scene.namespace())).await?;
    let script = asking(&scene);
    let client = scene
        .put(&psql::pod("asking", &script, "postgres-auth", &[]))
        .await?
        .name_any();
    seen(&scene, &client, "began").await?;
    let edits = [
        (
            "setting",
            json!({"configuration": {"inline": {"pgpool.conf": SETTING}}}),
        ),
        ("rule", json!({"clientAuthMode": "cert"})),
    ];
    for (what, edit) in edits {
        scene.edit(POOL, edit).await?;
        kubectl_waits(&context, &scene).await?;
        let went_on = now()?;
        in_effect(&scene, PODS).await?;
        let seen = seen(&scene, &client, what).await?;
        let ahead: Vec<_> = seen.iter().map(|at| format!("{:.2} s", went_on - at)).collect();
        eprintln!("{what}: in force before kubectl went on by {}", ahead.join(", "));
        ensure!(seen.iter().all(|at| *at <= went_on), "kubectl went on too early");
    }
    before.same(&scene.identities(POOL).await?)
}

/// Pods of the pool that is asked.
const PODS: usize = 2;
/// A setting that a reload puts into effect, and pgpool shows.
const SETTING: &str = "client_idle_limit = 77";

/// Asks each pod until it has the setting, and then until it lets nobody in by password.
fn asking(scene: &Scene) -> String {
    let one = |pod: usize| {
        let host = format!("{POOL}-{pod}.{POOL}-pods.{}.svc", scene.namespace());
        let psql = format!(
            "psql 'host={host} port=9999 dbname=postgres user=postgres sslmode=require connect_timeout=5' -wXAtc"
        );
        let said = |what: &str| format!("echo \"{what} $(date +%s.%N)\"");
        format!(
            "( until {psql} 'select 1'; do sleep 0.2; done; {}\n\
             until {psql} 'PGPOOL SHOW client_idle_limit' | grep -q 77; do sleep 0.1; done; {}\n\
             while {psql} 'select 1' >/dev/null; do sleep 0.1; done; {} ) &\n",
            said("began"),
            said("setting"),
            said("rule")
        )
    };
    (0..PODS).map(one).collect::<String>() + "wait\n"
}

/// Waits until the client has seen something in every pod. Returns when it was, in seconds.
async fn seen(scene: &Scene, client: &str, what: &str) -> anyhow::Result<Vec<f64>> {
    let pods = scene.api::<Pod>();
    wait::until(&format!("the client has seen: {what}"), READY, async || {
        let said = pods.logs(client, &LogParams::default()).await?;
        let times = said
            .lines()
            .filter_map(|line| line.strip_prefix(what)?.trim().parse().ok());
        let times: Vec<f64> = times.collect();
        ensure!(times.len() == PODS, "in {} of {PODS} pods: {said}", times.len());
        Ok(times)
    })
    .await
}

fn now() -> anyhow::Result<f64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(since.as_secs_f64())
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
    let mut kubectl = target.command(&context.workspace.kubectl(&target)?);
    kubectl
        .arg("--kubeconfig")
        .arg(target.kubeconfig())
        .args(["--namespace", scene.namespace(), "wait", "--for=condition=Ready"])
        .args(["--timeout=240s", &format!("pgpool/{POOL}")]);
    tokio::task::spawn_blocking(move || command::output(&mut kubectl)).await??;
    Ok(())
}
