//! A pool whose certificates change all the time, under load, for as long as wanted: what a year of short lives does,
//! within minutes. It ends with a table; its exit status shows only whether it came to the end.

mod schedule;
mod totals;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use kube::Client;
use local_cluster::progress::{Elapsed, Step};
use local_cluster::target::Target;
use serde_json::{Value, json};

use self::schedule::{Change, changes};
use self::totals::{Memory, Totals};
use crate::bench::{figures, with_diagnostics};
use crate::namespace::cert_manager::{SECRETS, SERVER};
use crate::namespace::database::Database;
use crate::namespace::fixtures::{self, PLATFORM_CA, POOL};
use crate::namespace::pgbench::{Load, Login};
use crate::namespace::rotation::{Follower, Goal, Rotation};
use crate::namespace::test_ca::TestCa;
use crate::namespace::{TestNamespace, offer_version, pods};
use crate::operators::NAMES;
use crate::workspace::Workspace;

/// Pods of the pool.
const PODS: usize = 2;
/// Time for a new pool.
const READY: Duration = Duration::from_mins(2);
/// Time for one rotation, and once more for the calm after it.
const LIMIT: Duration = Duration::from_mins(2);
/// Rotations of one pool. ops-manager stops a certificate that is issued more than thirty times within an hour, unless it is
/// configured otherwise, and is right to do so.
const PER_POOL: usize = 25;
/// The shortest lifetime that cert-manager issues for; see its API reference, `Certificate.spec.duration`.
const LIFETIME: &str = "1h";
/// The issuers that take turns.
const ISSUERS: [&str; 2] = [PLATFORM_CA, "other-ca"];

/// How long it runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct Soak {
    /// How many times the certificate changes.
    #[arg(long, default_value_t = 50)]
    pub(crate) rotations: usize,

    /// Every so many rotations the CA changes: behind the issuer, or with the issuer, in turn. 0: never.
    #[arg(long, default_value_t = 10)]
    pub(crate) ca_every: usize,

    /// Clients log in with the pool's client certificate instead of a password.
    #[arg(long)]
    pub(crate) client_certificates: bool,
}

impl Soak {
    fn proof(&self) -> Login {
        if self.client_certificates {
            Login::Certificate
        } else {
            Login::Password
        }
    }
}

