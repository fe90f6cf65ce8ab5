//! What a request says of itself.

use shared_types::ops_request::OpsType;

use super::*;
use crate::fixtures::ops::{reason, request, told};
use crate::fixtures::{at, now};
use crate::ops_requests::plan;
use crate::ops_requests::status::last_step;

fn waits(message: &str) -> Verdict {
    Verdict::Waits {
        reason: OpsReason::WaitingForPgpool,
        message: message.into(),
        after: None,
    }
}

#[test]
fn steps_keep_their_order_and_the_end_is_last() {
    let request = request("one", OpsType::Restart, "{}");
    let steps = plan::steps(&request);
    let mut status = begun(&request, Vec::new(), now());
    assert_eq!(told(&status), ["Restart", "Reconciling"]);
    assert_eq!(status.phase, Some(OpsPhase::Progressing));
    reached(
        &request,
        &mut status,
        OpsCondition::UpdateDatabase,
        "changed".into(),
        now(),
    );
    settled(&request, &mut status, &steps, &waits("rolling"), now());
    assert_eq!(told(&status), ["Restart", "UpdateDatabase", "Reconciling"]);
    assert_eq!(
        reason(&status, OpsCondition::Reconciling),
        Some("WaitingForPgpool")
    );
    reached(
        &request,
        &mut status,
        OpsCondition::RestartPods,
        "done".into(),
        now(),
    );
    let message = "all".into();
    settled(
        &request,
        &mut status,
        &steps,
        &Verdict::Successful { message },
        now(),
    );
    assert_eq!(
        told(&status),
        ["Restart", "UpdateDatabase", "RestartPods", "Successful"]
    );
    assert!(has_ended(&status) && status.phase == Some(OpsPhase::Successful));
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.reason == condition.type_)
    );
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.observed_generation == Some(1))
    );
}

#[test]
fn a_failure_names_the_step_and_says_that_nothing_goes_on() {
    let request = request("one", OpsType::Restart, "{}");
    let mut status = begun(&request, Vec::new(), now());
    reached(
        &request,
        &mut status,
        OpsCondition::UpdateDatabase,
        "changed".into(),
        now(),
    );
    let verdict = Verdict::Failed {
        reason: OpsReason::TimedOut,
        message: "too long".into(),
    };
    settled(&request, &mut status, &plan::steps(&request), &verdict, now());
    assert_eq!(
        told(&status),
        ["Restart", "UpdateDatabase", "RestartPods", "Stalled", "Failed"]
    );
    assert_eq!(find(&status, OpsCondition::RestartPods).unwrap().status, "False");
    assert!(!is_done(&status, OpsCondition::RestartPods));
    assert_eq!(reason(&status, OpsCondition::Failed), Some("TimedOut"));
    let news = news(&status).unwrap();
    assert_eq!((news.reason, news.trouble), ("Failed", true));
}

#[test]
fn one_that_never_began_tells_no_step() {
    let request = request("one", OpsType::Restart, "{}");
    let none = PgpoolOpsRequestStatus::default();
    let queued = unbegun(&request, &none, &Verdict::queued("other"), now());
    assert_eq!(
        (told(&queued), queued.phase),
        (vec!["Reconciling"], Some(OpsPhase::Pending))
    );
    assert_eq!(news(&queued), None);
    let skipped = unbegun(&request, &queued, &Verdict::skipped("other"), now());
    assert_eq!(
        (told(&skipped), skipped.phase),
        (vec!["Skipped"], Some(OpsPhase::Skipped))
    );
    let (reason, message) = (OpsReason::NoCertificates, "none".into());
    let failed = unbegun(&request, &queued, &Verdict::Failed { reason, message }, now());
    assert_eq!(
        (told(&failed), failed.phase),
        (vec!["Stalled", "Failed"], Some(OpsPhase::Failed))
    );
}

#[test]
fn times_move_with_the_status_alone() {
    let request = request("one", OpsType::Restart, "{}");
    let mut status = begun(&request, Vec::new(), at("2026-06-01T12:00:00.7Z"));
    assert_eq!(
        begin(&request, &status),
        Some(at("2026-06-01T12:00:00Z")),
        "whole seconds"
    );
    let later = at("2026-06-01T12:05:00Z");
    settled(&request, &mut status, &[], &waits("still"), later);
    let waiting = find(&status, OpsCondition::Reconciling).unwrap();
    assert_eq!(waiting.last_transition_time.0, at("2026-06-01T12:00:00Z"));
    assert_eq!(waiting.message, "still");
    // Waiting is no step.
    assert_eq!(last_step(&status), Some(at("2026-06-01T12:00:00Z")));
    reached(
        &request,
        &mut status,
        OpsCondition::UpdateDatabase,
        "changed".into(),
        later,
    );
    assert_eq!(last_step(&status), Some(later));
}
