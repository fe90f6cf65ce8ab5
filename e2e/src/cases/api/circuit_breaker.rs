//! Loops in which the real cert-manager issues one certificate after the other: the number of
//! requests is limited, what runs is left alone, and issuing continues when a user resumes it.

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
use crate::namespace::cert_manager::{SERVER, wanted};
use crate::namespace::fixtures::{self, ISSUER, Manifest, POOL};
use crate::namespace::operator_process::{Operator, with_logs};
use crate::namespace::test_ca::{Pair, TestCa};
use crate::namespace::timeline::Timeline;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
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

/// How long nothing changes when all is done.
const CALM: Duration = Duration::from_secs(2);

/// How long the requests are watched.
const WATCHED: Duration = Duration::from_secs(4);

const RIVAL: &str = "external-secrets";

async fn overwritten(context: Context) -> anyhow::Result<()> {
    let ns = context.namespace_without_operators("overwritten").await?;
    let plan = context.plan("ops-manager", &ns).await?;
    let plan = plan.with("breaker-overwrites", &OVERWRITES.to_string());
    let mut ops_manager = context.start("ops-manager", &ns, plan).await?;
    let plan = context.plan("provisioner", &ns).await?;
    let provisioner = context.start("provisioner", &ns, plan).await?;
    let played = played(&ns, &mut ops_manager).await;
    with_logs(played, || {
        format!("{}\n{}", ops_manager.log_lines(""), provisioner.log_lines(""))
    })
}

async fn played(ns: &TestNamespace, ops_manager: &mut Operator) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    let rival = Rival::start(ns).await?;

    let place = format!("Secret {}/{SERVER}", ns.name());
    let words = [place.as_str(), RIVAL, names::ANNOTATION_RESUME_CERTIFICATES];
    ns.certificates_not_ready(POOL, Reason::CircuitOpen, &words)
        .await?;
    wait::gone(&ns.certificates(), SERVER, SOON).await?;
    ns.certificate("pool-client-cert").await?;
    ended(ns, &rival).await?;

    // A new process, which has seen nothing of this, does not start it again.
    ops_manager.kill();
    ops_manager.begin()?;
    ops_manager.ready().await?;
    ended(ns, &rival).await.context("after a restart")?;
    ns.certificates_not_ready(POOL, Reason::CircuitOpen, &words)
        .await?;

    rival.rest();
    let resume = json!({"metadata": {"annotations": {names::ANNOTATION_RESUME_CERTIFICATES: "now"}}});
    let api = ns.api::<Pgpool>();
    api.patch(POOL, &PatchParams::default(), &Patch::Merge(&resume))
        .await
        .context("resuming")?;
    ns.certificates_ready(POOL).await?;
    ns.certificate(SERVER).await?;
    wait::until("cert-manager has issued it once more", SOON, async || {
        let now = ns.secret_text(SERVER, "tls.crt").await?;
        ensure!(now != rival.pair.certificate, "the rival's is still there");
        Ok(())
    })
    .await?;
    ns.certificates_ready(POOL).await
}

/// Nothing is requested, and the workload stays as it is.
async fn ended(ns: &TestNamespace, rival: &Rival) -> anyhow::Result<()> {
    // What was under way when the Certificate was withdrawn comes to its end first, and is seen a moment later still.
    let what = "the requests, and the workload";
    let standing = async || standing(ns, rival).await;
    let (requested, before) = wait::settled(what, CALM, SOON, standing).await?;
    ensure!(requested <= MOST_REQUESTS, "{requested} requests were made");
    wait::throughout("nothing is requested", WATCHED, async || {
        let (now, workload) = self::standing(ns, rival).await?;
        ensure!(now == requested, "{} more requests were made", now - requested);
        let certificate = ns.certificates().get_opt(SERVER).await?;
        ensure!(certificate.is_none(), "the Certificate came back");
        ensure!(workload == before, "the workload was changed");
        Ok(())
    })
    .await
}

