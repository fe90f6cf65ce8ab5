use super::*;

const LIMITS: Limits = Limits {
    at_once: 2,
    per_minute: 60,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn ask(ends: i64) -> Ask {
    Ask {
        ends: at(ends),
        pods: 3,
        urgent: false,
    }
}

fn after(admission: Admission) -> u64 {
    match admission {
        Admission::Queued { after } => after.as_secs(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn so_many_at_once_and_the_next_is_told() {
    let mut bucket = Bucket::new(LIMITS);
    for key in ["a", "b"] {
        assert_eq!(bucket.admit(&key, ask(900), at(0)), Admission::Granted);
    }
    assert_eq!(after(bucket.admit(&"c", ask(900), at(0))), 60);
    assert_eq!(after(bucket.admit(&"d", ask(800), at(0))), 60);
    assert_eq!(
        bucket.admit(&"a", ask(900), at(1)),
        Admission::Granted,
        "it is at it"
    );
    assert_eq!(bucket.note(&"a", Some(at(2)), false), [""; 0]);
    // Who has the least time left goes first.
    assert_eq!(bucket.note(&"a", None, false), ["d"]);
    assert_eq!(after(bucket.admit(&"c", ask(900), at(3))), 60, "one is before it");
    assert_eq!(bucket.admit(&"d", ask(800), at(3)), Admission::Granted);
    // One who asks no longer holds up nobody.
    bucket.admit(&"e", ask(100), at(4));
    bucket.note(&"e", None, false);
    assert_eq!(bucket.note(&"b", None, false), ["c"]);
}

#[test]
fn so_many_pods_in_a_minute() {
    let mut bucket = Bucket::new(Limits {
        at_once: 0,
        per_minute: 6,
    });
    // Two pods may go at once; who is let in with three owes one.
    assert_eq!(bucket.admit(&"a", ask(900), at(0)), Admission::Granted);
    assert_eq!(after(bucket.admit(&"b", ask(900), at(0))), 10);
    assert_eq!(after(bucket.admit(&"c", ask(950), at(0))), 40);
    assert_eq!(after(bucket.admit(&"b", ask(900), at(5))), 5);
    assert_eq!(bucket.admit(&"b", ask(900), at(11)), Admission::Granted);
    // A quiet hour does not pile up more than a moment's worth.
    assert_eq!(bucket.admit(&"c", ask(950), at(4000)), Admission::Granted);
    assert_eq!(after(bucket.admit(&"d", ask(950), at(4000))), 10);
}

#[test]
fn who_cannot_wait_does_not_and_that_is_told() {
    let mut bucket = Bucket::new(LIMITS);
    let urgent = |ends| Ask {
        urgent: true,
        ..ask(ends)
    };
    assert_eq!(
        bucket.admit(&"a", urgent(10), at(0)),
        Admission::Granted,
        "there is room"
    );
    assert_eq!(bucket.admit(&"b", ask(900), at(0)), Admission::Granted);
    assert_eq!(bucket.admit(&"c", urgent(10), at(0)), Admission::Overdue);
    assert_eq!(after(bucket.admit(&"d", ask(900), at(0))), 60);
}

#[test]
fn who_is_stuck_holds_up_nobody() {
    let mut bucket = Bucket::new(LIMITS);
    for key in ["a", "b"] {
        bucket.note(&key, Some(at(0)), false);
    }
    assert_eq!(after(bucket.admit(&"c", ask(9000), at(899))), 60);
    assert_eq!(bucket.admit(&"c", ask(9000), at(900)), Admission::Granted);
}

#[test]
fn no_limits() {
    let mut bucket = Bucket::new(Limits::default());
    for key in 0..1000 {
        assert_eq!(bucket.admit(&key, ask(900), at(0)), Admission::Granted);
    }
}
