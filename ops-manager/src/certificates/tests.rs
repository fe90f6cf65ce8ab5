//! What a reconcile sends, in what order, and that a second one sends nothing.

mod bench;
mod ca_migration;
mod faults;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::testing::{Call, Script};
use operator_runtime::{Classified, Lookup, Outcome};
use proto::verdict::{PgpoolId, Verdict};
use serde_json::{Value, json};
use shared_types::conditions::Reason;
use shared_types::{Alias, Pgpool, names};

use super::observe::IssuerState;
use super::reconcile;
use crate::fixtures::world::{World, issuer};
use crate::fixtures::{built, change_secret, issued, now, pgpool, pgpool_with, prepared};
use bench::{
    Bench, STATUS, adopt_secret, adopt_without_certificate, apply_certificate, certificate_path, publish,
    settled, standing, write_status,
};

#[tokio::test]
async fn a_new_pgpool_costs_three_requests_and_no_status() {
    let pgpool = pgpool();
    let script = Alias::ALL
        .into_iter()
        .fold(Script::new().any_order(), |script, alias| {
            script.expect(apply_certificate(alias).check(move |body| {
                assert_eq!(
                    body["spec"]["secretName"],
                    json!(names::certificate_secret(&self::pgpool(), alias))
                );
                assert_eq!(body.get("status"), None);
            }))
        });
    let bench = Bench::start(script);
    // The Pgpool may be old: what was requested a moment ago is not reported as missing.
    let outcome = bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap();
    assert!(
        matches!(
            outcome,
            Outcome::Waiting {
                reason: "Issuing",
                after: Some(_)
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(
        bench
            .context
            .verdicts
            .get("demo", "pool")
            .and_then(|verdict| verdict.reason),
        Some(Reason::Issuing)
    );
    bench.script.finish().await;
}

#[tokio::test]
async fn issued_certificates_are_told_and_their_secrets_owned() {
    let pgpool = pgpool();
    let mut observed = standing(&pgpool).await;
    for alias in Alias::ALL {
        change_secret(&mut observed, alias, |secret| {
            secret.metadata.owner_references = None;
        });
    }
    let script = Script::new()
        .any_order()
        .expect(write_status("True", "CertificatesIssued"));
    let script = script.expect(publish("Normal", "CertificatesIssued"));
    let script = Alias::ALL
        .into_iter()
        .fold(script, |script, alias| script.expect(adopt_secret(alias)));
    let bench = Bench::start(script);
    let outcome = bench.settle(&pgpool, &observed).await.unwrap();
    assert!(matches!(outcome, Outcome::ConvergedUntil(_)), "{outcome:?}");
    assert!(bench.context.verdicts.get("demo", "pool").unwrap().ready);
    bench.script.finish().await;
}

#[tokio::test]
async fn a_converged_pgpool_costs_nothing() {
    let observed = standing(&pgpool()).await;
    let pgpool = settled(pgpool(), &observed).await;
    let bench = Bench::start(Script::new());
    for _ in 0..2 {
        let outcome = bench.settle(&pgpool, &observed).await.unwrap();
        assert!(matches!(outcome, Outcome::ConvergedUntil(_)), "{outcome:?}");
    }
    bench.script.finish().await;
}

#[tokio::test]
async fn a_changed_wish_costs_one_apply() {
    let observed = standing(&pgpool()).await;
    let status = settled(pgpool(), &observed).await.status;
    let wish = pgpool_with("certificates: [{alias: server, duration: 720h}]");
    let pgpool = Pgpool { status, ..wish };
    let check = |body: &Value| assert_eq!(body["spec"]["duration"], json!("720h"));
    let bench = Bench::start(Script::new().expect(apply_certificate(Alias::Server).check(check)));
    bench.settle(&pgpool, &observed).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn a_damaged_secret_is_a_warning_and_no_other_write() {
    let mut observed = standing(&pgpool()).await;
    let pgpool = settled(pgpool(), &observed).await;
    change_secret(&mut observed, Alias::Client, |secret| {
        drop(secret.data.as_mut().unwrap().remove("tls.key"));
    });
    let script = Script::new().expect(write_status("False", "SecretIncomplete"));
    let bench = Bench::start(script.expect(publish("Warning", "SecretIncomplete")));
    bench.settle(&pgpool, &observed).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn without_tls_the_certificates_go_and_the_status_with_them() {
    let observed = standing(&pgpool()).await;
    let mut pgpool = settled(pgpool(), &observed).await;
    pgpool.spec.tls = None;
    pgpool.spec.ssl_mode = None;
    let gone = json!({"apiVersion": "v1", "kind": "Status", "status": "Success"});
    let script = Alias::ALL
        .into_iter()
        .fold(Script::new().any_order(), |script, alias| {
            script.expect(Call::delete(certificate_path(alias)).reply(gone.clone()))
        });
    // Not `{}`, which the API server would take for no status at all.
    let empty = |body: &Value| assert_eq!(body["status"], json!({"conditions": [], "certificates": []}));
    let bench = Bench::start(script.expect(Call::patch(STATUS).check(empty).reply(json!(pgpool))));
    assert_eq!(
        bench.settle(&pgpool, &observed).await.unwrap(),
        Outcome::Converged
    );
    assert_eq!(bench.context.verdicts.get("demo", "pool"), None);
    bench.script.finish().await;
}

#[tokio::test]
async fn a_foreign_certificate_is_not_taken_over() {
    let pgpool = pgpool();
    let foreign = {
        let (_, mut certificate) = built(&pgpool, &prepared(&pgpool)).remove(0);
        certificate.metadata.labels = None;
        certificate.metadata.owner_references = None;
        certificate.metadata.uid = Some("foreign".into());
        serde_json::to_value(certificate).unwrap()
    };
    let script = Script::new()
        .any_order()
        .expect(apply_certificate(Alias::Server).refuse(409, "Conflict", "the object has been modified"))
        .expect(Call::get(certificate_path(Alias::Server)).reply(foreign))
        .expect(apply_certificate(Alias::Client))
        .expect(apply_certificate(Alias::MetricsExporter))
        .expect(write_status("False", "NameConflict"))
        .expect(publish("Warning", "NameConflict"))
        // The second time the others are issued, no longer created; the conflict is no news.
        .expect(write_status("False", "NameConflict"));
    let bench = Bench::start(script);
    let outcome = bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap();
    assert_eq!(
        bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap(),
        outcome,
        "without asking again"
    );
    assert!(
        matches!(
            outcome,
            Outcome::Waiting {
                reason: "NameConflict",
                after: Some(_)
            }
        ),
        "{outcome:?}"
    );
    let message = &bench.context.verdicts.get("demo", "pool").unwrap().message;
    assert!(
        message.contains("Certificate demo/pool-server-cert exists and belongs to"),
        "{message}"
    );
    bench.script.finish().await;
}

#[tokio::test]
async fn a_refusal_for_good_is_told_and_one_in_passing_is_tried_again() {
    let pgpool = pgpool();
    let others = |script: Script| {
        script
            .expect(apply_certificate(Alias::Client))
            .expect(apply_certificate(Alias::MetricsExporter))
    };
    let script = others(Script::new().any_order())
        .expect(apply_certificate(Alias::Server).refuse(403, "Forbidden", "certificates is forbidden"))
        .expect(write_status("False", "IssueFailed"))
        .expect(publish("Warning", "IssueFailed"));
    let bench = Bench::start(script);
    bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap();
    let message = &bench.context.verdicts.get("demo", "pool").unwrap().message;
    let words = "Certificate demo/pool-server-cert could not be written: certificates is forbidden";
    assert!(
        message.starts_with(words) && !message.contains("Status {"),
        "{message}"
    );
    bench.script.finish().await;

    let script = others(Script::new().any_order()).expect(apply_certificate(Alias::Server).refuse(
        503,
        "ServiceUnavailable",
        "etcd is away",
    ));
    let bench = Bench::start(script);
    let error = bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap_err();
    assert_eq!(error.class(), "server");
    bench.script.finish().await;
}

#[tokio::test]
async fn a_missing_issuer_is_told_once_and_nothing_is_asked_for() {
    let pgpool = pgpool();
    let mut observed = prepared(&pgpool);
    observed
        .issuers
        .values_mut()
        .for_each(|state| *state = IssuerState::Absent);
    let script = Script::new().expect(write_status("False", "IssuerNotFound"));
    let bench = Bench::start(script.expect(publish("Warning", "IssuerNotFound")));
    let outcome = bench.settle(&pgpool, &observed).await.unwrap();
    assert_eq!(
        outcome,
        Outcome::Waiting {
            reason: "IssuerNotFound",
            after: None
        }
    );
    bench.script.finish().await;
}

#[tokio::test]
async fn a_secret_that_went_meanwhile_is_no_failure() {
    let mut observed = standing(&pgpool()).await;
    let pgpool = settled(pgpool(), &observed).await;
    change_secret(&mut observed, Alias::Server, |secret| {
        secret.metadata.owner_references = None;
    });
    for code in [404, 409] {
        let refused = adopt_secret(Alias::Server).refuse(code, "Conflict", "uid mismatch");
        let bench = Bench::start(Script::new().expect(refused));
        bench.settle(&pgpool, &observed).await.unwrap();
        bench.script.finish().await;
    }
}

#[tokio::test]
async fn what_the_cache_does_not_show_yet_is_not_written_twice() {
    let pgpool = pgpool();
    let script = Alias::ALL
        .into_iter()
        .fold(Script::new().any_order(), |script, alias| {
            script
                .expect(apply_certificate(alias))
                .expect(adopt_without_certificate(alias))
        });
    let script = script.expect(write_status("True", "CertificatesIssued"));
    let bench = Bench::start(script.expect(publish("Normal", "CertificatesIssued")));
    // The Certificates were made, and the cache does not show them, nor, later, the status and the owners.
    bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap();
    let mut issued = issued(&pgpool);
    for child in issued.children.values_mut() {
        child.certificate = None;
    }
    for _ in 0..3 {
        bench.settle(&pgpool, &issued).await.unwrap();
    }
    bench.script.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_that_never_comes_is_made_again() {
    let pgpool = pgpool();
    let script = Alias::ALL
        .into_iter()
        .fold(Script::new().any_order(), |script, alias| {
            script
                .expect(apply_certificate(alias))
                .expect(apply_certificate(alias))
        });
    let bench = Bench::start(script);
    bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    bench.settle(&pgpool, &prepared(&pgpool)).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn what_is_not_known_yet_is_told_to_nobody() {
    let pgpool = pgpool_with("certificates: [{alias: server, secretName: pool-server-cert}]");
    let mut observed = standing(&pgpool).await;
    observed.children.get_mut(&Alias::Server).unwrap().secret = Lookup::Pending;
    let bench = Bench::start(Script::new());
    let outcome = bench.settle(&pgpool, &observed).await.unwrap();
    assert!(
        matches!(outcome, Outcome::Waiting { after: Some(_), .. }),
        "{outcome:?}"
    );
    assert_eq!(bench.context.verdicts.get("demo", "pool"), None);
    bench.script.finish().await;
}

#[tokio::test]
async fn a_pgpool_that_is_gone_is_forgotten() {
    let (client, script) = Script::new().start();
    let world = World::of([], [issuer("ca", true)]);
    let context = Arc::new(world.context(&client));
    let id = |uid: &str| PgpoolId {
        namespace: "demo".into(),
        name: "pool".into(),
        uid: uid.into(),
    };
    let verdict = |uid: &str| Verdict {
        pgpool: id(uid),
        generation: 1,
        ready: true,
        reason: Some(Reason::CertificatesIssued),
        message: String::new(),
        certificates: Vec::new(),
    };
    let key = ObjectRef::from_obj(&pgpool());
    context.verdicts.publish(verdict("1"));
    context.forget_pgpool_if_gone(&key);
    assert_eq!(context.verdicts.get("demo", "pool"), None);

    world.pgpools.apply(pgpool());
    context.verdicts.publish(verdict("2"));
    context.forget_pgpool_if_gone(&key);
    assert!(context.verdicts.get("demo", "pool").is_some());

    // While it is being deleted nothing is written for it any more.
    let mut leaving = pgpool();
    leaving.metadata.deletion_timestamp = Some(Time(now()));
    assert_eq!(
        reconcile(Arc::new(leaving), Arc::clone(&context)).await.unwrap(),
        Outcome::Converged
    );
    assert_eq!(context.verdicts.get("demo", "pool"), None);
    script.finish().await;
}