/// How many requests there were so far, and what the workload is.
async fn standing(ns: &TestNamespace, rival: &Rival) -> anyhow::Result<(usize, Option<StatefulSetSpec>)> {
    let workload = ns.api::<StatefulSet>().get(POOL).await?;
    Ok((rival.requests(), workload.spec))
}

/// Writes its own pair whenever the Secret contains another one, and counts the reactions of cert-manager.
struct Rival {
    pair: Pair,
    requests: Arc<Mutex<BTreeSet<String>>>,
    resting: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Rival {
    async fn start(ns: &TestNamespace) -> anyhow::Result<Self> {
        let ca = TestCa::new("elsewhere")?;
        let pair = ca.issue(&wanted(&ns.certificate(SERVER).await?)?)?;
        let data = [
            ("tls.crt", pair.certificate.clone()),
            ("tls.key", pair.key.clone()),
            ("ca.crt", ca.certificate()),
        ];
        let data = data.map(|(key, text)| (key, json!(ByteString(text.into_bytes()))));
        let data =
            json!({ "data": serde_json::Map::from_iter(data.map(|(key, text)| (key.to_owned(), text))) });
        let (requests, resting) = (Arc::default(), Arc::default());
        let mut timeline = Timeline::start(ns).await?;
        let task = tokio::spawn({
            let (ns, requests, resting) = (ns.clone(), Arc::clone(&requests), Arc::clone(&resting));
            async move {
                while let Ok(observation) = timeline.next().await {
                    let object = &observation.object;
                    match observation.kind {
                        "CertificateRequest" => note(&requests, object),
                        "Secret" if !observation.gone && object.name_any() == SERVER => {
                            let other = object.data["data"]["tls.crt"] != data["data"]["tls.crt"];
                            if other && !AtomicBool::load(&resting, Ordering::SeqCst) {
                                overwrite(&ns, &data).await;
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

async fn overwrite(ns: &TestNamespace, data: &serde_json::Value) {
    let parameters = PatchParams {
        field_manager: Some(RIVAL.to_owned()),
        ..PatchParams::default()
    };
    let secrets = ns.api::<Secret>();
    if let Err(error) = secrets.patch(SERVER, &parameters, &Patch::Merge(data)).await {
        tracing::warn!(%error, "the rival could not write");
    }
}

/// A user asks for a certificate of his own in the very Secret. Old releases of cert-manager issued both in turns for
/// ever; whatever this one does, few requests are made, and the pool has its certificates.
async fn shared(context: Context) -> anyhow::Result<()> {
    let ns = context.namespace_without_operators("shared").await?;
    let mut operators = Vec::new();
    for name in ["ops-manager", "provisioner"] {
        let plan = context.plan(name, &ns).await?;
        operators.push(context.start(name, &ns, plan).await?);
    }
    let played = async {
        ns.apply(ISSUER).await?;
        ns.put(&fixtures::pgpool(ns.name())?).await?;
        ns.certificates_ready(POOL).await?;
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
        ns.put(&theirs).await?;
        let requests = ns.cert_manager("CertificateRequest");
        wait::until("cert-manager has seen it", SOON, async || {
            let seen = ns.certificates().get("theirs").await?;
            ensure!(!seen.data["status"]["conditions"].is_null(), "not yet");
            Ok(())
        })
        .await?;
        wait::throughout("few requests are made", WATCHED, async || {
            let made = requests.list(&kube::api::ListParams::default()).await?.items;
            ensure!(made.len() <= MOST_REQUESTS, "{} requests exist", made.len());
            let server = ns.certificates().get_opt(SERVER).await?;
            let revision = server.map(|server| server.data["status"]["revision"].as_i64());
            let revision = revision.flatten().unwrap_or_default();
            ensure!(revision <= 2, "it was issued {revision} times");
            Ok(())
        })
        .await?;
        ns.certificates_ready(POOL).await
    };
    with_logs(played.await, || {
        operators
            .iter()
            .map(|operator| operator.log_lines(""))
            .collect::<Vec<_>>()
            .join("\n")
    })
}
