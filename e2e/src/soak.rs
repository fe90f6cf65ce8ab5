//! A pool whose certificates change all the time, under load, for as long as wanted: what a year of short lives does,
//! within minutes. It ends with a table; its exit status tells only whether it came to the end.

mod course;
mod tally;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use kube::Client;
use local_cluster::progress::{Elapsed, Step};
use local_cluster::target::Target;
use serde_json::{Value, json};

use self::course::{Change, changes};
use self::tally::{Memory, Tally};
use crate::bench::{explained, table};
use crate::operators::NAMES;
use crate::scene::authority::Authority;
use crate::scene::certificates::{SECRETS, SERVER};
use crate::scene::database::Database;
use crate::scene::fixtures::{self, PLATFORM_CA, POOL};
use crate::scene::load::{Load, Proof};
use crate::scene::rotation::{Follower, Goal, Rotation, between};
use crate::scene::{Scene, offer_version, pods};
use crate::workspace::Workspace;

/// Pods of the pool.
const PODS: usize = 2;
/// Time for a new pool.
const READY: Duration = Duration::from_mins(2);
/// Time for one rotation, and once more for the calm after it.
const LIMIT: Duration = Duration::from_mins(2);
/// Rotations of one pool. ops-manager stops a certificate that is issued more than thirty times within an hour, unless it is
/// told otherwise, and is right to do so.
const PER_POOL: usize = 25;
/// The shortest lifetime that cert-manager issues for; see its API reference, `Certificate.spec.duration`.
const LIFETIME: &str = "1h";
/// The issuers that take turns.
const ISSUERS: [&str; 2] = [PLATFORM_CA, "other-ca"];

/// How long it goes on.
#[derive(Clone, Debug, Args)]
pub struct Soak {
    /// How many times the certificate changes.
    #[arg(long, default_value_t = 50)]
    pub rotations: usize,

    /// Every so many rotations the authority changes: behind the issuer, or with the issuer, in turn. 0: never.
    #[arg(long, default_value_t = 10)]
    pub authority_every: usize,

    /// Clients log in with the pool's client certificate instead of a password.
    #[arg(long)]
    pub client_certificates: bool,
}

impl Soak {
    fn proof(&self) -> Proof {
        if self.client_certificates {
            Proof::Certificate
        } else {
            Proof::Password
        }
    }
}

