//! What a reconcile sends, in what order, and that one which comes after a kill does nothing twice.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::testing::{Call, Running, Script, TestCache};
use serde_json::{Value, json};
use shared_types::conditions::OpsCondition;
use shared_types::ops_request::{OpsPhase, OpsType};
use shared_types::{Alias, Pgpool, limits, names};

use super::*;
use crate::caches::mapping;
use crate::cert_manager::Certificate;
use crate::fixtures::now;
use crate::fixtures::ops::{created, finished_at, ready, request, shown};
use crate::fixtures::world::World;

const POOL: &str = "/apis/kubedb.com/v1alpha2/namespaces/demo/pgpools/pool";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/demo/events";
const AUTH: &str = "/api/v1/namespaces/demo/secrets/pool-auth";

/// A controller with a cluster in memory and an API server that follows a script.
struct Bench {
    requests: TestCache<PgpoolOpsRequest>,
    pgpools: TestCache<Pgpool>,
    certificates: TestCache<Certificate>,
    context: Arc<Context>,
    script: Running,
}

impl Bench {
    fn start(script: Script, requests: &[&PgpoolOpsRequest], pgpool: Pgpool) -> Self {
        let (client, script) = script.start();
        let requests = TestCache::of(requests.iter().copied().cloned());
        let pgpools = TestCache::of([pgpool]);
        let certificates = TestCache::of([]);
        let world = World::of([], []);
        let mut context = world.context(&client);
        context.caches.requests = requests.cache.clone();
        context.caches.pgpools = pgpools.cache.clone();
        context.caches.certificates = certificates.cache.clone();
        let context = Arc::new(context);
        Self {
            requests,
            pgpools,
            certificates,
            context,
            script,
        }
    }

    async fn settle(&self, request: &PgpoolOpsRequest) -> Result<Outcome, Error> {
        converge(request, &self.context, now()).await
    }

    /// The request as it stands after what was written.
    fn standing(&self, request: &PgpoolOpsRequest) -> PgpoolOpsRequest {
        PgpoolOpsRequest {
            status: Some(observe::status(&self.context, request)),
            ..request.clone()
        }
    }
}

fn scale(name: &str) -> PgpoolOpsRequest {
    request(name, OpsType::HorizontalScaling, "horizontalScaling: {node: 3}")
}

fn status(name: &str, phase: &'static str, last: &'static str) -> Call {
    Call::patch(format!(
        "/apis/ops.kubedb.com/v1alpha1/namespaces/demo/pgpoolopsrequests/{name}/status"
    ))
    .query("fieldManager=pgpool-ops-manager")
    .check(move |body| {
        assert_eq!(body["status"]["phase"], json!(phase), "{body}");
        let conditions = body["status"]["conditions"].as_array().unwrap();
        assert_eq!(conditions.last().unwrap()["type"], json!(last), "{body}");
    })
    .reply(serde_json::to_value(scale("one")).unwrap())
}

fn event(reason: &'static str) -> Call {
    Call::post(EVENTS).check(move |body| assert_eq!(body["reason"], json!(reason), "{body}"))
}

fn read(pgpool: &Pgpool) -> Call {
    Call::get(POOL).reply(serde_json::to_value(pgpool).unwrap())
}

/// A Pgpool whose spec says what was asked for, and of which nobody has taken note.
fn edited() -> Pgpool {
    let mut pgpool = ready(1);
    pgpool.metadata.generation = Some(2);
    pgpool.metadata.resource_version = Some("200".into());
    pgpool.spec.replicas = Some(3);
    pgpool
}

fn patch(version: &'static str) -> Call {
    Call::patch(POOL)
        .query("fieldManager=pgpool-ops-manager")
        .check(move |body| {
            assert_eq!(
                body["metadata"]["resourceVersion"],
                json!(version),
                "bound to what was read"
            );
            assert_eq!(
                body["spec"],
                json!({"replicas": 3}),
                "and nothing else of the spec"
            );
        })
}

