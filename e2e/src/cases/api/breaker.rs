//! Loops in which cert-manager issues one certificate after the other, with the real cert-manager in them: the number of
//! requests has an end, what runs is left alone, and it goes on when somebody says so.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::Reason;
use shared_types::{Pgpool, names};
use tokio::task::JoinHandle;

use crate::case::{Case, Context};
use crate::scene::authority::{Authority, Pair};
use crate::scene::certificates::{SERVER, wanted};
use crate::scene::fixtures::{self, ISSUER, Manifest, POOL};
use crate::scene::operator::{Operator, explained};
use crate::scene::timeline::Sightings;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "breaker::who_overwrites_without_end_is_named_and_ended",
            overwritten,
        ),
        Case::api("breaker::two_certificates_on_one_secret_come_to_rest", shared),
    ]
}

/// How often the Secret may be overwritten here.
const OVERWRITES: usize = 2;

/// The first request, one for each time that it was overwritten, the last included, and one that was under way when the
/// Certificate was withdrawn.
const MOST_REQUESTS: usize = OVERWRITES + 3;

/// How long nothing has gone on when all is over.
const CALM: Duration = Duration::from_secs(2);

/// How long it is looked whether anything goes on.
const WATCHED: Duration = Duration::from_secs(4);

/// Who overwrites.
const RIVAL: &str = "external-secrets";

async fn overwritten(context: Context) -> anyhow::Result<()> {
    let scene = context.quiet_scene("overwritten").await?;
    let plan = context.plan("ops-manager", &scene).await?;
    let plan = plan.with("breaker-overwrites", &OVERWRITES.to_string());
    let mut ops_manager = context.start("ops-manager", &scene, plan).await?;
    let plan = context.plan("provisioner", &scene).await?;
    let provisioner = context.start("provisioner", &scene, plan).await?;
    let played = played(&scene, &mut ops_manager).await;
    explained(played, || {
        format!("{}\n{}", ops_manager.said(""), provisioner.said(""))
    })
}

async fn played(scene: &Scene, ops_manager: &mut Operator) -> anyhow::Result<()> {
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    let rival = Rival::start(scene).await?;

    let place = format!("Secret {}/{SERVER}", scene.namespace());
    let words = [place.as_str(), RIVAL, names::ANNOTATION_RESUME_CERTIFICATES];
    scene
        .certificates_refused(POOL, Reason::CircuitOpen, &words)
        .await?;
    wait::gone(&scene.certificates(), SERVER, SOON).await?;
    scene.certificate("pool-client-cert").await?;
    ended(scene, &rival).await?;

    // A process that has seen nothing of all this does not begin it anew.
    ops_manager.kill();
    ops_manager.begin()?;
    ops_manager.ready().await?;
    ended(scene, &rival).await.context("after a restart")?;
    scene
        .certificates_refused(POOL, Reason::CircuitOpen, &words)
        .await?;

    rival.rest();
    let resume = json!({"metadata": {"annotations": {names::ANNOTATION_RESUME_CERTIFICATES: "now"}}});
    let api = scene.api::<Pgpool>();
    api.patch(POOL, &PatchParams::default(), &Patch::Merge(&resume))
        .await
        .context("resuming")?;
    scene.certificates_ready(POOL).await?;
    scene.certificate(SERVER).await?;
    wait::until("cert-manager has issued it once more", SOON, async || {
        let now = scene.secret_text(SERVER, "tls.crt").await?;
        ensure!(now != rival.pair.certificate, "the rival's is still there");
        Ok(())
    })
    .await?;
    scene.certificates_ready(POOL).await
}

/// Nothing is asked for, and the workload stays as it is.
async fn ended(scene: &Scene, rival: &Rival) -> anyhow::Result<()> {
    // What was under way when the Certificate was withdrawn comes to its end first, and is seen a moment later still.
    let what = "the requests, and the workload";
    let standing = async || standing(scene, rival).await;
    let (asked, before) = wait::settled(what, CALM, SOON, standing).await?;
    ensure!(asked <= MOST_REQUESTS, "{asked} requests were made");
    wait::throughout("nothing goes on", WATCHED, async || {
        let (now, workload) = self::standing(scene, rival).await?;
        ensure!(now == asked, "{} more requests were made", now - asked);
        let certificate = scene.certificates().get_opt(SERVER).await?;
        ensure!(certificate.is_none(), "the Certificate came back");
        ensure!(workload == before, "the workload was changed");
        Ok(())
    })
    .await
}

