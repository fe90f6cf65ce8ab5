//! Faults of certificates over time: each is reported once, and repaired without a person.

use operator_runtime::Outcome;
use operator_runtime::testing::{Call, Script};
use serde_json::json;
use shared_types::Alias;

use super::bench::{Bench, apply_certificate, certificate_path, publish, settled, standing, write_status};
use crate::certificates::observe::Observed;
use crate::fixtures::{Authority, at, change_secret, pgpool};

#[tokio::test]
async fn a_deleted_certificate_is_asked_for_again_and_nothing_else_happens() {
    let mut observed = standing(&pgpool()).await;
    let pgpool = settled(pgpool(), &observed).await;
    observed.children.get_mut(&Alias::Server).unwrap().certificate = None;
    let bench = Bench::start(Script::new().expect(apply_certificate(Alias::Server)));
    let outcome = bench.settle(&pgpool, &observed).await.unwrap();
    assert!(matches!(outcome, Outcome::ConvergedUntil(_)), "{outcome:?}");
    assert!(
        bench.context.verdicts.get("demo", "pool").unwrap().ready,
        "what stands in the Secret is as good as before"
    );
    bench.script.finish().await;
}

/// Both operators and cert-manager were away for longer than the certificate was good for. A process that starts has no
/// memory, so that this is all there is to see.
#[tokio::test]
async fn what_expired_while_nobody_looked_is_told_and_mended_by_a_renewal() {
    let mut observed = standing(&pgpool()).await;
    renew(&mut observed, (2026, 5, 30), (2026, 7, 1));
    let pgpool = settled(pgpool(), &observed).await;
    let late = at("2026-08-01T00:00:00Z");
    let script = Script::new()
        .expect(write_status("False", "Expired"))
        .expect(publish("Warning", "Expired"))
        .expect(write_status("True", "CertificatesIssued"))
        .expect(publish("Normal", "CertificatesIssued"));
    let bench = Bench::start(script);
    bench.settle_at(&pgpool, &observed, late).await.unwrap();
    renew(&mut observed, (2026, 7, 31), (2026, 12, 1));
    bench.settle_at(&pgpool, &observed, late).await.unwrap();
    assert!(bench.context.verdicts.get("demo", "pool").unwrap().ready);
    bench.script.finish().await;
}

/// New content for all Secrets, good from one day to another.
fn renew(observed: &mut Observed, from: (i32, u8, u8), to: (i32, u8, u8)) {
    let authority = Authority::new("root");
    for alias in Alias::ALL {
        let certificate = observed.children[&alias].certificate.clone().unwrap();
        let renewed = authority.secret(&certificate, |params| {
            params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
            params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        });
        change_secret(observed, alias, |secret| secret.data = renewed.data);
    }
}

/// Each step towards the end is one event, however often it is looked at.
#[tokio::test]
async fn a_renewal_that_does_not_come_is_warned_of_at_a_third_and_a_tenth() {
    let observed = standing(&pgpool()).await;
    let pgpool = settled(pgpool(), &observed).await;
    let script = Script::new()
        .expect(write_status("True", "RenewalOverdue"))
        .expect(publish("Warning", "RenewalOverdue"))
        .expect(write_status("True", "ExpiresSoon"))
        .expect(publish("Warning", "ExpiresSoon"));
    let bench = Bench::start(script);
    for time in [
        "2026-09-02T00:00:00Z",
        "2026-09-03T00:00:00Z",
        "2026-12-01T00:00:00Z",
    ] {
        let outcome = bench.settle_at(&pgpool, &observed, at(time)).await.unwrap();
        assert!(matches!(outcome, Outcome::ConvergedUntil(_)), "{outcome:?}");
        assert!(bench.context.verdicts.get("demo", "pool").unwrap().ready);
    }
    bench.script.finish().await;
}

/// A new leaf with every look: after as many as are allowed the Certificate goes, and nothing is sent any more.
#[tokio::test]
async fn a_loop_ends_with_the_certificate_withdrawn_and_a_warning() {
    let mut observed = standing(&pgpool()).await;
    let pgpool = settled(pgpool(), &observed).await;
    let certificate = observed.children[&Alias::Server].certificate.clone().unwrap();
    let gone = json!({"apiVersion": "v1", "kind": "Status", "status": "Success"});
    let mut script = Script::new().any_order();
    for _ in 0..4 {
        script = script.expect(write_status("True", "CertificatesIssued"));
    }
    let script = script
        .expect(Call::delete(certificate_path(Alias::Server)).reply(gone))
        .expect(write_status("False", "CircuitOpen").check(|body| {
            let changes = &body["status"]["certificates"][0]["changes"];
            assert_eq!(changes["issued"], json!(6));
            assert_eq!(changes["stopped"], json!("2026-06-01T12:00:00Z"));
        }))
        .expect(publish("Warning", "CircuitOpen"));
    let bench = Bench::start(script);
    for _ in 0..5 {
        let renewed = Authority::new("root").secret(&certificate, |_| ());
        change_secret(&mut observed, Alias::Server, |secret| secret.data = renewed.data);
        bench.settle(&pgpool, &observed).await.unwrap();
    }
    observed.children.get_mut(&Alias::Server).unwrap().certificate = None;
    let outcome = bench.settle(&pgpool, &observed).await.unwrap();
    assert!(
        matches!(
            outcome,
            Outcome::Waiting {
                reason: "CircuitOpen",
                ..
            }
        ),
        "{outcome:?}"
    );
    bench.script.finish().await;
}
