//! Reports: long tables about what holds in a cluster, for people who want to see all of it.

mod hostile;
pub(crate) mod manifests;
mod modes;
mod transitions;
mod x509;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use local_cluster::target::Target;
use serde_json::Value;

use crate::matrix::batches::Databases;
use crate::matrix::routes::Part;
use crate::namespace::TestNamespace;
use crate::namespace::database::Database;
use crate::workspace::Workspace;

/// The reports.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Report {
    /// Every security mode against every kind of client: who gets in, and why not.
    Modes,
    /// Every kind of change of the mode of a running pool: who gets in before, meanwhile and after.
    Transitions {
        /// A part of them alone, such as 2/3.
        #[arg(long, value_name = "PART/PARTS")]
        part: Option<Part>,
    },
    /// The manifests of KubeDB's documentation, applied as they are: what becomes of each.
    Manifests {
        /// Their folder, docs/examples/pgpool in a checkout of that documentation.
        #[arg(long, value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Hostile objects of a user with rights in one namespace: what becomes of each, and of everybody else.
    Hostile(hostile::Options),
    /// Certificate chains of public suites and of our own: does tls-bundle say what OpenSSL says? Needs no cluster.
    X509(x509::Options),
}

/// Makes one in the local cluster, or in the one of `kubeconfig`. The exit status shows whether all is as expected.
pub(crate) fn run(
    workspace: &Workspace,
    kubeconfig: Option<&Path>,
    report: &Report,
) -> anyhow::Result<ExitCode> {
    let target = || workspace.prepare(kubeconfig);
    match report {
        Report::Modes => {
            let target = target()?;
            target.run(modes::report(workspace, &target))
        }
        Report::Transitions { part } => {
            let target = target()?;
            target.run(transitions::report(workspace, &target, *part))
        }
        Report::Manifests { folder } => {
            let target = target()?;
            target.run(manifests::report(workspace, &target, folder))
        }
        // It starts a control plane of its own, on which nothing else depends.
        Report::Hostile(options) => hostile::report(workspace, options),
        Report::X509(options) => x509::report(workspace, options),
    }
}

/// What the reports about modes work with: a namespace, and one `PostgreSQL` of every kind.
struct Setup {
    ns: TestNamespace,
    tls: Database,
    databases: Databases,
}

impl Setup {
    async fn create(workspace: &Workspace, target: &Target, prefix: &str) -> anyhow::Result<Self> {
        let client = target.client().await?;
        let step = workspace
            .progress
            .step("start a PostgreSQL with TLS and one without");
        let tls = Database::start(&client, "matrix-tls").await?;
        let databases = Databases::beside(&client, tls.clone()).await?;
        step.done();
        Ok(Self {
            ns: TestNamespace::create(&client, prefix).await?,
            tls,
            databases,
        })
    }

    /// Starts to delete all of it.
    async fn remove(self) -> anyhow::Result<()> {
        self.ns.remove().await?;
        self.tls.namespace().remove().await?;
        self.databases.remove().await
    }
}

/// A report with anything unexpected in it fails.
fn exit_code(unexpected: usize) -> ExitCode {
    match unexpected {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Writes a report for programs to `target/e2e/<name>.json`, and prints the path.
fn keep(workspace: &Workspace, name: &str, report: &Value) -> anyhow::Result<()> {
    let file = workspace.results().join(format!("{name}.json"));
    fs::create_dir_all(workspace.results())?;
    fs::write(&file, serde_json::to_string_pretty(report)?)
        .with_context(|| format!("writing {}", file.display()))?;
    workspace
        .progress
        .line(format_args!("written to {}", file.display()));
    Ok(())
}