/// How many requests there were so far, and what the workload is.
async fn standing(scene: &Scene, rival: &Rival) -> anyhow::Result<(usize, Option<StatefulSetSpec>)> {
    let workload = scene.api::<StatefulSet>().get(POOL).await?;
    Ok((rival.requests(), workload.spec))
}

/// Writes its own pair whenever another one stands in the Secret, and counts what cert-manager does about it.
struct Rival {
    pair: Pair,
    requests: Arc<Mutex<BTreeSet<String>>>,
    resting: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Rival {
    async fn start(scene: &Scene) -> anyhow::Result<Self> {
        let authority = Authority::new("elsewhere")?;
        let pair = authority.issue(&wanted(&scene.certificate(SERVER).await?)?)?;
        let data = [
            ("tls.crt", pair.certificate.clone()),
            ("tls.key", pair.key.clone()),
            ("ca.crt", authority.certificate()),
        ];
        let data = data.map(|(key, text)| (key, json!(ByteString(text.into_bytes()))));
        let data =
            json!({ "data": serde_json::Map::from_iter(data.map(|(key, text)| (key.to_owned(), text))) });
        let (requests, resting) = (Arc::default(), Arc::default());
        let mut sightings = Sightings::start(scene).await?;
        let task = tokio::spawn({
            let (scene, requests, resting) = (scene.clone(), Arc::clone(&requests), Arc::clone(&resting));
            async move {
                while let Ok(sighting) = sightings.next().await {
                    let object = &sighting.object;
                    match sighting.kind {
                        "CertificateRequest" => note(&requests, object),
                        "Secret" if !sighting.gone && object.name_any() == SERVER => {
                            let other = object.data["data"]["tls.crt"] != data["data"]["tls.crt"];
                            if other && !AtomicBool::load(&resting, Ordering::SeqCst) {
                                overwrite(&scene, &data).await;
                            }
                        }
                        _ => {}
                    }
                }
            }
        });
        Ok(Self {
            pair,
            requests,
            resting,
            task,
        })
    }

    /// How many requests for the certificate there were so far.
    fn requests(&self) -> usize {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Lets the Secret be.
    fn rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(requests: &Mutex<BTreeSet<String>>, request: &DynamicObject) {
    let about = request.annotations().get("cert-manager.io/certificate-name");
    if about.is_some_and(|name| name == SERVER) {
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.extend(request.uid());
    }
}

async fn overwrite(scene: &Scene, data: &serde_json::Value) {
    let parameters = PatchParams {
        field_manager: Some(RIVAL.to_owned()),
        ..PatchParams::default()
    };
    let secrets = scene.api::<Secret>();
    if let Err(error) = secrets.patch(SERVER, &parameters, &Patch::Merge(data)).await {
        tracing::warn!(%error, "the rival could not write");
    }
}

/// A user asks for a certificate of his own in the very Secret. Old releases of cert-manager issued both in turns for
/// ever; whatever this one does, few requests are made, and the pool has its certificates.
async fn shared(context: Context) -> anyhow::Result<()> {
    let scene = context.quiet_scene("shared").await?;
    let mut operators = Vec::new();
    for name in ["ops-manager", "provisioner"] {
        let plan = context.plan(name, &scene).await?;
        operators.push(context.start(name, &scene, plan).await?);
    }
    let played = async {
        scene.apply(ISSUER).await?;
        scene.put(&fixtures::pgpool(scene.namespace())?).await?;
        scene.certificates_ready(POOL).await?;
        let theirs = Manifest(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": "theirs"},
            "spec": {
                "secretName": SERVER,
                "dnsNames": ["theirs.example.com"],
                "issuerRef": {"name": "platform-ca", "kind": "Issuer"},
            },
        }));
        scene.put(&theirs).await?;
        let requests = scene.cert_manager("CertificateRequest");
        wait::until("cert-manager has seen it", SOON, async || {
            let seen = scene.certificates().get("theirs").await?;
            ensure!(!seen.data["status"]["conditions"].is_null(), "not yet");
            Ok(())
        })
        .await?;
        wait::throughout("few requests are made", WATCHED, async || {
            let made = requests.list(&kube::api::ListParams::default()).await?.items;
            ensure!(made.len() <= MOST_REQUESTS, "{} requests stand", made.len());
            let server = scene.certificates().get_opt(SERVER).await?;
            let revision = server.map(|server| server.data["status"]["revision"].as_i64());
            let revision = revision.flatten().unwrap_or_default();
            ensure!(revision <= 2, "it was issued {revision} times");
            Ok(())
        })
        .await?;
        scene.certificates_ready(POOL).await
    };
    explained(played.await, || {
        operators
            .iter()
            .map(|operator| operator.said(""))
            .collect::<Vec<_>>()
            .join("\n")
    })
}
