use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{inputs, now, parse, plain_pgpool};
use crate::pgpool::build::{self, ConfigCheck, Preview};
use crate::pgpool::decide::Policy;
use crate::pgpool::decide::fixtures::{self, FixedLimiter};
use crate::pgpool::observe::{ConfigCheck as Asked, Observed};
use crate::pgpool::validate::validate;
use crate::rotation_limiter::Admission;

fn validated(conf: &str) -> Validated {
    let mut pgpool = plain_pgpool();
    if !conf.is_empty() {
        let configuration = json!({ "inline": { "pgpool.conf": conf } });
        pgpool.spec.configuration = Some(serde_json::from_value(configuration).unwrap());
    }
    validate(&pgpool, &inputs(&pgpool)).unwrap()
}

/// A world in which pgpool was asked; `status` is that of the pod.
fn asked(validated: &Validated, age: i64, status: Value) -> Live {
    let ConfigCheck { secret, mut pod, .. } = config_check(validated);
    let created = now().checked_sub(jiff::SignedDuration::from_secs(age)).unwrap();
    pod.metadata.creation_timestamp = Some(Time(created));
    pod.status = serde_json::from_value(status).unwrap();
    let asked = Asked {
        secret: Arc::new(secret),
        pod: Some(Arc::new(pod)),
    };
    Live {
        config_checks: BTreeMap::from([(asked.secret.name_any(), asked)]),
        ..Live::default()
    }
}

/// The check that would start.
fn config_check(validated: &Validated) -> ConfigCheck {
    let mut decision = fixtures::foundation_only();
    decision.config.starts_check = true;
    let objects = build::build(&Ok(validated.clone()), &Ok(decision)).unwrap();
    objects.config_check.unwrap()
}

fn ended_with(code: i32, said: &str) -> Value {
    let terminated = json!({ "exitCode": code, "message": said });
    json!({
        "phase": if code == 0 { "Succeeded" } else { "Failed" },
        "containerStatuses": [{
            "name": "config-check", "image": "pgpool", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": terminated },
        }],
    })
}

/// What is reported, and whether the check is kept.
fn outcome(validated: &Validated, live: &Live) -> (String, bool) {
    let limiter = FixedLimiter::new(Admission::Granted);
    let observed = Observed {
        live: live.clone(),
        ..Observed::default()
    };
    let verdict = verdict(&Situation {
        pgpool: &plain_pgpool(),
        validated,
        observed: &observed,
        policy: Policy {
            preview: &Preview,
            limiter: &limiter,
            handoff_grace: Duration::ZERO,
        },
        now: now(),
    });
    let check = match verdict {
        Verdict::Accepted { hash: None } => return ("fit".to_owned(), false),
        Verdict::Accepted { hash: Some(_) } => return ("accepted".to_owned(), false),
        Verdict::NotAccepted(check) => check,
    };
    let is_kept = check.kept.is_some();
    if check.starts {
        return ("ask".to_owned(), is_kept);
    }
    let explanation = check.blocked.explanation().unwrap().clone();
    let left = explanation.retry_after.unwrap_or_default().as_secs();
    let message = explanation.message;
    let state = match (check.blocked, explanation.reason) {
        (Blocked::Waiting(_), Reason::CheckingConfiguration) => format!("pending {left}: {message}"),
        (Blocked::Stuck(_), Reason::ConfigurationInvalid) => format!("unfit: {message}"),
        (Blocked::Stuck(_), Reason::ConfigurationNotChecked) => format!("mute {left}: {message}"),
        (blocked, _) => format!("{blocked:?}"),
    };
    (state, is_kept)
}

#[test]
fn nobody_is_asked_about_settings_of_the_operator() {
    assert_eq!(
        outcome(&validated(""), &Live::default()),
        ("fit".to_owned(), false)
    );
    let (state, kept) = outcome(&validated("max_pool = 3"), &Live::default());
    assert_eq!((state.as_str(), kept), ("ask", true));
}

