//! Sends marked Secrets through every path, with the filter at `trace`, and searches all output for the mark.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::client::Body;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use serde_json::{Value, json};

use super::*;
use crate::apply::{Applier, Subject};
use crate::claim::Claim;
use crate::named_watches::Named;
use crate::runtime::Runtime;
use crate::testing::FakeApi;

const MARK: &str = "MARKED-SECRET";

fn claim() -> Claim {
    Claim::new(
        OwnerReference::default(),
        [("owner".to_owned(), "test".to_owned())].into(),
    )
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn everything(format: LogFormat, output: &Output) -> impl Subscriber + Send + Sync + use<> {
    let args = LogArgs {
        log_format: format,
        log_filter: "trace,kube_client=trace,kube_client::client=trace".to_owned(),
    };
    let output = output.clone();
    subscriber(&args, move || output.clone()).unwrap()
}

fn secret(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": "ns", "annotations": { "a": MARK }, "labels": { "l": MARK } },
        "data": data,
    })
}

/// A server whose every response has this status and text.
fn answering(code: u16, text: String) -> Client {
    let service = tower::service_fn(move |_: Request<Body>| {
        let text = text.clone().into_bytes();
        async move { Response::builder().status(code).body(Body::from(text)) }
    });
    Client::new(service, "default")
}

/// Objects of which some cannot be decoded: listed, watched, and watched by name.
async fn objects() {
    let api = FakeApi::default();
    let good = json!({ "key": "TUFSS0VELVNFQ1JFVA==" });
    api.put("secrets", &secret("good", &good));
    api.put("secrets", &secret("bad", &json!({ "key": MARK })));
    let mut runtime = Runtime::for_test(api.client());
    let (cache, changes) = runtime.watch::<Secret>(watcher::Config::default(), |_| {});
    let named = Named::<Secret, Secret>::new(&mut runtime, |_| {});
    named.follow(
        &ObjectRef::new("who"),
        &[
            ("ns".to_owned(), "bad".to_owned()),
            ("ns".to_owned(), "good".to_owned()),
        ],
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    api.put("secrets", &secret("good", &json!({ "key": [MARK] })));
    api.put("secrets", &secret("late", &json!(MARK)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    api.lose("secrets", &secret("late", &json!(MARK)));
    tokio::time::sleep(Duration::from_mins(1)).await;
    let found = cache.get(Some("ns"), "good").unwrap();
    let (lookup, why) = (named.lookup("ns", "good"), cache.undecodable(Some("ns"), "good"));
    tracing::error!(?cache, ?lookup, ?why, ?named, ?runtime, "own types");
    let applied = Applier::new(api.client(), "test", "hash")
        .apply(&claim(), found.as_ref(), None)
        .await;
    tracing::error!(?applied, "what was written");
    drop(changes);
}

/// Responses that are no objects, and refusals that quote them.
async fn responses() {
    let refusal = |code: u16, message: String| json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": code, "message": message });
    let cut_off = format!(r#"{{"kind":"SecretList","metadata":{{}},"items":[{{"data":{{"k":"{MARK}"#);
    let listed = json!({ "kind": "SecretList", "metadata": 5, "items": [secret("x", &json!({"k": MARK}))] });
    let rows = [
        (200, cut_off),
        (200, listed.to_string()),
        (200, MARK.to_owned()),
        (500, MARK.to_owned()),
        (
            422,
            refusal(
                422,
                format!(r#"Secret "s" is invalid: data: Invalid value: "{MARK}": no"#),
            )
            .to_string(),
        ),
        (
            422,
            refusal(422, format!("data: Invalid value: {MARK}: no")).to_string(),
        ),
        (400, refusal(400, format!(r#"cannot parse "{MARK}""#)).to_string()),
        (
            403,
            refusal(403, format!(r#"a.b: Invalid value: {{"c":"{MARK}"}}: no"#)).to_string(),
        ),
    ];
    for (code, text) in rows {
        let client = answering(code, text);
        let runtime = {
            let mut runtime = Runtime::for_test(client.clone());
            let (cache, _changes) = runtime.watch::<Secret>(watcher::Config::default(), |_| {});
            tokio::time::sleep(Duration::from_secs(30)).await;
            tracing::error!(?cache, closed = ?runtime.gates().closed(), "a list");
            runtime
        };
        let mut object: Secret =
            serde_json::from_value(secret("s", &json!({ "key": "TUFSS0VELVNFQ1JFVA==" }))).unwrap();
        object.metadata.labels = Some([("owner".to_owned(), "test".to_owned())].into());
        let applier = Applier::new(client.clone(), "test", "hash");
        let failures = [
            applier.apply(&claim(), &object, None).await.err(),
            applier.create(&object).await.err(),
            applier.delete(&claim(), &object).await.err(),
        ];
        for error in failures.into_iter().flatten() {
            tracing::error!(%error, chain = crate::error_chain(&error), "a write");
        }
        runtime
            .events()
            .warning(&object, "Testing", "Reason", "note")
            .await;
        let subject = Subject::named::<Secret>("ns", "s");
        tracing::error!(?subject, "its subject");
    }
}

#[test]
fn no_filter_makes_a_secret_visible() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let output = Output::default();
        tracing::subscriber::with_default(everything(format, &output), || {
            let executor = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            executor.block_on(async {
                objects().await;
                responses().await;
            });
            tracing::warn!(target: "kube_client::client", "{MARK}");
            tracing::error!(target: "provisioners", "{MARK}");
        });
        let output = output.text();
        assert!(output.contains("left an object out"), "{output}");
        assert!(
            output.contains("own types") && output.contains("a write"),
            "{output}"
        );
        for line in output.lines() {
            assert!(!line.contains(MARK) && !line.contains("TUFSS0VE"), "{line}");
        }
    }
}
