use super::*;

const START: &str = "2026-03-01T10:00:00Z";
const LATER: &str = "2026-03-01T11:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn ready(status: impl Into<Status>, message: &str, generation: i64, since: &str) -> Condition {
    condition(
        ConditionType::Ready,
        status,
        Reason::ReadinessCheckSucceeded,
        message,
        Some(generation),
        at(since),
        &[],
    )
}

#[test]
fn transition_time_moves_with_the_status_alone() {
    let cases: &[(&str, Option<Status>, Status, &str)] = &[
        ("first time", None, Status::True, LATER),
        ("same status", Some(Status::True), Status::True, START),
        ("true to false", Some(Status::True), Status::False, LATER),
        ("false to unknown", Some(Status::False), Status::Unknown, LATER),
        ("unknown stays", Some(Status::Unknown), Status::Unknown, START),
    ];
    for (name, before, now, expected) in cases {
        let previous: Vec<_> = before
            .iter()
            .map(|status| ready(*status, "before", 1, START))
            .collect();
        let built = condition(
            ConditionType::Ready,
            *now,
            Reason::ReadinessCheckFailed,
            "after",
            Some(2),
            at(LATER),
            &previous,
        );
        assert_eq!(built.last_transition_time.0, at(expected), "{name}");
    }
}

#[test]
fn times_have_whole_seconds() {
    let built = condition(
        ConditionType::Ready,
        true,
        Reason::Converged,
        "",
        None,
        at("2026-03-01T10:00:00.9Z"),
        &[],
    );
    assert_eq!(built.last_transition_time.0, at(START));
}

#[test]
fn found_by_type_and_status() {
    let conditions = [ready(Status::Unknown, "", 1, START)];
    assert!(find(&conditions, ConditionType::Ready).is_some());
    assert!(find(&conditions, ConditionType::Stalled).is_none());
    assert!(!is_true(&conditions, ConditionType::Ready) && !is_false(&conditions, ConditionType::Ready));
    assert!(is_true(&[ready(true, "", 1, START)], ConditionType::Ready));
    assert!(is_false(&[ready(false, "", 1, START)], ConditionType::Ready));
}

#[test]
fn words_are_camel_case_and_read_back() {
    for reason in Reason::ALL {
        assert_eq!(Reason::from_word(reason.as_str()), Some(*reason));
        assert!(reason.as_str().chars().all(|c| c.is_ascii_alphanumeric()));
    }
    for ty in ConditionType::ALL {
        assert_eq!(ConditionType::from_word(ty.as_str()), Some(*ty));
    }
    for reason in OpsReason::ALL {
        assert_eq!(OpsReason::from_word(reason.as_str()), Some(*reason));
    }
    for ty in OpsCondition::ALL {
        assert_eq!(OpsCondition::from_word(ty.as_str()), Some(*ty));
    }
    assert_eq!(Reason::from_word("converged"), None);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let short = "ä".repeat(limits::MESSAGE_BYTES / 2);
    assert_eq!(cut(short.clone()), short);
    let long = cut(format!("x{short}"));
    assert!(
        long.len() <= limits::MESSAGE_BYTES && long.ends_with("ä…"),
        "{}",
        long.len()
    );
}