fn begun_with(
    request: &PgpoolOpsRequest,
    change: impl FnOnce(&mut PgpoolOpsRequestStatus),
) -> PgpoolOpsRequest {
    let mut status = report::started(request, Vec::new(), now());
    change(&mut status);
    PgpoolOpsRequest {
        status: Some(status),
        ..request.clone()
    }
}

fn reply(pgpool: &Pgpool) -> Value {
    serde_json::to_value(pgpool).unwrap()
}

#[tokio::test]
async fn a_request_is_begun_carried_out_waited_for_and_ended() {
    let one = scale("one");
    let script = Script::new()
        .expect(status("one", "Progressing", "Reconciling"))
        .expect(event("Starting"))
        .expect(read(&ready(1)))
        .expect(patch("100").reply(reply(&edited())))
        .expect(status("one", "Progressing", "Reconciling").check(|body| {
            assert_eq!(body["status"]["databaseGeneration"], json!(2));
            assert_eq!(body["status"]["conditions"][1]["type"], json!("UpdateDatabase"));
        }))
        .expect(status("one", "Successful", "Successful"))
        .expect(event("Successful"));
    let bench = Bench::start(script, &[&one], ready(1));
    let outcome = bench.settle(&one).await.unwrap();
    assert_eq!(
        outcome,
        Outcome::Waiting {
            reason: "WaitingForPgpool",
            after: Some(limits::DEFAULT_TIMEOUT)
        }
    );
    // Woken by its own writes, before the caches show them: the pool they show is ready, and has too few pods.
    bench.settle(&one).await.unwrap();
    bench.pgpools.apply(ready(2));
    assert_eq!(bench.settle(&one).await.unwrap(), Outcome::Converged);
    let standing = bench.standing(&one);
    assert_eq!(
        shown(standing.status.as_ref().unwrap()),
        [
            "HorizontalScaling",
            "UpdateDatabase",
            "HorizontalScale",
            "Successful"
        ]
    );
    assert_eq!(
        bench.settle(&one).await.unwrap(),
        Outcome::Converged,
        "without a request"
    );
    bench.script.finish().await;
}