#[test]
fn what_was_checked_is_remembered_for_this_text_and_this_image() {
    let settings = validated("max_pool = 3");
    let mut secret = Secret::default();
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(
        names::ANNOTATION_VALIDATED_CONFIG_HASH.to_owned(),
        config_check(&settings).hash,
    );
    let live = Live {
        config_secret: Some(Arc::new(secret)),
        ..Live::default()
    };
    assert_eq!(outcome(&settings, &live), ("accepted".to_owned(), false));
    assert_eq!(outcome(&validated("max_pool = 4"), &live).0, "ask");
    let mut image = settings;
    image.release.image = "another".to_owned();
    assert_eq!(outcome(&image, &live).0, "ask");
    // Pgpool takes any text for a password. It is not shown.
    let password = |text: &str| validated(&format!("sr_check_password = '{text}'"));
    let hash = |validated: &Validated| config_check(validated).hash;
    assert_eq!(hash(&password("one")), hash(&password("two")));
}

#[test]
fn pgpool_says_what_is_wrong_and_we_say_where() {
    let settings = validated("# mine\nlog_min_messages = loud");
    let said = "2026-11-24 09:50:44.103: main pid 8: FATAL:  invalid value for parameter \"log_min_messages\": \"loud\"\n\
                2026-11-24 09:50:44.103: main pid 8: HINT:  Available values: debug5, info.\n";
    let (state, kept) = outcome(&settings, &asked(&settings, 1, ended_with(REJECTED, said)));
    assert_eq!(
        state,
        "unfit: pgpool rejects the settings: invalid value for parameter \"log_min_messages\": \"loud\"; Available \
         values: debug5, info; `log_min_messages` is in line 2 of `spec.configuration.inline`. Fix them: until then \
         running pods keep their settings"
    );
    // The pod is the memory of it.
    assert!(kept);
    let long = "x".repeat(2000);
    assert!(
        outcome(&settings, &asked(&settings, 1, ended_with(REJECTED, &long)))
            .0
            .len()
            < 800
    );
}

#[test]
fn a_pod_that_ends_well_is_needed_no_longer() {
    let settings = validated("max_pool = 3");
    let live = asked(&settings, 1, ended_with(0, ""));
    assert_eq!(outcome(&settings, &live), ("accepted".to_owned(), false));
    // Somebody has changed his mind meanwhile.
    assert_eq!(outcome(&validated("max_pool = 4"), &live).0, "ask");
}

fn pulling() -> Value {
    parse(
        "
phase: Pending
containerStatuses:
- {name: config-check, image: far/away, imageID: '', ready: false, restartCount: 0, state: {waiting: {reason: ErrImagePull}}}
",
    )
}

fn unplaced() -> Value {
    parse(
        "
phase: Pending
conditions: [{type: PodScheduled, status: 'False', message: '0/1 nodes are available.'}]
",
    )
}

#[test]
fn a_pod_that_cannot_run_is_told_and_tried_again() {
    let settings = validated("max_pool = 3");
    let name = config_check(&settings).secret.name_any();
    let evicted = json!({ "phase": "Failed" });
    let table = [
        (
            1,
            json!({ "phase": "Pending" }),
            format!("pending 59: Waiting for pgpool to check the settings in pod demo/{name}"),
            true,
        ),
        (
            10,
            pulling(),
            format!(
                "pending 50: Waiting for pgpool to check the settings in pod demo/{name}: container config-check (far/away): \
                 its image cannot be pulled (ImagePullBackOff)"
            ),
            true,
        ),
        (
            61,
            unplaced(),
            format!(
                "mute 0: pgpool cannot check the settings: pod demo/{name} does not run: 0/1 nodes are available"
            ),
            true,
        ),
        (
            1,
            ended_with(127, "sh: pgpool: not found"),
            format!(
                "mute 119: pgpool could not check the settings: pod demo/{name} ended with exit code 127: sh: \
                 pgpool: not found"
            ),
            true,
        ),
        (
            120,
            evicted,
            format!(
                "mute 0: pgpool could not check the settings: pod demo/{name} ended with exit code -1: it \
                 ended before it started"
            ),
            false,
        ),
    ];
    for (age, status, expected, kept) in table {
        let live = asked(&settings, age, status);
        assert_eq!(outcome(&settings, &live), (expected, kept), "{age}");
    }
}
