//! For every reference that a spec can hold, one event concerns exactly the Pgpools that hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::runtime::reflector::ObjectRef;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::ops_request::{OpsPhase, OpsType};
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, PgpoolStatus, limits};

use super::{by_cert_manager, by_issuer, by_label, by_pgpool, by_request};
use crate::certificates::observe::named_by_user;
use crate::fixtures::ops::{created, finished_at, request};
use crate::fixtures::{Authority, built, named, now, pgpool, pgpool_with, prepared};

fn plain(name: &str) -> Pgpool {
    named(pgpool(), name)
}

fn with(name: &str, tls: &str) -> Pgpool {
    named(pgpool_with(tls), name)
}

fn elsewhere(mut pgpool: Pgpool) -> Pgpool {
    pgpool.metadata.namespace = Some("other".into());
    pgpool
}

fn without_tls(name: &str) -> Pgpool {
    let mut pgpool = plain(name);
    pgpool.spec.tls = None;
    pgpool.spec.ssl_mode = None;
    pgpool
}

fn world() -> Vec<Arc<Pgpool>> {
    let pgpools = vec![
        plain("plain"),
        elsewhere(plain("plain")),
        without_tls("without"),
        with("of-cluster", "issuerRef: {kind: ClusterIssuer, name: ca}"),
        with(
            "of-group",
            "issuerRef: {apiGroup: cert-manager.io, kind: Issuer, name: ca}",
        ),
        with(
            "external",
            "issuerRef: {apiGroup: example.org, kind: Issuer, name: ca}",
        ),
        with(
            "server-of-x",
            "certificates: [{alias: server, issuerRef: {kind: Issuer, name: x}}]",
        ),
        with(
            "client-of-x",
            "certificates: [{alias: client, issuerRef: {kind: Issuer, name: x}}]",
        ),
        with(
            "exporter-of-x",
            "certificates: [{alias: metrics-exporter, issuerRef: {kind: Issuer, name: x}}]",
        ),
        with(
            "cluster-x",
            "certificates: [{alias: server, issuerRef: {kind: ClusterIssuer, name: x}}]",
        ),
    ];
    pgpools.into_iter().map(Arc::new).collect()
}

fn names(concerned: &[ObjectRef<Pgpool>]) -> Vec<String> {
    let mut names: Vec<_> = concerned
        .iter()
        .map(|pgpool| match pgpool.namespace.as_deref() {
            Some("demo") => pgpool.name.clone(),
            namespace => format!("{}/{}", namespace.unwrap(), pgpool.name),
        })
        .collect();
    names.sort();
    names
}

fn meta(namespace: Option<&str>, name: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: namespace.map(Into::into),
        name: Some(name.into()),
        ..ObjectMeta::default()
    }
}

#[test]
fn an_issuer_concerns_those_that_name_it() {
    let of_ca = [
        "client-of-x",
        "cluster-x",
        "exporter-of-x",
        "of-group",
        "plain",
        "server-of-x",
    ];
    let cases: [(&str, ObjectMeta, &[&str]); 7] = [
        ("Issuer", meta(Some("demo"), "ca"), &of_ca),
        ("Issuer", meta(Some("other"), "ca"), &["other/plain"]),
        (
            "Issuer",
            meta(Some("demo"), "x"),
            &["client-of-x", "exporter-of-x", "server-of-x"],
        ),
        ("Issuer", meta(Some("demo"), "unused"), &[]),
        ("ClusterIssuer", meta(None, "ca"), &["of-cluster"]),
        ("ClusterIssuer", meta(None, "x"), &["cluster-x"]),
        ("ClusterIssuer", meta(None, "unused"), &[]),
    ];
    for (kind, issuer, expected) in cases {
        assert_eq!(
            names(&by_issuer(kind, &issuer, &world())),
            expected,
            "{kind} {issuer:?}"
        );
    }
}

#[test]
fn whatever_bears_the_label_concerns_its_pgpool() {
    let pgpool = plain("plain");
    for (_, certificate) in built(&pgpool, &prepared(&pgpool)) {
        let secret = Authority::new("root").secret(&certificate, |_| ());
        for meta in [&certificate.metadata, &secret.metadata] {
            assert_eq!(by_label(meta), Some(ObjectRef::new("plain").within("demo")));
        }
    }
    let labels = |key: &str| Some(BTreeMap::from([(key.to_owned(), "plain".to_owned())]));
    let labeled = |key| ObjectMeta {
        labels: labels(key),
        ..meta(Some("demo"), "any")
    };
    assert_eq!(
        by_label(&labeled("app.kubernetes.io/instance")),
        Some(ObjectRef::new("plain").within("demo"))
    );
    assert_eq!(by_label(&labeled("app.kubernetes.io/name")), None);
    assert_eq!(by_label(&meta(Some("demo"), "any")), None);
}

#[test]
fn every_secret_that_a_user_can_name_is_watched_by_name() {
    let mut pgpool = pgpool_with(
        "certificates: [{alias: server, secretName: s}, {alias: client, secretName: c}, {alias: metrics-exporter, secretName: m}]",
    );
    pgpool.spec.auth_secret = serde_yaml::from_str("{name: a, externallyManaged: true}").unwrap();
    assert_eq!(named_by_user(&pgpool), ["a", "c", "m", "s"]);
    assert!(named_by_user(&plain("plain")).is_empty());
    pgpool.spec.tls = None;
    assert!(
        named_by_user(&pgpool).is_empty(),
        "without TLS nothing of it is waited for"
    );
}