#[tokio::test]
async fn killed_before_the_change_it_is_made_by_the_next() {
    let one = begun_with(&scale("one"), |_| ());
    let script = Script::new()
        .expect(read(&ready(1)))
        .expect(patch("100").reply(reply(&edited())))
        .expect(status("one", "Progressing", "Reconciling"));
    let bench = Bench::start(script, &[&one], ready(1));
    bench.settle(&one).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn killed_after_the_change_it_is_not_made_again() {
    let one = begun_with(&scale("one"), |_| ());
    let script = Script::new().expect(read(&edited())).expect(
        status("one", "Progressing", "Reconciling")
            .check(|body| assert_eq!(body["status"]["databaseGeneration"], json!(2))),
    );
    let bench = Bench::start(script, &[&one], edited());
    bench.settle(&one).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn killed_while_it_waits_it_goes_on_waiting() {
    let scaling = scale("one");
    let one = begun_with(&scaling, |status| {
        status.database_generation = Some(2);
        report::step_done(
            &scaling,
            status,
            OpsCondition::UpdateDatabase,
            "Changed".into(),
            now(),
        );
    });
    // A user may have scaled it otherwise since: that is not undone.
    let mut other = ready(3);
    other.spec.replicas = Some(5);
    let script = Script::new()
        .expect(status("one", "Successful", "Successful"))
        .expect(event("Successful"));
    let bench = Bench::start(script, &[&one], other);
    bench.settle(&one).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn an_edit_that_comes_between_is_kept() {
    let one = begun_with(&scale("one"), |_| ());
    let mut meanwhile = ready(2);
    meanwhile.spec.sync_users = Some(true);
    let script = Script::new()
        .expect(read(&ready(1)))
        .expect(patch("100").refuse(409, "Conflict", "the object has been modified"))
        .expect(read(&meanwhile))
        .expect(patch("200").reply(reply(&edited())))
        .expect(status("one", "Progressing", "Reconciling"));
    let bench = Bench::start(script, &[&one], ready(1));
    bench.settle(&one).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn what_the_api_server_does_not_take_ends_the_request() {
    let one = begun_with(&scale("one"), |_| ());
    let script = Script::new()
        .expect(read(&ready(1)))
        .expect(patch("100").refuse(422, "Invalid", "spec.replicas: at most 9"))
        .expect(status("one", "Failed", "Failed").check(|body| {
            let conditions = body["status"]["conditions"].as_array().unwrap();
            let failed = conditions.last().unwrap();
            assert_eq!(failed["reason"], json!("ChangeRejected"));
            assert!(
                failed["message"].as_str().unwrap().contains("at most 9"),
                "{failed}"
            );
        }))
        .expect(event("Failed"));
    let bench = Bench::start(script, &[&one], ready(1));
    assert_eq!(bench.settle(&one).await.unwrap(), Outcome::Converged);
    bench.script.finish().await;
}

#[tokio::test]
async fn a_failure_of_the_api_server_ends_nothing() {
    let one = begun_with(&scale("one"), |_| ());
    let script =
        Script::new()
            .expect(read(&ready(1)))
            .expect(patch("100").refuse(503, "ServiceUnavailable", "later"));
    let bench = Bench::start(script, &[&one], ready(1));
    bench.settle(&one).await.unwrap_err();
    bench.script.finish().await;
}

#[tokio::test]
async fn of_two_that_are_there_at_once_one_begins() {
    let [one, two] = [
        created(scale("one"), "2026-06-01T11:00:00Z"),
        created(request("two", OpsType::Restart, "{}"), "2026-06-01T11:30:00Z"),
    ];
    let script = Script::new()
        .expect(status("two", "Pending", "Reconciling"))
        .expect(status("one", "Progressing", "Reconciling"))
        .expect(event("Starting"))
        .expect(read(&ready(1)))
        .expect(patch("100").reply(reply(&edited())))
        .expect(status("one", "Progressing", "Reconciling"));
    let bench = Bench::start(script, &[&one, &two], ready(1));
    bench.settle(&two).await.unwrap();
    bench.settle(&one).await.unwrap();
    // Still behind, though the cache shows nothing of what was written; and nothing new to say.
    let outcome = bench.settle(&two).await.unwrap();
    assert_eq!(outcome.reason(), Some("Queued"));
    bench.script.finish().await;
}

#[tokio::test]
async fn an_older_one_of_the_same_type_gives_way() {
    let [one, two] = [
        created(scale("one"), "2026-06-01T11:00:00Z"),
        created(scale("two"), "2026-06-01T11:30:00Z"),
    ];
    let script = Script::new()
        .expect(status("one", "Skipped", "Skipped"))
        .expect(event("Skipped"));
    let bench = Bench::start(script, &[&one, &two], ready(1));
    assert_eq!(bench.settle(&one).await.unwrap(), Outcome::Converged);
    bench.script.finish().await;
}

fn auth_secret(mark: Option<&str>) -> Secret {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "pool-auth", "namespace": "demo", "uid": "uid-of-auth", "resourceVersion": "77",
            "annotations": mark.map(|mark| json!({names::ANNOTATION_ROTATED_BY: mark})),
            "labels": names::selector_labels("pool"),
        },
        "type": "kubernetes.io/basic-auth",
        // pcp, secret
        "data": {"username": "cGNw", "password": "c2VjcmV0"},
    }))
    .unwrap()
}

fn auth(mark: Option<&str>) -> Call {
    Call::get(AUTH).reply(serde_json::to_value(auth_secret(mark)).unwrap())
}

fn pcp_path() -> String {
    format!("/api/v1/namespaces/demo/secrets/{}", names::pcp_secret(&ready(1)))
}

fn pcp_conf(line: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pcp", "namespace": "demo"},
        "data": {"pcp.conf": k8s_openapi::ByteString(line.into())},
    })
}

