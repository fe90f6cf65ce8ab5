//! The user's scripts, of which nothing else depends.

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::*;

fn job(status: &Value) -> InitState {
    let job: Job = serde_json::from_value(json!({
        "metadata": { "name": "pool-init", "namespace": "demo" }, "status": status,
    }))
    .unwrap();
    InitState::Exists(Arc::new(job))
}

fn ended(how: &str, failed: i32) -> InitState {
    job(&json!({ "failed": failed, "conditions": [{ "type": how, "status": "True" }] }))
}

fn waits(after: Option<Duration>) -> InitState {
    let message = "ConfigMap demo/scripts does not exist";
    InitState::Waiting(Explanation::new(Reason::InitSourceNotFound, message).after(after))
}

#[test]
fn each_stand_has_its_words_and_the_pool_is_what_it_is() {
    let rows: [(InitState, &str, &[&str]); 8] = [
        (InitState::Skipped, "True/InitSkipped", &["spec.init.initialized"]),
        (waits(None), "False/InitSourceNotFound", &["demo/scripts"]),
        (
            job(&json!({ "active": 1 })),
            "False/InitRunning",
            &["Job demo/pool-init"],
        ),
        (
            job(&json!({ "active": 1, "failed": 2 })),
            "False/InitRunning",
            &["failed 2 times", "kubectl logs --namespace demo job/pool-init"],
        ),
        (
            job(&json!({ "conditions": [{ "type": "FailureTarget", "status": "True" }] })),
            "False/InitRunning",
            &[],
        ),
        (
            job(&json!({ "conditions": [{ "type": "Failed", "status": "False" }] })),
            "False/InitRunning",
            &[],
        ),
        (
            ended("Failed", 4),
            "False/InitFailed",
            &[
                "Job demo/pool-init",
                "4 times",
                "kubectl logs --namespace demo job/pool-init",
                "delete the Job",
            ],
        ),
        (
            ended("Complete", 1),
            "True/InitSucceeded",
            &["Job demo/pool-init"],
        ),
    ];
    for (stand, expected, words) in rows {
        let mut world = World::new();
        world.applied.init = stand;
        let report = world.report();
        let status = report.status.unwrap();
        let all = shown(&status);
        assert_eq!(all[..HEALTHY.len()], HEALTHY, "{expected}");
        assert_eq!(all[HEALTHY.len()..], [format!("Initialized={expected}")]);
        assert_eq!(status.phase, Some(Phase::Ready));
        assert_eq!(report.outcome, Outcome::Converged);
        let message = message(&status, ConditionType::Initialized);
        for word in words {
            assert!(message.contains(word), "{expected}: {message}");
        }
        assert_eq!(ours(&status), status, "written in the order in which it is read");
    }
}

#[test]
fn what_nobody_can_tell_stands_and_what_nobody_asks_goes() {
    let mut world = World::new();
    world.applied.init = ended("Complete", 0);
    let before = world.status();
    world.before(before.clone());
    world.applied.init = InitState::Unknown;
    assert_eq!(world.status(), before);
    world.applied.init = InitState::NotRequested;
    assert_eq!(shown(&world.status()), HEALTHY);
}

#[test]
fn a_missing_source_is_looked_for_again() {
    let pause = Duration::from_secs(10);
    let mut world = World::new();
    world.applied.init = waits(Some(pause));
    assert_eq!(world.report().outcome, Outcome::ConvergedUntil(pause));
}

#[test]
fn a_job_that_is_not_taken_tells_why() {
    let refused = |code| {
        Some(ApplyError::Api {
            kind: "Job".to_owned(),
            name: "demo/pool-init".to_owned(),
            source: Box::new(kube::Error::Api(
                kube::core::Status::failure("exceeded quota: small", "Reason")
                    .with_code(code)
                    .boxed(),
            )),
        })
    };
    for (code, expected) in [
        (403, Some("WriteForbidden")),
        (422, Some("ConfigurationInvalid")),
        (500, None),
    ] {
        let mut world = World::new();
        world.applied.init = InitState::Unknown;
        world.applied.init_failure = refused(code);
        let status = world.status();
        let said = find(&status.conditions, ConditionType::Initialized);
        assert_eq!(said.map(|it| it.reason.as_str()), expected, "{code}");
        assert!(
            said.is_none_or(|it| it.message.contains("exceeded quota")),
            "{code}"
        );
        assert!(is_true(&status.conditions, ConditionType::Ready), "{code}");
        assert!(
            find(&status.conditions, ConditionType::Stalled).is_none(),
            "{code}"
        );
    }
}
