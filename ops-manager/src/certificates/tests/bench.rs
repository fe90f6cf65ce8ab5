//! A scripted API server with a writer in front of it, and the calls that a reconcile makes.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::{Resource, ResourceExt};
use operator_runtime::Outcome;
use operator_runtime::testing::{Call, Running, Script};
use serde_json::{Value, json};
use shared_types::{Alias, Pgpool, PgpoolStatus, names};

use crate::cert_manager::Certificate;
use crate::certificates::converge;
use crate::certificates::error::Error;
use crate::certificates::observe::Observed;
use crate::context::Context;
use crate::fixtures::world::World;
use crate::fixtures::{at, change_secret, issued, now, pgpool, prepared};

pub(super) const CERTIFICATES: &str = "/apis/cert-manager.io/v1/namespaces/demo/certificates";
pub(super) const SECRETS: &str = "/api/v1/namespaces/demo/secrets";
pub(super) const STATUS: &str = "/apis/kubedb.com/v1alpha2/namespaces/demo/pgpools/pool/status";
pub(super) const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/demo/events";

pub(super) struct Bench {
    pub(super) context: Context,
    pub(super) script: Running,
}

impl Bench {
    pub(super) fn start(script: Script) -> Self {
        let (client, script) = script.start();
        Self {
            context: World::of([], []).context(&client),
            script,
        }
    }

    pub(super) async fn settle_at(
        &self,
        pgpool: &Pgpool,
        observed: &Observed,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        converge(pgpool, observed.clone(), &self.context, now).await
    }

    pub(super) async fn settle(&self, pgpool: &Pgpool, observed: &Observed) -> Result<Outcome, Error> {
        self.settle_at(pgpool, observed, now()).await
    }
}

pub(super) fn certificate_path(alias: Alias) -> String {
    format!("{CERTIFICATES}/{}", names::certificate(&pgpool(), alias))
}

pub(super) fn apply_certificate(alias: Alias) -> Call {
    Call::patch(certificate_path(alias))
        .query("fieldManager=pgpool-ops-manager")
        .query("force=true")
}

/// The Secret gets the Pgpool and its Certificate as owners.
pub(super) fn adopt_secret(alias: Alias) -> Call {
    adopt(alias, 2)
}

/// As [`adopt_secret`], for a Certificate whose UID is not known yet.
pub(super) fn adopt_without_certificate(alias: Alias) -> Call {
    adopt(alias, 1)
}

fn adopt(alias: Alias, owners: usize) -> Call {
    let name = names::certificate_secret(&pgpool(), alias);
    let uid = format!("uid-of-{name}");
    Call::patch(format!("{SECRETS}/{name}"))
        .query("fieldManager=pgpool-ops-manager")
        .check(move |body| {
            assert_eq!(
                body["metadata"]["uid"],
                json!(uid),
                "a Secret that is gone must not be created again"
            );
            assert_eq!(body["metadata"]["ownerReferences"][0]["name"], json!("pool"));
            assert_eq!(body["metadata"]["ownerReferences"][0].get("controller"), None);
            let named = body["metadata"]["ownerReferences"].as_array().unwrap();
            assert_eq!(named.len(), owners);
            let certificate = json!(names::certificate(&pgpool(), alias));
            assert!(
                named[1..].iter().all(|owner| owner["name"] == certificate),
                "{named:?}"
            );
            assert_eq!(body.get("data"), None);
        })
}

pub(super) fn write_status(ready: &'static str, reason: &'static str) -> Call {
    Call::patch(STATUS)
        .query("fieldManager=pgpool-ops-manager")
        .check(move |body| {
            let condition = &body["status"]["conditions"][0];
            assert_eq!(condition["type"], json!("CertificatesReady"));
            assert_eq!(
                (&condition["status"], &condition["reason"]),
                (&json!(ready), &json!(reason)),
                "{condition}"
            );
            assert_eq!(body["status"]["certificates"].as_array().map(Vec::len), Some(3));
            assert_eq!(
                body["status"].as_object().map(serde_json::Map::len),
                Some(2),
                "nothing else is ours"
            );
        })
        .reply(serde_json::to_value(pgpool()).unwrap())
}

pub(super) fn publish(kind: &'static str, reason: &'static str) -> Call {
    Call::post(EVENTS).check(move |body| {
        assert_eq!(
            (&body["type"], &body["reason"]),
            (&json!(kind), &json!(reason)),
            "{body}"
        );
    })
}

/// As [`issued`], with Certificates as they stand after we have applied them, and Secrets that we own.
pub(super) async fn standing(pgpool: &Pgpool) -> Observed {
    let stored: Arc<Mutex<Vec<Certificate>>> = Arc::default();
    let script = Alias::ALL
        .into_iter()
        .fold(Script::new().any_order(), |script, alias| {
            let stored = Arc::clone(&stored);
            script.expect(apply_certificate(alias).check(move |body| {
                let mut body = body.clone();
                body["metadata"]
                    .as_object_mut()
                    .unwrap()
                    .remove("resourceVersion");
                stored.lock().unwrap().push(serde_json::from_value(body).unwrap());
            }))
        });
    let bench = Bench::start(script);
    bench
        .settle_at(pgpool, &prepared(pgpool), at("2026-06-01T11:00:02Z"))
        .await
        .unwrap();
    bench.script.finish().await;

    let mut observed = issued(pgpool);
    for mut certificate in std::mem::take(&mut *stored.lock().unwrap()) {
        certificate.metadata.creation_timestamp = Some(Time(at("2026-06-01T11:00:02Z")));
        let name = certificate.name_any();
        let alias = Alias::ALL
            .into_iter()
            .find(|alias| names::certificate(pgpool, *alias) == name)
            .unwrap();
        certificate.metadata.uid = Some(format!("uid-of-{name}"));
        observed.children.get_mut(&alias).unwrap().certificate = Some(Arc::new(certificate));
    }
    for alias in Alias::ALL {
        let certificate = observed.children[&alias].certificate.clone().unwrap();
        change_secret(&mut observed, alias, |secret| {
            let owner = OwnerReference {
                controller: None,
                ..names::owner_reference(pgpool)
            };
            secret.metadata.owner_references =
                Some(vec![owner, certificate.as_ref().owner_ref(&()).unwrap()]);
        });
    }
    observed
}

/// A Pgpool with the status that a reconcile writes for what was observed.
pub(super) async fn settled(pgpool: Pgpool, observed: &Observed) -> Pgpool {
    let status: Arc<Mutex<Value>> = Arc::default();
    let script = {
        let status = Arc::clone(&status);
        let keep = move |body: &Value| *status.lock().unwrap() = body["status"].clone();
        Script::new().expect(write_status("True", "CertificatesIssued").check(keep))
    };
    let bench = Bench::start(script.expect(publish("Normal", "CertificatesIssued")));
    bench.settle(&pgpool, observed).await.unwrap();
    bench.script.finish().await;
    let status: PgpoolStatus = serde_json::from_value(status.lock().unwrap().clone()).unwrap();
    Pgpool {
        status: Some(status),
        ..pgpool
    }
}