#[tokio::test]
async fn a_password_is_made_once_and_the_one_before_is_kept() {
    let one = begun_with(&request("one", OpsType::RotateAuth, "{}"), |_| ());
    let script = Script::new()
        .expect(auth(None))
        .expect(
            Call::patch(AUTH)
                .check(|body| {
                    assert_eq!(body["metadata"]["resourceVersion"], json!("77"));
                    assert_eq!(
                        body["metadata"]["annotations"][names::ANNOTATION_ROTATED_BY],
                        json!("uid-of-one")
                    );
                    let data = &body["data"];
                    assert_eq!(data["username.prev"], json!("cGNw"));
                    assert_eq!(data["password.prev"], json!("c2VjcmV0"));
                    assert_eq!(data.get("username"), None, "the name stays");
                    let password = data["password"].as_str().unwrap();
                    assert!(
                        password.len() == 24 && password != "c2VjcmV0",
                        "16 characters, encoded"
                    );
                })
                .reply(serde_json::to_value(auth_secret(Some("uid-of-one"))).unwrap()),
        )
        .expect(auth(Some("uid-of-one")))
        .expect(Call::get(pcp_path()).reply(pcp_conf("pcp:of-before\n")))
        .expect(status("one", "Progressing", "Reconciling"));
    let bench = Bench::start(script, &[&one], ready(1));
    let outcome = bench.settle(&one).await.unwrap();
    assert_eq!(outcome.reason(), Some("WaitingForControlPort"));
    bench.script.finish().await;
}

#[tokio::test]
async fn killed_after_it_was_made_no_other_password_is_made() {
    let one = begun_with(&request("one", OpsType::RotateAuth, "{}"), |_| ());
    let script = Script::new()
        .expect(auth(Some("uid-of-one")))
        .expect(auth(Some("uid-of-one")))
        // md5 of "secret"
        .expect(Call::get(pcp_path()).reply(pcp_conf("pcp:5ebe2294ecd0e0f08eab7690d2a6ee69\n")))
        .expect(status("one", "Successful", "Successful"))
        .expect(event("Successful"));
    let bench = Bench::start(script, &[&one], ready(1));
    assert_eq!(bench.settle(&one).await.unwrap(), Outcome::Converged);
    bench.script.finish().await;
}

/// What makes the Secret of the PCP user someone else's.
fn foreign_secrets() -> Vec<(&'static str, Value)> {
    let pgpool = ready(1);
    let owner = |field: &str, value: &str| {
        let mut owner = serde_json::to_value(names::owner_reference(&pgpool)).unwrap();
        owner[field] = json!(value);
        json!([owner])
    };
    vec![
        ("no labels", json!({"metadata": {"labels": null}})),
        (
            "labels of another",
            json!({"metadata": {"labels": names::selector_labels("other")}}),
        ),
        (
            "labels of a database of that name",
            json!({"metadata": {"labels": {names::LABEL_NAME: names::POSTGRES}}}),
        ),
        (
            "another controller",
            json!({"metadata": {"ownerReferences": owner("name", "other")}}),
        ),
        (
            "another kind of controller",
            json!({"metadata": {"ownerReferences": owner("kind", "Postgres")}}),
        ),
        (
            "of a deleted namesake, without labels",
            json!({"metadata": {"labels": null, "ownerReferences": owner("uid", "gone")}}),
        ),
        ("an immutable one", json!({"immutable": true})),
        ("a certificate", json!({"type": "kubernetes.io/tls"})),
        ("no type", json!({"type": null})),
        // As if it had been rotated before: the mark is anybody's to set.
        (
            "marked",
            json!({"metadata": {"labels": null, "annotations": {names::ANNOTATION_ROTATED_BY: "uid-of-one"}}}),
        ),
    ]
}

