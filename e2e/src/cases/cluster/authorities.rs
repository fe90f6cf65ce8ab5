//! Certificates pass to another issuer, or the CA behind their issuer is replaced, while clients connect with certificates
//! of either: nobody is refused before the earlier authority is dropped, and nothing is issued twice.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::LogParams;
use local_cluster::target::Target;
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::names;

use super::flow::READY;
use crate::case::{Case, Context};
use crate::scene::authority::Authority;
use crate::scene::certificates::{SECRETS, SERVER};
use crate::scene::fixtures::{self, Manifest, POOL};
use crate::scene::pool::certificate_copy;
use crate::scene::reissue::same_text;
use crate::scene::rotation::{Follower, between};
use crate::scene::{Scene, offer_version, pods, psql};

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("authorities::a_change_of_the_issuer_refuses_nobody", |context| {
            change(context, Change::Issuer)
        }),
        // The operators are killed in the middle of it.
        Case::cluster("authorities::a_ca_that_is_replaced_is_followed", |context| {
            change(context, Change::Authority)
        })
        .alone(),
    ]
}

/// The Secret with the certificate that clients show.
const CLIENT: &str = SECRETS[1];
/// The issuer of the beginning, and another one.
const ISSUERS: [&str; 2] = ["first", "second"];
/// How long certificates of the earlier authority are accepted: as long as it takes to start a pod with the new ones.
const OVERLAP: &str = "60s";
/// Time for all of it.
const LIMIT: Duration = Duration::from_mins(5);
/// Pods of the pool.
const REPLICAS: usize = 2;

/// What changes.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    /// Another issuer is named.
    Issuer,
    /// The issuer gets another CA.
    Authority,
}

async fn change(context: Context, change: Change) -> anyhow::Result<()> {
    let (old, new) = (Authority::new("root")?, Authority::new("root")?);
    let scene = started(&context, &old).await?;
    let both = format!("{}{}", old.certificate(), new.certificate());
    let before = Clients::start(&scene, "before", &both).await?;
    let mut follower = Follower::start(&scene).await?;
    follower.calm(Some(&old.certificate()), LIMIT).await?;
    let requests = follower.requests();

    match change {
        Change::Issuer => {
            scene.issuer_of(ISSUERS[1], &new).await?;
            scene
                .edit(POOL, json!({"tls": {"issuerRef": {"name": ISSUERS[1]}}}))
                .await?;
        }
        Change::Authority => {
            scene.authority_of(ISSUERS[0], &new).await?;
            issued(&scene, SERVER, &new).await?;
            kill_operators(&context).await?;
        }
    }
    issued(&scene, CLIENT, &new).await?;
    // Whoever has a certificate of the earlier authority has it for a while.
    let after = Clients::start(&scene, "after", &both).await?;
    wait::until("the earlier authority is dropped", LIMIT, async || {
        let said = [before.said().await?, after.said().await?].concat();
        // The log before the copy: what is refused afterwards is refused rightly.
        let dropped = !trusts(&scene, &old).await?;
        let refused: Vec<_> = said.iter().filter(|line| line.is_refused()).collect();
        ensure!(
            dropped || refused.is_empty(),
            wait::Hopeless(format!("refused: {refused:?}"))
        );
        ensure!(dropped, "it is trusted still");
        Ok(())
    })
    .await?;
    wait::until(
        "every pod refuses the earlier certificate, and none the new one",
        LIMIT,
        async || {
            for pod in 0..REPLICAS {
                let last = before.last(pod).await?;
                ensure!(last.is_refused(), "pod {pod} says to the earlier one: {last:?}");
                let last = after.last(pod).await?;
                ensure!(last.is_row(), "pod {pod} says to the new one: {last:?}");
            }
            Ok(())
        },
    )
    .await?;
    let refused: Vec<_> = after.said().await?.into_iter().filter(Line::is_refused).collect();
    ensure!(refused.is_empty(), "the new certificate was refused: {refused:?}");

    follower.calm(Some(&new.certificate()), LIMIT).await?;
    let asked = between(&requests, &follower.requests());
    let once = SECRETS.map(|certificate| (certificate.to_owned(), 1));
    ensure!(
        asked == once.into(),
        "not one CertificateRequest for each certificate: {asked:?}"
    );
    Ok(())
}

/// A pool to which clients show certificates, behind an issuer of that authority.
async fn started(context: &Context, authority: &Authority) -> anyhow::Result<Scene> {
    let database = context.database().await?;
    let scene = context.scene().await?;
    offer_version(scene.client()).await?;
    scene.issuer_of(ISSUERS[0], authority).await?;
    scene.put(&database.credentials(scene.namespace())).await?;
    let annotation = json!({(names::ANNOTATION_CA_OVERLAP): OVERLAP});
    let pool = fixtures::pgpool(database.scene().namespace())?
        .with("/metadata/annotations", annotation)
        .with("/spec/replicas", json!(REPLICAS))
        .with("/spec/sslMode", json!("verify-full"))
        .with("/spec/clientAuthMode", json!("cert"))
        .with("/spec/tls/issuerRef/name", json!(ISSUERS[0]));
    scene.put(&pool).await?;
    scene.ready(POOL, READY).await?;
    Ok(scene)
}

