//! Tools that wait: Helm, which uses kstatus as the tools of `GitOps` do, and `kubectl wait`. Both continue when the current
//! spec is in effect and proven, and not before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use kube::ResourceExt as _;
use local_cluster::command;
use local_cluster::target::Target;
use serde_json::json;
use shared_types::conditions::{self, ConditionType, Reason};

use super::verified_clients::{READY, kubectl_waits, prepared};
use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{Manifest, POOL};
use crate::namespace::pods::{host, now};
use crate::namespace::pool::{is_ready, issued};
use crate::namespace::psql;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("waiting::helm_and_kubectl_go_on_in_time", waited),
        Case::cluster("waiting::an_edit_without_restart_is_in_force", reloaded),
    ]
}

const RELEASE: &str = "shop";

/// A chart of a user, which holds a Pgpool among other things.
struct Chart {
    folder: PathBuf,
    namespace: String,
    target: Target,
}

impl Chart {
    fn new(context: &Context, ns: &TestNamespace) -> anyhow::Result<Self> {
        let folder = context.workspace.results().join(ns.name());
        fs::create_dir_all(folder.join("templates"))?;
        let about = json!({"apiVersion": "v2", "name": RELEASE, "version": "0.1.0"});
        fs::write(folder.join("Chart.yaml"), about.to_string())?;
        Ok(Self {
            folder,
            namespace: ns.name().to_owned(),
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
        // A leftover directory does no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn waited(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let chart = Chart::new(&context, &ns)?;
    chart.upgrade(&[&pool]).await.context("installing")?;
    let first = in_effect(&ns, 1).await?;

    // Another name: the certificate is issued again, and every pod is replaced.
    let named = pool
        .clone()
        .with("/spec/tls/certificates/0/dnsNames", json!(["db.example.com"]));
    chart.upgrade(&[&named]).await.context("adding a name")?;
    let second = in_effect(&ns, 1).await?;
    ensure!(first != second, "Helm continued with the earlier certificate");

    // The same by hand.
    ns.edit(POOL, json!({"replicas": 2})).await?;
    kubectl_waits(&context, &ns).await?;
    in_effect(&ns, 2).await?;

    // Helm does not wait for what needs a person, and what runs keeps running.
    let before = ns.identities(POOL).await?;
    let custom = Manifest::secret("custom", json!({"pgpool.conf": "ssl = off\n"}));
    let named = named.with("/spec/replicas", json!(2));
    let refused = named
        .clone()
        .with("/spec/configuration/secretName", json!("custom"));
    let Err(refusal) = chart.upgrade(&[&refused, &custom]).await else {
        bail!("Helm continued: {}", ns.conditions(POOL).await?)
    };
    let refusal = format!("{refusal:#}");
    ensure!(
        !refusal.contains("deadline exceeded"),
        "Helm waited to the end: {refusal}"
    );
    ns.stalled(POOL, Reason::ConfigurationInvalid, &["ssl"]).await?;
    before.same(&ns.identities(POOL).await?)?;

    chart.upgrade(&[&named]).await.context("taking it back")?;
    in_effect(&ns, 2).await?;
    before.same(&ns.identities(POOL).await?)
}

/// What running pods take over: kubectl continues when the last of them has, as a client sees it that connects to each.
async fn reloaded(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.apply_and_wait(&pool.with("/spec/replicas", json!(PODS)), READY)
        .await?;
    let before = ns.identities(POOL).await?;
    let database = context.database().await?;
    ns.put(&database.credentials(ns.name())).await?;
    let script = asking(&ns);
    let client = ns
        .put(&psql::pod("asking", &script, "postgres-auth", &[]))
        .await?
        .name_any();
    ns.times(&client, "began", PODS, READY).await?;
    let edits = [
        (
            "setting",
            json!({"configuration": {"inline": {"pgpool.conf": SETTING}}}),
        ),
        ("rule", json!({"clientAuthMode": "cert"})),
    ];
    for (what, edit) in edits {
        ns.edit(POOL, edit).await?;
        kubectl_waits(&context, &ns).await?;
        let went_on = now()?;
        in_effect(&ns, PODS).await?;
        let seen = ns.times(&client, what, PODS, READY).await?;
        let ahead: Vec<_> = seen.iter().map(|at| format!("{:.2} s", went_on - at)).collect();
        eprintln!(
            "{what}: time from taking effect until kubectl continued, for each pod: {}",
            ahead.join(", ")
        );
        ensure!(
            seen.iter().all(|at| *at <= went_on),
            "kubectl continued too early"
        );
    }
    before.same(&ns.identities(POOL).await?)
}

const PODS: usize = 2;
/// A setting that a reload puts into effect, and pgpool shows.
const SETTING: &str = "client_idle_limit = 77";

/// Asks each pod until it has the setting, and then until it lets nobody in by password.
fn asking(ns: &TestNamespace) -> String {
    let one = |pod: usize| {
        let host = host(POOL, pod, ns.name());
        let psql = format!(
            "psql 'host={host} port=9999 dbname=postgres user=postgres sslmode=require connect_timeout=5' -wXAtc"
        );
        let output = |what: &str| format!("echo \"{what} $(date +%s.%N)\"");
        format!(
            "( until {psql} 'select 1'; do sleep 0.2; done; {}\n\
             until {psql} 'PGPOOL SHOW client_idle_limit' | grep -q 77; do sleep 0.1; done; {}\n\
             while {psql} 'select 1' >/dev/null; do sleep 0.1; done; {} ) &\n",
            output("began"),
            output("setting"),
            output("rule")
        )
    };
    (0..PODS).map(one).collect::<String>() + "wait\n"
}

/// The current spec is in effect in every pod. Returns the certificate that all serve.
async fn in_effect(ns: &TestNamespace, replicas: usize) -> anyhow::Result<String> {
    let pgpool = ns.pgpool(POOL).await?;
    let reported = format!("{:?}", pgpool.status);
    ensure!(is_ready(&pgpool), "not ready: {reported}");
    let status = pgpool.status.as_ref().context("no status")?;
    let ready = conditions::find(&status.conditions, ConditionType::Ready).context("no condition")?;
    ensure!(
        ready.observed_generation == pgpool.metadata.generation,
        "about another spec: {reported}"
    );
    for condition in [ConditionType::Reconciling, ConditionType::Stalled] {
        ensure!(
            !conditions::is_true(&status.conditions, condition),
            "{condition}: {reported}"
        );
    }
    let issued = issued(&pgpool)?;
    let served = status
        .pods
        .iter()
        .filter(|pod| pod.served_fingerprint.as_ref() == Some(&issued));
    ensure!(
        served.count() == replicas && status.pods.len() == replicas,
        "{reported}"
    );
    Ok(issued)
}