/// Rotates in the local cluster, or in the one of `kubeconfig`.
pub(crate) fn run(workspace: &Workspace, kubeconfig: Option<&Path>, soak: &Soak) -> anyhow::Result<ExitCode> {
    let target = workspace.prepare(kubeconfig)?;
    target.run(async {
        let client = target.client().await?;
        offer_version(&client).await?;
        let database = Database::announced(workspace, &client, "soak-postgres").await?;
        let (mut tally, begin) = (Totals::default(), Instant::now());
        tally.before = memory(&client, &target).await?;
        let result = all(workspace, &database, soak, &mut tally).await;
        tally.after = memory(&client, &target).await?;
        tally.whole = begin.elapsed();
        // What was seen is printed, however it ended.
        let figures = tally.figures(soak.rotations);
        print!("{}", figures::rendered(&figures));
        let file = figures::keep(workspace, "soak", &figures)?;
        println!("written to {}", file.display());
        result?;
        database.namespace().remove().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Goes through all rotations, with a new pool from time to time.
async fn all(
    workspace: &Workspace,
    database: &Database,
    soak: &Soak,
    tally: &mut Totals,
) -> anyhow::Result<()> {
    let client = database.namespace().client();
    let plan = changes(soak.rotations, soak.ca_every);
    for part in plan.chunks(PER_POOL) {
        let ns = TestNamespace::create(client, "soak").await?;
        let places = [ns.name(), database.namespace().name()];
        let result = rotate(workspace, &ns, database, soak, part, tally).await;
        with_diagnostics(workspace, client, "soak", &places, result).await?;
        ns.remove().await?;
    }
    Ok(())
}

/// Goes through some rotations with one pool.
async fn rotate(
    workspace: &Workspace,
    ns: &TestNamespace,
    database: &Database,
    soak: &Soak,
    plan: &[Change],
    tally: &mut Totals,
) -> anyhow::Result<()> {
    let mut ground = Ground::prepare(workspace, ns, database, plan, soak.proof()).await?;
    let load = Load::start(ns, POOL, database, &ground.trusted(), soak.proof()).await?;
    let step = workspace.progress.step(format!("rotate {} times", plan.len()));
    let earlier = tally.clients.clone();
    for change in plan {
        let number = tally.rotations() + 1;
        step.note(format!("{number} of {}: {change}", soak.rotations));
        let rotated = ground.rotated(*change, tally).await;
        let output = tally.clients.output.len();
        tally.clients = earlier.plus(&load.counts().await?);
        match rotated {
            Ok(rotation) => print_rotation(&step, number, *change, &rotation, tally, output),
            Err(error) => {
                for line in &tally.clients.output {
                    step.line(line);
                }
                return Err(error.context(format!("rotation {number}: {change}")));
            }
        }
    }
    tally.clients = earlier.plus(&load.stop().await?);
    step.done();
    Ok(())
}

/// Prints one rotation, and the connections that failed in it.
fn print_rotation(
    step: &Step,
    number: usize,
    change: Change,
    rotation: &Rotation,
    tally: &Totals,
    output: usize,
) {
    let clients = &tally.clients;
    step.line(format!(
        "{number:>3} {change}: served by {} pods {} after the Secret changed; {} of {} new connections failed, {} sessions \
         broke",
        rotation.pods.len(),
        Elapsed(rotation.served),
        clients.failed,
        clients.connections + clients.failed,
        clients.broken(),
    ));
    let new = clients.output.iter().skip(output);
    for line in new.filter(|line| line.contains("connection to server")) {
        step.line(format_args!("      {line}"));
    }
}

/// The pool, its CAs, and what watches it.
struct Ground<'a> {
    ns: &'a TestNamespace,
    follower: Follower,
    cas: Vec<TestCa>,
    /// The CA in use, by its number.
    ca: usize,
    /// The issuer in use, by its number.
    issuer: usize,
}

impl<'a> Ground<'a> {
    async fn prepare(
        workspace: &Workspace,
        ns: &'a TestNamespace,
        database: &Database,
        plan: &[Change],
        proof: Login,
    ) -> anyhow::Result<Self> {
        let step = workspace.progress.step(format!("start a pool with {PODS} pods"));
        let count = plan.iter().filter(|change| change.changes_ca()).count();
        let each = (0..=count).map(|number| TestCa::new(&format!("ca-{number}")));
        let cas = each.collect::<anyhow::Result<Vec<_>>>()?;
        ns.issuer_of(PLATFORM_CA, &cas[0]).await?;
        let certificates: Vec<Value> = ["server", "client", "metrics-exporter"]
            .map(|alias| json!({"alias": alias, "duration": LIFETIME}))
            .into();
        let mode = match proof {
            Login::Password => "scram",
            Login::Certificate => "cert",
        };
        let pool = fixtures::pgpool(database.namespace().name())?
            .with("/spec/replicas", json!(PODS))
            .with("/spec/sslMode", json!("verify-full"))
            .with("/spec/clientAuthMode", json!(mode))
            .with("/spec/tls/certificates", json!(certificates));
        let follower = Follower::of_new_pool(ns, &pool, READY).await?;
        step.done();
        Ok(Self {
            ns,
            follower,
            cas,
            ca: 0,
            issuer: 0,
        })
    }

    /// All CAs of the run: the clients trust new ones before these sign.
    fn trusted(&self) -> String {
        self.cas.iter().map(TestCa::certificate).collect()
    }

    /// One rotation, until all is calm again.
    async fn rotated(&mut self, change: Change, tally: &mut Totals) -> anyhow::Result<Rotation> {
        if change.changes_ca() {
            self.ca += 1;
        }
        if change == Change::Issuer {
            self.issuer = 1 - self.issuer;
        }
        let (ns, issuer) = (self.ns, ISSUERS[self.issuer]);
        let ca = &self.cas[self.ca];
        let pem = ca.certificate();
        if change == Change::Issuer {
            ns.issuer_of(issuer, ca).await?;
        }
        let act = async {
            match change {
                Change::Server => ns.reissue(SERVER).await,
                Change::All => {
                    for certificate in SECRETS {
                        ns.reissue(certificate).await?;
                    }
                    Ok(())
                }
                Change::Ca => ns.put_ca(issuer, ca).await,
                Change::Issuer => {
                    ns.edit(POOL, json!({"tls": {"issuerRef": {"name": issuer}}}))
                        .await
                }
            }
        };
        let goal = Goal {
            pods: PODS,
            ca: Some(&pem),
            limit: LIMIT,
        };
        let (rotation, requests) = self.follower.rotate(goal, act).await?;
        tally.rotated(change, &rotation, &requests);
        Ok(rotation)
    }
}

/// The resident memory of both operators, where it can be read.
async fn memory(client: &Client, target: &Target) -> anyhow::Result<Memory> {
    let mut memory = Memory::default();
    if let Target::Local(_) = target {
        for (name, bytes) in NAMES.into_iter().zip(&mut memory) {
            *bytes = Some(pods::resident(&pods::leader(client, name).await?)?);
        }
    }
    Ok(memory)
}