async fn issued(scene: &Scene, secret: &str, authority: &Authority) -> anyhow::Result<()> {
    let what = format!("{secret} comes from the new authority");
    wait::until(&what, LIMIT, async || {
        let found = scene.secret_text(secret, "ca.crt").await?;
        ensure!(
            same_text(&found, &authority.certificate()),
            "not yet; {}",
            scene.told(POOL).await?
        );
        Ok(())
    })
    .await
}

/// Whether pods that are made now trust an authority.
async fn trusts(scene: &Scene, authority: &Authority) -> anyhow::Result<bool> {
    let copy = certificate_copy(&scene.api::<StatefulSet>().get(POOL).await?)?;
    let trusted = scene.secret_text(&copy, "ca.pem").await?;
    Ok(squeezed(&trusted).contains(&squeezed(&authority.certificate())))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

async fn kill_operators(context: &Context) -> anyhow::Result<()> {
    let Target::Local(_) = context.target()? else {
        return Ok(());
    };
    let scene = context.scene().await?;
    for operator in ["ops-manager", "provisioner"] {
        pods::kill(&pods::leader(scene.client(), operator).await?)?;
    }
    Ok(())
}

/// Clients that show one certificate to each pod of the pool, over and over.
struct Clients<'a> {
    scene: &'a Scene,
    name: &'static str,
}

/// What one of them came to.
#[derive(Clone, Debug)]
struct Line(String);

impl Line {
    /// It got a row.
    fn is_row(&self) -> bool {
        self.0.contains(" ended 0 ")
    }

    /// Pool and client do not trust each other. A pod that is not there is another matter.
    fn is_refused(&self) -> bool {
        let words = [
            "unknown ca",
            "certificate verify failed",
            "certificate authentication failed",
        ];
        words.iter().any(|words| self.0.contains(words))
    }
}

impl<'a> Clients<'a> {
    /// Starts them with the certificate that clients have now; they verify the pool by the authorities, PEM.
    async fn start(scene: &'a Scene, name: &'static str, authorities: &str) -> anyhow::Result<Self> {
        let pair = scene.api::<Secret>().get(CLIENT).await?.data.unwrap_or_default();
        let files = Manifest(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "data": {"tls.crt": pair.get("tls.crt"), "tls.key": pair.get("tls.key")},
            "stringData": {"authorities": authorities},
        }));
        scene.put(&files).await?;
        let files: Value = json!({"secret": {"secretName": name, "defaultMode": 0o440}});
        let script = script(scene.namespace());
        scene
            .put(&psql::pod(
                name,
                &script,
                "postgres-auth",
                &[("files", "/files", files)],
            ))
            .await?;
        let clients = Self { scene, name };
        wait::until(
            &format!("the clients {name} get in everywhere"),
            LIMIT,
            async || {
                for pod in 0..REPLICAS {
                    let last = clients.last(pod).await?;
                    ensure!(!last.is_refused(), wait::Hopeless(format!("{last:?}")));
                    ensure!(last.is_row(), "{last:?}");
                }
                Ok(())
            },
        )
        .await?;
        Ok(clients)
    }

    async fn said(&self) -> anyhow::Result<Vec<Line>> {
        let log = self
            .scene
            .api::<Pod>()
            .logs(self.name, &LogParams::default())
            .await;
        let log = log.context("reading what the clients said")?;
        Ok(log.lines().map(|line| Line(line.to_owned())).collect())
    }

    /// What came last of a pod.
    async fn last(&self, pod: usize) -> anyhow::Result<Line> {
        let begin = format!("{pod} ended ");
        let said = self.said().await?;
        let mut last = said.into_iter().rev().filter(|line| line.0.starts_with(&begin));
        last.next()
            .with_context(|| format!("nothing was said of pod {pod}"))
    }
}

fn script(namespace: &str) -> String {
    let connection = format!(
        "host={POOL}-$pod.{POOL}-pods.{namespace}.svc port=9999 user=postgres dbname=postgres connect_timeout=5 \
         sslmode=verify-full sslrootcert=/files/authorities sslcert=/files/tls.crt sslkey=/files/tls.key \
         passfile=/dev/null password="
    );
    format!(
        "while :; do for pod in $(seq 0 {}); do\n\
           said=$(psql \"{connection}\" -wXAtqc 'select 1' 2>&1); echo \"$pod ended $? $(echo \"$said\" | tr '\\n' ' ')\"\n\
         done; sleep 0.2; done\n",
        REPLICAS - 1
    )
}