#[tokio::test]
async fn a_secret_of_someone_else_gets_no_password() {
    for (what, change) in foreign_secrets() {
        let mut secret = serde_json::to_value(auth_secret(None)).unwrap();
        merge(&mut secret, &change);
        let one = begun_with(&request("one", OpsType::RotateAuth, "{}"), |_| ());
        let failed =
            Call::patch("/apis/ops.kubedb.com/v1alpha1/namespaces/demo/pgpoolopsrequests/one/status")
                .check(|body| {
                    let conditions = body["status"]["conditions"].as_array().unwrap();
                    let failed = conditions
                        .iter()
                        .find(|it| it["type"] == json!("Failed"))
                        .unwrap();
                    assert_eq!(failed["reason"], json!("SecretExternallyManaged"));
                    let message = failed["message"].as_str().unwrap();
                    assert!(
                        message.contains("Secret demo/pool-auth was not generated"),
                        "{message}"
                    );
                })
                .reply(serde_json::to_value(scale("one")).unwrap());
        // It is read, and nothing is written to it.
        let script = Script::new()
            .expect(Call::get(AUTH).reply(secret))
            .expect(failed)
            .expect(event("Failed"));
        let bench = Bench::start(script, &[&one], ready(1));
        let outcome = bench.settle(&one).await.unwrap();
        assert_eq!(outcome, Outcome::Converged, "{what}");
        bench.script.finish().await;
    }
}

fn merge(base: &mut Value, change: &Value) {
    match (base, change) {
        (Value::Object(base), Value::Object(change)) => {
            for (key, value) in change {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, change) => *base = change.clone(),
    }
}

fn certificate(alias: Alias, revision: i64, issuing: bool) -> Certificate {
    let pgpool = ready(1);
    let name = names::certificate(&pgpool, alias);
    serde_json::from_value(json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
        "metadata": {
            "name": name, "namespace": "demo", "uid": format!("uid-of-{name}"), "resourceVersion": "9",
            "labels": names::offshoot_labels(&pgpool), "ownerReferences": [names::owner_reference(&pgpool)],
        },
        "spec": {"secretName": name, "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": "ca"}},
        "status": {"revision": revision, "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Issuing", "status": if issuing { "True" } else { "False" }},
        ]},
    }))
    .unwrap()
}

fn ask(alias: Alias) -> Call {
    let certificate = certificate(alias, 1, true);
    let path = format!(
        "/apis/cert-manager.io/v1/namespaces/demo/certificates/{}/status",
        certificate.name_any()
    );
    Call::patch(path).reply(serde_json::to_value(certificate).unwrap())
}