#[test]
fn a_pgpool_concerns_those_that_name_its_secrets() {
    let shared = |name| with(name, "certificates: [{alias: server, secretName: shared}]");
    let steals = with(
        "thief",
        "certificates: [{alias: client, secretName: plain-server-cert}]",
    );
    let loser = {
        let mut pgpool = with(
            "loser",
            "certificates: [{alias: server, secretName: formerly-shared}]",
        );
        let condition = Condition {
            type_: "CertificatesReady".into(),
            status: "False".into(),
            reason: "SecretNameConflict".into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(now()),
        };
        pgpool.status = Some(PgpoolStatus {
            conditions: vec![condition],
            ..PgpoolStatus::default()
        });
        pgpool
    };
    let world = vec![
        plain("plain"),
        plain("other"),
        shared("one"),
        shared("two"),
        elsewhere(shared("one")),
        steals.clone(),
        loser,
        without_tls("without"),
    ];
    let world: Vec<_> = world.into_iter().map(Arc::new).collect();
    let cases: Vec<(Pgpool, &[&str])> = vec![
        (plain("other"), &["loser", "other"]),
        (shared("one"), &["loser", "one", "two"]),
        (steals, &["loser", "plain", "thief"]),
        (plain("plain"), &["loser", "plain", "thief"]),
        (without_tls("without"), &["loser", "without"]),
    ];
    for (changed, expected) in cases {
        assert_eq!(
            names(&by_pgpool(&changed, &world)),
            expected,
            "{:?}",
            changed.metadata.name
        );
    }
    assert_eq!(
        names(&by_pgpool(&elsewhere(shared("one")), &world)),
        ["other/one"]
    );
}

#[test]
fn names_that_are_cut_may_collide() {
    let long = |end: &str| plain(&format!("{}{end}", "p".repeat(60)));
    let world: Vec<_> = [long("a"), long("b")].map(Arc::new).into();
    assert_eq!(names(&by_pgpool(&long("a"), &world)).len(), 2);
}

#[test]
fn cert_manager_concerns_all_that_ask_for_tls() {
    let concerned = by_cert_manager(&world());
    assert_eq!(concerned.len(), world().len() - 1);
    assert!(!names(&concerned).contains(&"without".to_owned()));
}

/// Those to wake, by name, when one of these changes.
fn woken(changed: &PgpoolOpsRequest, all: &[&PgpoolOpsRequest]) -> Vec<String> {
    let all: Vec<_> = all.iter().map(|request| Arc::new((*request).clone())).collect();
    let woken = by_request(changed, &all).into_iter();
    woken.map(|request| request.name).collect()
}

fn in_phase(request: &PgpoolOpsRequest, phase: OpsPhase, waits_for: Option<OpsReason>) -> PgpoolOpsRequest {
    let condition = waits_for.map(|reason| Condition {
        type_: OpsCondition::Reconciling.as_str().into(),
        status: "True".into(),
        reason: reason.as_str().into(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: Time(now()),
    });
    PgpoolOpsRequest {
        status: Some(PgpoolOpsRequestStatus {
            phase: Some(phase),
            conditions: condition.into_iter().collect(),
            ..PgpoolOpsRequestStatus::default()
        }),
        ..request.clone()
    }
}

#[test]
fn of_many_requests_only_the_next_is_woken() {
    let settings = |name: &str, minute: u32| {
        created(
            request(
                name,
                OpsType::Reconfigure,
                "{configuration: {removeCustomConfig: true}}",
            ),
            &format!("2026-06-01T11:{minute:02}:00Z"),
        )
    };
    let [a, b, c] = [settings("a", 1), settings("b", 2), settings("c", 3)];
    let running = in_phase(&a, OpsPhase::Progressing, None);
    let over = in_phase(&a, OpsPhase::Successful, None);
    let held = in_phase(&b, OpsPhase::Pending, Some(OpsReason::PgpoolNotReady));
    assert_eq!(
        woken(&c, &[&running, &b, &c]),
        ["c", "a"],
        "the one that runs may go on"
    );
    assert_eq!(woken(&over, &[&over, &b, &c]), ["a", "b"]);
    assert_eq!(woken(&running, &[&b, &c]), ["a", "b"], "it is deleted");
    assert_eq!(
        woken(&over, &[&over, &held, &c]),
        ["a", "c", "b"],
        "one that is held may be passed"
    );
}

#[test]
fn a_newer_request_wakes_the_one_that_it_replaces() {
    let restart = |name: &str, minute: u32| {
        created(
            request(name, OpsType::Restart, "{}"),
            &format!("2026-06-01T11:{minute:02}:00Z"),
        )
    };
    let running = in_phase(&restart("a", 1), OpsPhase::Progressing, None);
    let (b, c, d) = (restart("b", 2), restart("c", 3), restart("d", 4));
    assert_eq!(woken(&d, &[&running, &b, &c, &d]), ["d", "a", "c"]);
}

#[test]
fn the_oldest_of_too_many_finished_requests_is_woken() {
    let all: Vec<_> = (0..=limits::FINISHED_REQUESTS)
        .map(|number| {
            let time = format!("2026-06-01T11:{:02}:{:02}Z", number / 60, number % 60);
            finished_at(request(&format!("r{number}"), OpsType::Restart, "{}"), &time)
        })
        .collect();
    let all: Vec<_> = all.iter().collect();
    assert_eq!(woken(all[100], &all), ["r100", "r0"]);
    assert_eq!(woken(all[100], &all[1..]), ["r100"]);
}
