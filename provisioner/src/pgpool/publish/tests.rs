use shared_types::conditions::{Reason, condition};

use super::*;
use crate::fixtures::now;

fn status(conditions: &[(ConditionType, bool, Reason)]) -> PgpoolStatus {
    let conditions = conditions.iter();
    PgpoolStatus {
        conditions: conditions
            .map(|(ty, holds, reason)| {
                condition(*ty, *holds, *reason, format!("about {ty}"), Some(1), now(), &[])
            })
            .collect(),
        ..PgpoolStatus::default()
    }
}

#[test]
fn events_for_transitions_and_for_nothing_else() {
    use ConditionType::{Provisioned, Ready, Reconciling, Stalled};
    let never = status(&[(Ready, false, Reason::ReadinessCheckFailed)]);
    let first = status(&[
        (Ready, true, Reason::ReadinessCheckSucceeded),
        (Provisioned, true, Reason::DatabaseSuccessfullyProvisioned),
        (Reconciling, true, Reason::WaitingForPods),
    ]);
    let lost = status(&[
        (Ready, false, Reason::PodsNotServing),
        (Provisioned, true, Reason::DatabaseSuccessfullyProvisioned),
        (Reconciling, false, Reason::Converged),
    ]);
    let stuck = status(&[(Stalled, true, Reason::NameConflict)]);
    let empty = PgpoolStatus::default();
    let held = |holds, reason| status(&[(ConditionType::RotationHeld, holds, reason)]);
    let none: &[(Kind, &str)] = &[];
    let rows = [
        ("not ready for the first time is no news", &empty, &never, none),
        (
            "ready for the first time",
            &never,
            &first,
            &[(Kind::Normal, "DatabaseSuccessfullyProvisioned")],
        ),
        ("still so", &first, &first, none),
        ("lost", &first, &lost, &[(Kind::Warning, "PodsNotServing")]),
        (
            "regained",
            &lost,
            &first,
            &[(Kind::Normal, "ReadinessCheckSucceeded")],
        ),
        ("stuck", &empty, &stuck, &[(Kind::Warning, "NameConflict")]),
        ("stuck still", &stuck, &stuck, none),
        ("not stuck any more", &stuck, &empty, none),
        (
            "held",
            &empty,
            &held(true, Reason::WaitingForWindow),
            &[(Kind::Normal, "WaitingForWindow")],
        ),
        (
            "one of many",
            &empty,
            &held(true, Reason::WaitingForRotationLimit),
            none,
        ),
        (
            "overridden",
            &held(true, Reason::WaitingForWindow),
            &held(false, Reason::WindowOverridden),
            &[(Kind::Warning, "WindowOverridden")],
        ),
    ];
    for (what, before, after, expected) in rows {
        assert_eq!(published(before, after), expected, "{what}");
    }
}

#[test]
fn a_change_that_was_asked_for_is_no_warning() {
    use ConditionType::{Provisioned, Ready, Reconciling};
    let with = |ready, reason, working, work| {
        status(&[
            (Ready, ready, reason),
            (Provisioned, true, Reason::DatabaseSuccessfullyProvisioned),
            (Reconciling, working, work),
        ])
    };
    let first = with(true, Reason::ReadinessCheckSucceeded, false, Reason::Converged);
    let unready = |work| with(false, Reason::ReadinessCheckFailed, true, work);
    let (replaced, crashed) = (unready(Reason::RollingOut), unready(Reason::WaitingForPods));
    let mut edited = crashed.clone();
    edited.conditions[2].observed_generation = Some(2);
    let rows = [
        ("replaced", &replaced, Kind::Normal),
        ("an edit", &edited, Kind::Normal),
        ("a crash", &crashed, Kind::Warning),
    ];
    for (what, after, kind) in rows {
        assert_eq!(
            published(&first, after),
            [(kind, "ReadinessCheckFailed")],
            "{what}"
        );
    }
}

#[test]
fn events_of_scripts() {
    let scripts = |done, reason| status(&[(ConditionType::Initialized, done, reason)]);
    let empty = PgpoolStatus::default();
    let none: &[(Kind, &str)] = &[];
    let rows = [
        (
            "scripts wait for the pool",
            &empty,
            &scripts(false, Reason::InitWaitingForPool),
            none,
        ),
        (
            "scripts run",
            &scripts(false, Reason::InitWaitingForPool),
            &scripts(false, Reason::InitRunning),
            &[(Kind::Normal, "InitRunning")],
        ),
        (
            "scripts failed",
            &scripts(false, Reason::InitRunning),
            &scripts(false, Reason::InitFailed),
            &[(Kind::Warning, "InitFailed")],
        ),
        (
            "scripts are missing",
            &scripts(false, Reason::InitWaitingForPool),
            &scripts(false, Reason::InitSourceNotFound),
            &[(Kind::Warning, "InitSourceNotFound")],
        ),
        (
            "scripts have run",
            &scripts(false, Reason::InitRunning),
            &scripts(true, Reason::InitSucceeded),
            &[(Kind::Normal, "InitSucceeded")],
        ),
        (
            "scripts are gone",
            &scripts(true, Reason::InitSucceeded),
            &empty,
            none,
        ),
    ];
    for (what, before, after, expected) in rows {
        assert_eq!(published(before, after), expected, "{what}");
    }
}

fn published(before: &PgpoolStatus, after: &PgpoolStatus) -> Vec<(Kind, &'static str)> {
    let events = transitions(before, after);
    let word = |reason: &String| Reason::from_word(reason).unwrap().as_str();
    events
        .iter()
        .map(|(kind, reason, _)| (*kind, word(reason)))
        .collect()
}