#[tokio::test]
async fn each_certificate_is_asked_for_once() {
    let rotate = request("one", OpsType::ReconfigureTls, "tls: {rotateCertificates: true}");
    let script = Script::new()
        .expect(status("one", "Progressing", "Reconciling").check(|body| {
            let replaced = body["status"]["replacedCertificates"].as_array().unwrap();
            assert_eq!(
                replaced[0],
                json!({"alias": "server", "revision": 1, "fingerprint": "old-server"})
            );
            assert_eq!(replaced.len(), 3, "noted before anything is asked for");
        }))
        .expect(event("Starting"))
        .expect(ask(Alias::Server))
        .expect(ask(Alias::Client))
        .expect(ask(Alias::MetricsExporter))
        .expect(status("one", "Progressing", "Reconciling"));
    let bench = Bench::start(script, &[&rotate], ready(1));
    for alias in Alias::ALL {
        bench.certificates.apply(certificate(alias, 1, false));
    }
    bench.settle(&rotate).await.unwrap();
    // The caches show nothing of it yet.
    bench.settle(&rotate).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn killed_between_certificates_the_rest_is_asked_for() {
    let rotate = request("one", OpsType::ReconfigureTls, "tls: {rotateCertificates: true}");
    let facts = Facts {
        pgpool: Some(Arc::new(ready(1))),
        certificates: Alias::ALL
            .iter()
            .map(|alias| (*alias, Arc::new(certificate(*alias, 1, false))))
            .collect(),
        control_port: None,
    };
    let one = begun_with(&rotate, |status| {
        status.replaced_certificates = decide::certificates_to_replace(&rotate, &facts);
    });
    let script =
        Script::new()
            .expect(ask(Alias::MetricsExporter))
            .expect(status("one", "Progressing", "Reconciling"));
    let bench = Bench::start(script, &[&one], ready(1));
    bench.certificates.apply(certificate(Alias::Server, 2, false));
    bench.certificates.apply(certificate(Alias::Client, 1, true));
    bench
        .certificates
        .apply(certificate(Alias::MetricsExporter, 1, false));
    bench.settle(&one).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn nobody_is_woken_by_pools_and_requests_that_are_over() {
    let one = scale("one");
    let over = begun_with(&scale("two"), |status| status.phase = Some(OpsPhase::Successful));
    let elsewhere = PgpoolOpsRequest {
        metadata: kube::api::ObjectMeta {
            namespace: Some("other".into()),
            ..scale("three").metadata
        },
        ..scale("three")
    };
    let requests = TestCache::of([one.clone(), over.clone(), elsewhere]);
    let woken = mapping::next_requests(&requests.cache.of_instance("demo", "pool"));
    assert_eq!(woken, [ObjectRef::from_obj(&one)]);
    let (client, script) = Script::new().start();
    let bench = Bench::start(Script::new(), &[&over], ready(1));
    drop(client);
    assert_eq!(
        reconcile(Arc::new(over), Arc::clone(&bench.context))
            .await
            .unwrap(),
        Outcome::Converged
    );
    bench.script.finish().await;
    script.finish().await;
    assert_eq!(bench.requests.cache.list().len(), 1);
}

#[tokio::test]
async fn a_finished_request_is_deleted_when_its_time_has_come() {
    let mut brief = finished_at(
        request("brief", OpsType::Restart, "{ttlSecondsAfterFinished: 0}"),
        "2026-06-01T11:00:00Z",
    );
    brief.metadata.resource_version = Some("7".into());
    let deletion = Call::delete("/apis/ops.kubedb.com/v1alpha1/namespaces/demo/pgpoolopsrequests/brief")
        .check(|body| {
            let expected = json!({"uid": "uid-of-brief", "resourceVersion": "7"});
            assert_eq!(body["preconditions"], expected, "{body}");
        })
        .reply(serde_json::to_value(&brief).unwrap());
    let bench = Bench::start(Script::new().expect(deletion), &[&brief], ready(1));
    let outcome = reconcile(Arc::new(brief), Arc::clone(&bench.context)).await;
    assert_eq!(outcome.unwrap(), Outcome::Converged);
    bench.script.finish().await;
}

#[tokio::test]
async fn only_as_many_finished_requests_are_kept() {
    let all: Vec<_> = (0..=limits::FINISHED_REQUESTS)
        .map(|number| {
            let time = format!("2026-06-01T11:{:02}:{:02}Z", number / 60, number % 60);
            finished_at(request(&format!("r{number}"), OpsType::Restart, "{}"), &time)
        })
        .collect();
    let deletion = Call::delete("/apis/ops.kubedb.com/v1alpha1/namespaces/demo/pgpoolopsrequests/r0").refuse(
        409,
        "Conflict",
        "it has changed",
    );
    let bench = Bench::start(
        Script::new().expect(deletion),
        &all.iter().collect::<Vec<_>>(),
        ready(1),
    );
    for request in all.into_iter().rev() {
        reconcile(Arc::new(request), Arc::clone(&bench.context))
            .await
            .unwrap();
    }
    bench.script.finish().await;
}

#[tokio::test]
async fn a_request_that_cannot_end_gives_way_after_the_default_timeout() {
    let mut stuck = begun_with(&scale("stuck"), |status| {
        status.database_generation = Some(9);
        report::step_done(
            &scale("stuck"),
            status,
            OpsCondition::UpdateDatabase,
            "Changed".into(),
            now(),
        );
    });
    let script = Script::new()
        .expect(status("stuck", "Failed", "Failed"))
        .expect(event("Failed"));
    let bench = Bench::start(script, &[&stuck], ready(1));
    let nearly = now().checked_add(limits::DEFAULT_TIMEOUT).unwrap();
    stuck.spec.timeout = Some(shared_types::object::GoDuration("no duration".into()));
    converge(&stuck, &bench.context, nearly).await.unwrap();
    bench.script.finish().await;
}
