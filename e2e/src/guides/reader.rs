//! Follows a page as its reader would: in an empty folder, with a namespace as the current one, and with what
//! the page "What you need" lists, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use local_cluster::command::PATH;
use local_cluster::target::Target;

use super::page::{self, Commands, Step};
use super::transcript;
use crate::case::Context;
use crate::namespace::fixtures::DATABASE;
use crate::namespace::{TestNamespace, offer_version};

/// Time for all commands of a page, somewhat less than a test case has.
const LIMIT: Duration = Duration::from_mins(15);

/// Takes every step of the page in `file`, which people know as `shown`.
pub(crate) async fn follow(context: Context, file: &Path, shown: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let steps = page::steps(&text).with_context(|| shown.to_owned())?;
    transcript::ensure_plain(&steps).with_context(|| shown.to_owned())?;
    provide(&context)
        .await
        .context("providing what the reader needs")?;
    let mark = format!("@@{:016x}@@", rand::random::<u64>());
    let (target, namespace) = (context.target()?.clone(), context.namespace.clone());
    let kubectl = context.workspace.kubectl(&target)?;
    let (taken, known) = (steps.clone(), mark.clone());
    let printed = tokio::task::spawn_blocking(move || {
        let desk = Desk::furnish(&target, &kubectl, &namespace)?;
        desk.take(&target, &taken, &known)
    })
    .await??;
    transcript::check(&steps, &mark, &printed).with_context(|| shown.to_owned())
}

/// Creates what the page "What you need" lists: the version in the catalog, and an `AppBinding` in the namespace
/// that refers to a PostgreSQL server.
async fn provide(context: &Context) -> anyhow::Result<()> {
    let database = context.database().await?;
    let ns = TestNamespace::existing(&context.client, &context.namespace);
    offer_version(ns.client()).await?;
    let place = ns.name();
    let binding = database.app_binding(place, DATABASE).await?;
    ns.put(&database.credentials(place)).await?;
    ns.put(&binding).await?;
    Ok(())
}

/// Where the reader sits: a folder, a kubeconfig of its own, the programs.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    const KUBECONFIG: &'static str = ".kubeconfig";
    const PROGRAMS: &'static str = ".bin";

    fn furnish(target: &Target, kubectl: &Path, namespace: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the reader")?;
        let programs = folder.path().join(Self::PROGRAMS);
        fs::create_dir(&programs)?;
        symlink(kubectl, programs.join("kubectl"))?;
        if let Target::Local(cluster) = target {
            symlink(cluster.program("helm")?, programs.join("helm"))?;
        }
        let desk = Self { folder };
        let own = desk.folder.path().join(Self::KUBECONFIG);
        let mut view = Command::new(kubectl);
        view.args(["config", "view", "--flatten", "--minify"])
            .env("KUBECONFIG", target.kubeconfig());
        fs::write(&own, local_cluster::command::output(&mut view)?)?;
        let mut choose = Command::new(kubectl);
        choose
            .args(["config", "set-context", "--current", "--namespace", namespace])
            .env("KUBECONFIG", &own);
        local_cluster::command::output(&mut choose)?;
        Ok(desk)
    }

    /// Runs the script of the steps, and returns all that it printed.
    fn take(&self, target: &Target, steps: &[Step], mark: &str) -> anyhow::Result<String> {
        let folder = self.folder.path();
        let parts = folder.join(transcript::STEPS);
        fs::create_dir(&parts)?;
        for (number, step) in steps.iter().enumerate() {
            let (Step::File { text, .. } | Step::Commands(Commands { text, .. })) = step;
            fs::write(parts.join(number.to_string()), text)?;
        }
        let script = parts.join("script");
        fs::write(&script, transcript::script(steps, mark))?;
        let mut command = target.command(Path::new("timeout"));
        command
            .args(["--kill-after=5", &LIMIT.as_secs().to_string(), "bash"])
            .arg(&script)
            .current_dir(folder)
            .env("KUBECONFIG", folder.join(Self::KUBECONFIG))
            .env("HOME", folder)
            .env(
                "PATH",
                format!("{}:{PATH}", folder.join(Self::PROGRAMS).display()),
            )
            .stdin(Stdio::null());
        // How it ends shows in what it prints.
        let output = command.output().context("starting the shell")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
