//! Whose turn it is.

use super::*;
use crate::fixtures::ops::{created, request};

fn other(name: &str, type_: OpsType, created: &str, state: RequestState) -> CompetingRequest {
    CompetingRequest {
        name: name.into(),
        type_,
        created: Some(created.parse().unwrap()),
        state,
    }
}

const EARLY: &str = "2026-06-01T11:00:00Z";
const NOON: &str = "2026-06-01T12:00:00Z";
const LATE: &str = "2026-06-01T13:00:00Z";

/// The answer to a `Restart` of noon beside these.
fn restart_beside(competing: &[CompetingRequest]) -> Turn {
    turn(&created(request("me", OpsType::Restart, "{}"), NOON), competing)
}

#[test]
fn one_at_a_time_and_the_oldest_first() {
    use OpsType::{HorizontalScaling, Reconfigure, Restart};
    let one = |type_, created, state| restart_beside(&[other("x", type_, created, state)]);
    assert_eq!(restart_beside(&[]), Turn::Mine);
    assert_eq!(one(Restart, EARLY, RequestState::Ended(None)), Turn::Mine);
    assert_eq!(one(Restart, LATE, RequestState::Running), Turn::Behind);
    assert_eq!(one(HorizontalScaling, EARLY, RequestState::Waiting), Turn::Behind);
    assert_eq!(one(HorizontalScaling, LATE, RequestState::Waiting), Turn::Mine);
    // It may be what the pool needs.
    assert_eq!(one(HorizontalScaling, EARLY, RequestState::Held), Turn::Mine);
    let both = [
        other("y", HorizontalScaling, EARLY, RequestState::Waiting),
        other("x", Reconfigure, LATE, RequestState::Running),
    ];
    assert_eq!(restart_beside(&both), Turn::Behind);
}

#[test]
fn of_one_type_the_newest_is_wanted() {
    let superseded = |by: &str| Turn::Superseded { by: by.into() };
    let one = |name, created, state| restart_beside(&[other(name, OpsType::Restart, created, state)]);
    assert_eq!(one("x", LATE, RequestState::Waiting), superseded("x"));
    assert_eq!(one("x", LATE, RequestState::Held), superseded("x"));
    assert_eq!(
        one("x", EARLY, RequestState::Waiting),
        Turn::Mine,
        "that one is skipped"
    );
    // Of one second the smallest name is the newest.
    assert_eq!(one("a", NOON, RequestState::Waiting), superseded("a"));
    assert_eq!(one("z", NOON, RequestState::Waiting), Turn::Mine);
}

#[test]
fn settings_add_up_in_their_order() {
    let mine = created(request("me", OpsType::Reconfigure, "{}"), NOON);
    let beside = |created| {
        turn(
            &mine,
            &[other("x", OpsType::Reconfigure, created, RequestState::Waiting)],
        )
    };
    assert_eq!(beside(LATE), Turn::Mine);
    assert_eq!(beside(EARLY), Turn::Behind);
}

#[test]
fn sixteen_changes_of_settings_may_be_open_and_one_of_every_other_type() {
    let competing = |type_, count: usize| -> Vec<_> {
        let names = (0..count).map(|number| format!("x{number}"));
        names
            .map(|name| other(&name, type_, EARLY, RequestState::Held))
            .collect()
    };
    let mine = created(request("me", OpsType::Reconfigure, "{}"), NOON);
    assert_eq!(turn(&mine, &competing(OpsType::Reconfigure, 15)), Turn::Mine);
    assert_eq!(
        turn(&mine, &competing(OpsType::Reconfigure, 16)),
        Turn::TooMany { open: 16 }
    );
    assert_eq!(turn(&mine, &competing(OpsType::Restart, 16)), Turn::Mine);
    assert_eq!(
        restart_beside(&competing(OpsType::Restart, 16)),
        Turn::Mine,
        "those are skipped"
    );
    assert_eq!(restart_beside(&competing(OpsType::Reconfigure, 16)), Turn::Mine);
}

/// Two that begin at once each see the other as waiting: exactly one may go.
#[test]
fn of_two_exactly_one_may_begin() {
    for (one, other) in [(EARLY, NOON), (NOON, EARLY), (NOON, NOON)] {
        for types in [
            [OpsType::Restart; 2],
            [OpsType::Restart, OpsType::RotateAuth],
            [OpsType::Reconfigure; 2],
        ] {
            let [a, b] = [("a", types[0], one), ("b", types[1], other)]
                .map(|(name, type_, time)| created(request(name, type_, "{}"), time));
            let seen = |request: &PgpoolOpsRequest| {
                CompetingRequest::new(request, &PgpoolOpsRequestStatus::default())
            };
            let turns = [turn(&a, &[seen(&b)]), turn(&b, &[seen(&a)])];
            assert_eq!(
                turns.iter().filter(|turn| **turn == Turn::Mine).count(),
                1,
                "{turns:?}"
            );
        }
    }
}

#[test]
fn the_time_to_wait_for_the_pool_begins_when_the_others_are_over() {
    let mine = created(request("me", OpsType::Restart, "{}"), NOON);
    let over = |at: &str| {
        other(
            "x",
            OpsType::Restart,
            EARLY,
            RequestState::Ended(Some(at.parse().unwrap())),
        )
    };
    assert_eq!(free_since(&mine, &[]), Some(NOON.parse().unwrap()));
    assert_eq!(free_since(&mine, &[over(EARLY)]), Some(NOON.parse().unwrap()));
    assert_eq!(free_since(&mine, &[over(LATE)]), Some(LATE.parse().unwrap()));
}