/// Rotates in the local cluster, or in the one of `kubeconfig`.
pub fn run(workspace: &Workspace, kubeconfig: Option<&Path>, soak: &Soak) -> anyhow::Result<ExitCode> {
    let target = workspace.prepare(kubeconfig)?;
    target.run(async {
        let client = target.client().await?;
        offer_version(&client).await?;
        let step = workspace.progress.step("start a PostgreSQL");
        let database = Database::start(&client, "soak-postgres").await?;
        step.done();
        let (mut tally, begin) = (Tally::default(), Instant::now());
        tally.before = memory(&client, &target).await?;
        let result = all(workspace, &database, soak, &mut tally).await;
        tally.after = memory(&client, &target).await?;
        tally.whole = begin.elapsed();
        // What was seen is told, however it ended.
        let figures = tally.figures(soak.rotations);
        print!("{}", table::rendered(&figures));
        let file = table::keep(workspace, "soak", &figures)?;
        println!("written to {}", file.display());
        result?;
        database.scene().remove().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Goes through all rotations, with a new pool from time to time.
async fn all(
    workspace: &Workspace,
    database: &Database,
    soak: &Soak,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let client = database.scene().client();
    let plan = changes(soak.rotations, soak.authority_every);
    for part in plan.chunks(PER_POOL) {
        let scene = Scene::create(client, "soak").await?;
        let places = [scene.namespace(), database.scene().namespace()];
        let result = rotate(workspace, &scene, database, soak, part, tally).await;
        explained(workspace, client, "soak", &places, result).await?;
        scene.remove().await?;
    }
    Ok(())
}

/// Goes through some rotations with one pool.
async fn rotate(
    workspace: &Workspace,
    scene: &Scene,
    database: &Database,
    soak: &Soak,
    plan: &[Change],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut ground = Ground::prepare(workspace, scene, database, plan, soak.proof()).await?;
    let load = Load::start(scene, POOL, database, &ground.trusted(), soak.proof()).await?;
    let step = workspace.progress.step(format!("rotate {} times", plan.len()));
    let earlier = tally.clients.clone();
    for change in plan {
        let number = tally.rotations() + 1;
        step.note(format!("{number} of {}: {change}", soak.rotations));
        let rotated = ground.rotated(*change, tally).await;
        let said = tally.clients.said.len();
        tally.clients = earlier.plus(&load.counts().await?);
        match rotated {
            Ok(rotation) => told(&step, number, *change, &rotation, tally, said),
            Err(error) => {
                for line in &tally.clients.said {
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

/// Tells of one rotation, and of connections that failed in it.
fn told(step: &Step, number: usize, change: Change, rotation: &Rotation, tally: &Tally, said: usize) {
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
    let new = clients.said.iter().skip(said);
    for line in new.filter(|line| line.contains("connection to server")) {
        step.line(format_args!("      {line}"));
    }
}

/// The pool, its authorities, and what watches it.
struct Ground<'a> {
    scene: &'a Scene,
    follower: Follower,
    authorities: Vec<Authority>,
    /// The authority in use, by its number.
    authority: usize,
    /// The issuer in use, by its number.
    issuer: usize,
}

impl<'a> Ground<'a> {
    async fn prepare(
        workspace: &Workspace,
        scene: &'a Scene,
        database: &Database,
        plan: &[Change],
        proof: Proof,
    ) -> anyhow::Result<Self> {
        let step = workspace.progress.step(format!("start a pool with {PODS} pods"));
        let count = plan.iter().filter(|change| change.is_of_authority()).count();
        let each = (0..=count).map(|number| Authority::new(&format!("ca-{number}")));
        let authorities = each.collect::<anyhow::Result<Vec<_>>>()?;
        scene.issuer_of(PLATFORM_CA, &authorities[0]).await?;
        let certificates: Vec<Value> = ["server", "client", "metrics-exporter"]
            .map(|alias| json!({"alias": alias, "duration": LIFETIME}))
            .into();
        let mode = match proof {
            Proof::Password => "scram",
            Proof::Certificate => "cert",
        };
        let pool = fixtures::pgpool(database.scene().namespace())?
            .with("/spec/replicas", json!(PODS))
            .with("/spec/sslMode", json!("verify-full"))
            .with("/spec/clientAuthMode", json!(mode))
            .with("/spec/tls/certificates", json!(certificates));
        scene.put(&pool).await?;
        scene.ready(POOL, READY).await?;
        let mut follower = Follower::start(scene).await?;
        follower.calm(None, READY).await?;
        step.done();
        Ok(Self {
            scene,
            follower,
            authorities,
            authority: 0,
            issuer: 0,
        })
    }

    /// All authorities there will ever be: the clients are told of new ones before these sign.
    fn trusted(&self) -> String {
        self.authorities.iter().map(Authority::certificate).collect()
    }

    /// One rotation, until all is calm again.
    async fn rotated(&mut self, change: Change, tally: &mut Tally) -> anyhow::Result<Rotation> {
        let before = self.follower.requests();
        if change.is_of_authority() {
            self.authority += 1;
        }
        if change == Change::Issuer {
            self.issuer = 1 - self.issuer;
        }
        let (scene, issuer) = (self.scene, ISSUERS[self.issuer]);
        let authority = &self.authorities[self.authority];
        let pem = authority.certificate();
        if change == Change::Issuer {
            scene.issuer_of(issuer, authority).await?;
        }
        let act = async {
            match change {
                Change::Server => scene.reissue(SERVER).await,
                Change::All => {
                    for certificate in SECRETS {
                        scene.reissue(certificate).await?;
                    }
                    Ok(())
                }
                Change::Authority => scene.authority_of(issuer, authority).await,
                Change::Issuer => {
                    scene
                        .edit(POOL, json!({"tls": {"issuerRef": {"name": issuer}}}))
                        .await
                }
            }
        };
        let goal = Goal {
            pods: PODS,
            authority: Some(&pem),
            limit: LIMIT,
        };
        let rotation = self.follower.follow(goal, act).await?;
        self.follower.calm(Some(&pem), LIMIT).await?;
        tally.rotated(change, &rotation, &between(&before, &self.follower.requests()));
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
