//! Which requests may begin.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use shared_types::pgpool::AuthSecret;

use super::*;
use crate::fixtures::ops::{ready, request, rolling};
use crate::fixtures::{at, now};

fn admitted(request: &PgpoolOpsRequest, pgpool: Option<&Pgpool>) -> Admission {
    admit(request, pgpool, &Needs::default(), Some(now()), now())
}

fn refused(admission: &Admission) -> Option<OpsReason> {
    match admission {
        Admission::Refuse { reason, .. } => Some(*reason),
        Admission::Go | Admission::Wait { .. } => None,
    }
}

#[test]
fn a_pool_that_is_not_ready_is_waited_for_unless_told_otherwise() {
    let patient = request("one", OpsType::Restart, "{}");
    let eager = request("one", OpsType::Restart, "{apply: Always}");
    let mut starting = ready(1);
    starting.status.as_mut().unwrap().phase = Some(Phase::Provisioning);
    let mut edited = ready(1);
    edited.metadata.generation = Some(2);
    for (pool, goes) in [
        (ready(1), true),
        (rolling(1), true),
        (starting, false),
        (edited, false),
    ] {
        let admission = admitted(&patient, Some(&pool));
        assert_eq!(admission == Admission::Go, goes, "{admission:?}");
        assert_eq!(admitted(&eager, Some(&pool)), Admission::Go);
    }
}

#[test]
fn a_pool_that_is_not_there_is_waited_for() {
    let request = request("one", OpsType::Restart, "{apply: Always}");
    let mut going = ready(1);
    going.metadata.deletion_timestamp = Some(Time(now()));
    for pool in [None, Some(&going)] {
        let Admission::Wait {
            reason,
            message,
            after,
        } = admitted(&request, pool)
        else {
            panic!("it goes on without a Pgpool");
        };
        assert_eq!((reason, after), (OpsReason::PgpoolNotFound, None));
        assert!(message.contains("pool"), "{message}");
    }
}

#[test]
fn waiting_has_an_end_where_the_user_gave_one() {
    let request = request("one", OpsType::Restart, "{timeout: 3m}");
    let at_once = admit(&request, None, &Needs::default(), Some(now()), now());
    assert!(
        matches!(at_once, Admission::Wait { after: Some(left), .. } if left == Duration::from_mins(3)),
        "{at_once:?}"
    );
    let late = admit(
        &request,
        None,
        &Needs::default(),
        Some(now()),
        at("2026-06-01T12:03:00Z"),
    );
    assert_eq!(refused(&late), Some(OpsReason::TimedOut));
}

#[test]
fn updates_go_where_the_catalogue_allows() {
    let version = |name: &str, constraints: serde_json::Value| -> PgpoolVersion {
        serde_json::from_value(json!({
            "apiVersion": "catalog.kubedb.com/v1alpha1", "kind": "PgpoolVersion", "metadata": {"name": name},
            "spec": {"version": name, "pgpool": {"image": "x"}, "updateConstraints": constraints},
        }))
        .unwrap()
    };
    let request = request(
        "one",
        OpsType::UpdateVersion,
        "updateVersion: {targetVersion: 4.6.0}",
    );
    let cases = [
        (json!({}), None),
        (json!({"allowlist": ["4.6.0"]}), None),
        (
            json!({"allowlist": [">= 4.5.0, <= 4.5.9"]}),
            Some(OpsReason::VersionNotAllowed),
        ),
        (
            json!({"allowlist": [">= 4.5.0"], "denylist": ["4.6.0"]}),
            Some(OpsReason::VersionNotAllowed),
        ),
        (json!({"denylist": ["< 4.5.0"]}), None),
    ];
    for (constraints, expected) in cases {
        let needs = Needs {
            target: Some(version("4.6.0", json!({}))),
            current: Some(version("4.5.0", constraints.clone())),
            secret: None,
        };
        let admission = admit(&request, Some(&ready(1)), &needs, None, now());
        assert_eq!(refused(&admission), expected, "{constraints}");
    }
    let unknown = admitted(&request, Some(&ready(1)));
    assert_eq!(refused(&unknown), Some(OpsReason::VersionNotFound));
    let uncatalogued = Needs {
        target: Some(version("4.6.0", json!({}))),
        ..Needs::default()
    };
    assert_eq!(
        admit(&request, Some(&ready(1)), &uncatalogued, None, now()),
        Admission::Go
    );
}

#[test]
fn nothing_is_rotated_that_is_not_there_or_not_ours() {
    let mut plain = ready(1);
    plain.spec.tls = None;
    plain.spec.ssl_mode = None;
    let rotate = request("one", OpsType::ReconfigureTls, "tls: {rotateCertificates: true}");
    assert_eq!(admitted(&rotate, Some(&ready(1))), Admission::Go);
    assert_eq!(
        refused(&admitted(&rotate, Some(&plain))),
        Some(OpsReason::NoCertificates)
    );

    let mut stopped = ready(1);
    stopped.status.get_or_insert_default().certificates = serde_json::from_value(json!([{
        "alias": "client",
        "ready": false,
        "changes": {"since": "2026-06-01T12:00:00Z", "issued": 31, "stopped": "2026-06-01T12:10:00Z"},
    }]))
    .unwrap();
    assert_eq!(
        refused(&admitted(&rotate, Some(&stopped))),
        Some(OpsReason::CircuitOpen)
    );

    let mut external = ready(1);
    external.spec.auth_secret = Some(AuthSecret {
        externally_managed: Some(true),
        ..AuthSecret::default()
    });
    let made = request("one", OpsType::RotateAuth, "{}");
    assert_eq!(admitted(&made, Some(&ready(1))), Admission::Go);
    assert_eq!(
        refused(&admitted(&made, Some(&external))),
        Some(OpsReason::SecretExternallyManaged)
    );
    let named = request(
        "one",
        OpsType::RotateAuth,
        "authentication: {secretRef: {name: mine}}",
    );
    assert_eq!(admitted(&named, Some(&external)), Admission::Go);
}

#[test]
fn secrets_that_are_named_must_hold_what_is_needed() {
    let rotate = request(
        "one",
        OpsType::RotateAuth,
        "authentication: {secretRef: {name: mine}}",
    );
    let configure = request(
        "one",
        OpsType::Reconfigure,
        "configuration: {configSecret: {name: mine}}",
    );
    for request in [rotate, configure] {
        for (state, expected) in [
            (SecretState::Absent, Some(OpsReason::SecretNotFound)),
            (SecretState::WithoutKey, Some(OpsReason::SecretInvalid)),
            (SecretState::Fits, None),
        ] {
            let secret = NamedSecret {
                title: "demo/mine".into(),
                key: "password",
                state,
            };
            let needs = Needs {
                secret: Some(secret),
                ..Needs::default()
            };
            let admission = admit(&request, Some(&ready(1)), &needs, None, now());
            assert_eq!(refused(&admission), expected);
        }
    }
}
