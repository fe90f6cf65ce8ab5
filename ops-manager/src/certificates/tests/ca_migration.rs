//! What a reconcile sends when certificates pass from one authority to another.

use std::sync::Arc;

use operator_runtime::Outcome;
use operator_runtime::testing::{Call, Script};
use serde_json::{Value, json};
use shared_types::conditions::Reason;
use shared_types::{Alias, Pgpool};

use super::bench::{Bench, apply_certificate, certificate_path, publish, settled, standing, write_status};
use crate::cert_manager::IssuerReference;
use crate::certificates::observe::{IssuerCa, Observed};
use crate::fixtures::{
    Authority, change_certificate, change_secret, condition, fingerprint, pgpool, pgpool_with, serving,
};

/// cert-manager is asked for a new certificate.
fn ask(observed: &Observed, alias: Alias) -> Call {
    let asked = observed.children[&alias].certificate.as_deref().cloned().unwrap();
    let check = |body: &Value| {
        let conditions = body["status"]["conditions"].as_array().unwrap();
        let issuing = conditions
            .iter()
            .find(|it| it["type"] == json!("Issuing"))
            .unwrap();
        assert_eq!(
            issuing["message"],
            json!("renewed because the CA of Issuer demo/ca has been replaced")
        );
    };
    Call::patch(format!("{}/status", certificate_path(alias)))
        .check(check)
        .reply(json!(asked))
}

/// A pool that serves, behind an issuer whose CA has been replaced since.
async fn behind_another_ca(new: &Authority) -> (Pgpool, Observed) {
    let mut observed = standing(&pgpool()).await;
    let pgpool = settled(pgpool(), &observed).await;
    let pgpool = serving(pgpool, &[Some(&fingerprint(&observed, Alias::Server))]);
    let issuer = IssuerReference::of(&pgpool, Alias::Server).unwrap();
    observed
        .issuer_cas
        .insert(issuer, IssuerCa::Known(new.pem().into()));
    (pgpool, observed)
}

/// cert-manager has issued one anew.
fn issue(observed: &mut Observed, alias: Alias, authority: &Authority) {
    let certificate = Arc::clone(observed.children[&alias].certificate.as_ref().unwrap());
    change_secret(observed, alias, |secret| {
        secret.data = authority.secret(&certificate, |_| ()).data;
    });
}

#[tokio::test]
async fn a_ca_that_is_replaced_costs_one_request_per_certificate_the_clients_last() {
    let new = Authority::new("root");
    let (pool, mut observed) = behind_another_ca(&new).await;
    let script = Script::new()
        .any_order()
        .expect(ask(&observed, Alias::Server))
        .expect(ask(&observed, Alias::MetricsExporter))
        .expect(write_status("False", "Issuing"))
        .expect(publish("Normal", "Issuing"))
        // They are issued, and the client's turn has not come.
        .expect(write_status("False", "WaitingForTrust"))
        // Every pod serves the new one.
        .expect(ask(&observed, Alias::Client))
        .expect(write_status("False", "Issuing"))
        .expect(write_status("True", "CertificatesIssued"))
        .expect(publish("Normal", "CertificatesIssued"));
    let bench = Bench::start(script);
    let settle = async |pool: &Pgpool, observed: &Observed| {
        // The caches lag behind: nothing is sent twice.
        bench.settle(pool, observed).await.unwrap();
        bench.settle(pool, observed).await.unwrap()
    };
    settle(&pool, &observed).await;
    for alias in [Alias::Server, Alias::MetricsExporter] {
        issue(&mut observed, alias, &new);
    }
    let outcome = settle(&pool, &observed).await;
    assert!(
        matches!(
            outcome,
            Outcome::Waiting {
                reason: "WaitingForTrust",
                ..
            }
        ),
        "{outcome:?}"
    );
    let verdict = bench.context.verdicts.get("demo", "pool").unwrap();
    // The provisioner takes over all that is there.
    assert!(
        verdict.certificates.iter().all(|certificate| certificate.ready),
        "{verdict:#?}"
    );
    assert_eq!(verdict.certificates[1].reason, Some(Reason::WaitingForTrust));

    let pool = serving(pool, &[Some(&fingerprint(&observed, Alias::Server))]);
    settle(&pool, &observed).await;
    issue(&mut observed, Alias::Client, &new);
    settle(&pool, &observed).await;
    bench.script.finish().await;
}

#[tokio::test]
async fn a_process_that_is_killed_in_between_goes_on_where_the_other_was() {
    let new = Authority::new("root");
    let (pool, mut observed) = behind_another_ca(&new).await;
    // Asked for one and killed.
    change_certificate(&mut observed, Alias::Server, |certificate| {
        let issuing = condition("Issuing", "True", "ManuallyTriggered", "asked");
        certificate.status.get_or_insert_default().conditions = vec![issuing];
    });
    let script = Script::new()
        .any_order()
        .expect(ask(&observed, Alias::MetricsExporter))
        .expect(write_status("False", "Issuing"))
        .expect(publish("Normal", "Issuing"));
    let bench = Bench::start(script);
    bench.settle(&pool, &observed).await.unwrap();
    bench.script.finish().await;

    // Both are issued and served, and it was killed before it asked for the last.
    change_certificate(&mut observed, Alias::Server, |it| it.status = None);
    for alias in [Alias::Server, Alias::MetricsExporter] {
        issue(&mut observed, alias, &new);
    }
    let pool = serving(pool, &[Some(&fingerprint(&observed, Alias::Server))]);
    let script = Script::new()
        .any_order()
        .expect(ask(&observed, Alias::Client))
        .expect(write_status("False", "Issuing"))
        .expect(publish("Normal", "Issuing"));
    let bench = Bench::start(script);
    bench.settle(&pool, &observed).await.unwrap();
    bench.script.finish().await;
}

#[tokio::test]
async fn a_changed_issuer_reaches_the_certificates_of_pods_first() {
    let observed = standing(&pgpool()).await;
    let before = settled(pgpool(), &observed).await;
    let wish = pgpool_with("issuerRef: {kind: Issuer, name: new-ca}");
    let after = Pgpool {
        status: before.status,
        ..wish
    };
    let after = serving(after, &[Some(&fingerprint(&observed, Alias::Server))]);
    let observed = Observed {
        children: observed.children,
        ..crate::fixtures::prepared(&after)
    };
    let asks = |body: &Value| assert_eq!(body["spec"]["issuerRef"]["name"], json!("new-ca"));
    let script = Script::new()
        .any_order()
        .expect(apply_certificate(Alias::Server).check(asks))
        .expect(apply_certificate(Alias::MetricsExporter).check(asks))
        .expect(write_status("False", "Issuing"))
        .expect(publish("Normal", "Issuing"));
    let bench = Bench::start(script);
    bench.settle(&after, &observed).await.unwrap();
    let verdict = bench.context.verdicts.get("demo", "pool").unwrap();
    let states: Vec<_> = verdict
        .certificates
        .iter()
        .map(|it| (it.ready, it.reason))
        .collect();
    let waits = (false, Some(Reason::Issuing));
    assert_eq!(states, [waits, (true, Some(Reason::WaitingForTrust)), waits]);
    bench.script.finish().await;
}
