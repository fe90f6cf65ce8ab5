//! Which requests may begin.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use shared_types::PgpoolVersion;
use shared_types::limits;
use shared_types::ops_request::OpsType;
use shared_types::pgpool::AuthSecret;

use super::*;
use crate::fixtures::ops::{ready, request, rolling};
use crate::fixtures::{at, now};
use crate::ops_requests::observe::{ReferencedSecret, SecretState};

fn validated(request: &PgpoolOpsRequest, pgpool: Option<&Pgpool>) -> Option<Resolution> {
    validate(
        request,
        pgpool,
        &Referenced::default(),
        &trusted(),
        Some(now()),
        now(),
    )
}

fn trusted() -> Rights {
    Rights {
        state: PolicyState::Trusted,
        since: None,
    }
}

#[test]
fn an_edit_needs_a_policy_that_has_checked_its_author() {
    let missing = || PolicyState::Missing("no policy".to_owned());
    let made = |time: &str| {
        let mut made = request("one", OpsType::RotateAuth, "{apply: Always}");
        made.metadata.creation_timestamp = Some(Time(at(time)));
        made
    };
    let (before, after) = (made("2026-01-01T00:00:00Z"), made("2026-03-01T00:00:00Z"));
    let installed = Some(at("2026-02-01T00:00:00Z"));
    let restart = request("one", OpsType::Restart, "{apply: Always}");
    let scaling = |text: &str| request("one", OpsType::VerticalScaling, text);
    let resources = scaling("{verticalScaling: {node: {resources: {limits: {cpu: '1'}}}}}");
    let configuration = scaling("{configuration: {removeCustomConfig: true}}");
    let topology = scaling("{verticalScaling: {node: {topology: {key: a, value: b}}}}");
    for (request, state, since, fails) in [
        (&after, PolicyState::InForce, installed, false),
        (&before, PolicyState::InForce, installed, true),
        (&after, missing(), None, true),
        (&after, PolicyState::Trusted, None, false),
        (&restart, missing(), None, false),
        (&resources, missing(), None, false),
        (&configuration, missing(), None, true),
        (&topology, missing(), None, true),
    ] {
        let rights = Rights { state, since };
        let found = validate(
            request,
            Some(&ready(1)),
            &Referenced::default(),
            &rights,
            Some(now()),
            now(),
        );
        let expected = fails.then_some(OpsReason::RightsNotChecked);
        assert_eq!(rejected(found.as_ref()), expected, "{rights:?}");
    }
}

fn rejected(resolution: Option<&Resolution>) -> Option<OpsReason> {
    match resolution {
        Some(Resolution::Failed(explanation)) => Some(explanation.reason),
        _ => None,
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
        let admission = validated(&patient, Some(&pool));
        assert_eq!(admission.is_none(), goes, "{admission:?}");
        assert_eq!(validated(&eager, Some(&pool)), None);
    }
}

#[test]
fn a_pool_that_is_not_there_is_waited_for() {
    let request = request("one", OpsType::Restart, "{apply: Always}");
    let mut going = ready(1);
    going.metadata.deletion_timestamp = Some(Time(now()));
    for pool in [None, Some(&going)] {
        let Some(Resolution::Waiting(explanation)) = validated(&request, pool) else {
            panic!("it starts without a Pgpool");
        };
        let Explanation {
            reason,
            message,
            retry_after,
        } = explanation;
        assert_eq!(
            (reason, retry_after),
            (OpsReason::PgpoolNotFound, Some(limits::DEFAULT_TIMEOUT))
        );
        assert!(message.contains("pool"), "{message}");
    }
}

#[test]
fn waiting_has_an_end_where_the_user_gave_one() {
    let request = request("one", OpsType::Restart, "{timeout: 3m}");
    let at_once = validate(
        &request,
        None,
        &Referenced::default(),
        &trusted(),
        Some(now()),
        now(),
    );
    assert!(
        matches!(&at_once, Some(Resolution::Waiting(it)) if it.retry_after == Some(Duration::from_mins(3))),
        "{at_once:?}"
    );
    let late = validate(
        &request,
        None,
        &Referenced::default(),
        &trusted(),
        Some(now()),
        at("2026-06-01T12:03:00Z"),
    );
    assert_eq!(rejected(late.as_ref()), Some(OpsReason::TimedOut));
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
        let needs = Referenced {
            target_version: Some(version("4.6.0", json!({}))),
            current_version: Some(version("4.5.0", constraints.clone())),
            secret: None,
        };
        let admission = validate(&request, Some(&ready(1)), &needs, &trusted(), None, now());
        assert_eq!(rejected(admission.as_ref()), expected, "{constraints}");
    }
    let unknown = validated(&request, Some(&ready(1)));
    assert_eq!(rejected(unknown.as_ref()), Some(OpsReason::VersionNotFound));
    let uncatalogued = Referenced {
        target_version: Some(version("4.6.0", json!({}))),
        ..Referenced::default()
    };
    assert_eq!(
        validate(&request, Some(&ready(1)), &uncatalogued, &trusted(), None, now()),
        None
    );
}

#[test]
fn nothing_is_rotated_that_is_not_there_or_not_ours() {
    let mut plain = ready(1);
    plain.spec.tls = None;
    plain.spec.ssl_mode = None;
    let rotate = request("one", OpsType::ReconfigureTls, "tls: {rotateCertificates: true}");
    assert_eq!(validated(&rotate, Some(&ready(1))), None);
    assert_eq!(
        rejected(validated(&rotate, Some(&plain)).as_ref()),
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
        rejected(validated(&rotate, Some(&stopped)).as_ref()),
        Some(OpsReason::CircuitOpen)
    );

    let mut external = ready(1);
    external.spec.auth_secret = Some(AuthSecret {
        externally_managed: Some(true),
        ..AuthSecret::default()
    });
    let made = request("one", OpsType::RotateAuth, "{}");
    assert_eq!(validated(&made, Some(&ready(1))), None);
    assert_eq!(
        rejected(validated(&made, Some(&external)).as_ref()),
        Some(OpsReason::SecretExternallyManaged)
    );
    let named = request(
        "one",
        OpsType::RotateAuth,
        "authentication: {secretRef: {name: mine}}",
    );
    assert_eq!(validated(&named, Some(&external)), None);
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
            (SecretState::Complete, None),
        ] {
            let secret = ReferencedSecret {
                title: "demo/mine".into(),
                key: "password",
                state,
            };
            let needs = Referenced {
                secret: Some(secret),
                ..Referenced::default()
            };
            let admission = validate(&request, Some(&ready(1)), &needs, &trusted(), None, now());
            assert_eq!(rejected(admission.as_ref()), expected);
        }
    }
}
