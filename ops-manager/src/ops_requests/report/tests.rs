//! What a request says of itself.

use shared_types::ops_request::OpsType;

use super::*;
use crate::fixtures::ops::{reason, request, shown};
use crate::fixtures::{at, now};
use crate::ops_requests::operations::operation;
use crate::ops_requests::status::{last_step, start_time};

fn waits(message: &str) -> Resolution {
    Resolution::waiting(OpsReason::WaitingForPgpool, message)
}

#[test]
fn steps_keep_their_order_and_the_end_is_last() {
    let request = request("one", OpsType::Restart, "{}");
    let steps = operation(&request).steps(&request);
    let mut status = started(&request, Vec::new(), now());
    assert_eq!(shown(&status), ["Restart", "Reconciling"]);
    assert_eq!(status.phase, Some(OpsPhase::Progressing));
    step_done(
        &request,
        &mut status,
        OpsCondition::UpdateDatabase,
        "changed".into(),
        now(),
    );
    resolved(&request, &mut status, &steps, &waits("rolling"), now());
    assert_eq!(shown(&status), ["Restart", "UpdateDatabase", "Reconciling"]);
    assert_eq!(
        reason(&status, OpsCondition::Reconciling),
        Some("WaitingForPgpool")
    );
    step_done(
        &request,
        &mut status,
        OpsCondition::RestartPods,
        "done".into(),
        now(),
    );
    let message = "all".into();
    resolved(
        &request,
        &mut status,
        &steps,
        &Resolution::Successful { message },
        now(),
    );
    assert_eq!(
        shown(&status),
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
    let mut status = started(&request, Vec::new(), now());
    step_done(
        &request,
        &mut status,
        OpsCondition::UpdateDatabase,
        "changed".into(),
        now(),
    );
    let resolution = Resolution::failed(OpsReason::TimedOut, "too long");
    resolved(
        &request,
        &mut status,
        &operation(&request).steps(&request),
        &resolution,
        now(),
    );
    assert_eq!(
        shown(&status),
        ["Restart", "UpdateDatabase", "RestartPods", "Stalled", "Failed"]
    );
    assert_eq!(find(&status, OpsCondition::RestartPods).unwrap().status, "False");
    assert!(!is_done(&status, OpsCondition::RestartPods));
    assert_eq!(reason(&status, OpsCondition::Failed), Some("TimedOut"));
    let event = announcement(&status).unwrap();
    assert_eq!((event.reason, event.is_warning), ("Failed", true));
}

#[test]
fn a_request_that_never_started_has_no_step() {
    let request = request("one", OpsType::Restart, "{}");
    let none = PgpoolOpsRequestStatus::default();
    let queued = not_started(
        &request,
        &none,
        &Resolution::waiting(OpsReason::Queued, "behind"),
        now(),
    );
    assert_eq!(
        (shown(&queued), queued.phase),
        (vec!["Reconciling"], Some(OpsPhase::Pending))
    );
    assert_eq!(announcement(&queued), None);
    let message = "newer".into();
    let skipped = not_started(&request, &queued, &Resolution::Skipped { message }, now());
    assert_eq!(
        (shown(&skipped), skipped.phase),
        (vec!["Skipped"], Some(OpsPhase::Skipped))
    );
    let failed = not_started(
        &request,
        &queued,
        &Resolution::failed(OpsReason::NoCertificates, "none"),
        now(),
    );
    assert_eq!(
        (shown(&failed), failed.phase),
        (vec!["Stalled", "Failed"], Some(OpsPhase::Failed))
    );
}

#[test]
fn times_move_with_the_status_alone() {
    let request = request("one", OpsType::Restart, "{}");
    let mut status = started(&request, Vec::new(), at("2026-06-01T12:00:00.7Z"));
    assert_eq!(
        start_time(&request, &status),
        Some(at("2026-06-01T12:00:00Z")),
        "whole seconds"
    );
    let later = at("2026-06-01T12:05:00Z");
    resolved(&request, &mut status, &[], &waits("still"), later);
    let waiting = find(&status, OpsCondition::Reconciling).unwrap();
    assert_eq!(waiting.last_transition_time.0, at("2026-06-01T12:00:00Z"));
    assert_eq!(waiting.message, "still");
    // Waiting is no step.
    assert_eq!(last_step(&status), Some(at("2026-06-01T12:00:00Z")));
    step_done(
        &request,
        &mut status,
        OpsCondition::UpdateDatabase,
        "changed".into(),
        later,
    );
    assert_eq!(last_step(&status), Some(later));
}
