use super::*;

const LIMITS: Limits = Limits {
    at_once: 2,
    per_minute: 60,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn request(expires: i64) -> Request {
    Request {
        expires: at(expires),
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

fn in_namespace(namespace: &str, number: i64) -> (String, String) {
    (namespace.to_owned(), number.to_string())
}

/// A namespace whose hundred certificates all expire sooner delays another by one rotation.
#[test]
fn namespaces_take_turns() {
    let mut bucket = TokenBucket::new(Limits {
        per_minute: 0,
        ..LIMITS
    });
    let many = |number| in_namespace("many", number);
    for number in 0..100 {
        bucket.admit(&many(number), request(number), at(0));
    }
    let one = in_namespace("few", 0);
    assert_eq!(after(bucket.admit(&one, request(5000), at(0))), 60);
    assert_eq!(
        bucket.update(&many(0), None, false),
        std::slice::from_ref(&one),
        "it has no rotation in flight, the other namespace has one"
    );
    assert_eq!(bucket.admit(&one, request(5000), at(1)), Admission::Granted);
    assert_eq!(bucket.update(&one, None, false), [many(2)]);
}

#[test]
fn at_most_so_many_rotate_at_once_and_the_next_is_returned() {
    let mut bucket = TokenBucket::new(LIMITS);
    for key in ["a", "b"] {
        assert_eq!(bucket.admit(&key, request(900), at(0)), Admission::Granted);
    }
    assert_eq!(after(bucket.admit(&"c", request(900), at(0))), 60);
    assert_eq!(after(bucket.admit(&"d", request(800), at(0))), 60);
    assert_eq!(
        bucket.admit(&"a", request(900), at(1)),
        Admission::Granted,
        "in flight"
    );
    assert_eq!(bucket.update(&"a", Some(at(2)), false), [""; 0]);
    // The one with the least time left goes first.
    assert_eq!(bucket.update(&"a", None, false), ["d"]);
    assert_eq!(
        after(bucket.admit(&"c", request(900), at(3))),
        60,
        "another one goes first"
    );
    assert_eq!(bucket.admit(&"d", request(800), at(3)), Admission::Granted);
    // One that does not wait any more delays no other.
    bucket.admit(&"e", request(100), at(4));
    bucket.update(&"e", None, false);
    assert_eq!(bucket.update(&"b", None, false), ["c"]);
}

#[test]
fn at_most_so_many_pods_per_minute() {
    let mut bucket = TokenBucket::new(Limits {
        at_once: 0,
        per_minute: 6,
    });
    // The burst is two pods; admitting three leaves a debt of one.
    assert_eq!(bucket.admit(&"a", request(900), at(0)), Admission::Granted);
    assert_eq!(after(bucket.admit(&"b", request(900), at(0))), 10);
    assert_eq!(after(bucket.admit(&"c", request(950), at(0))), 40);
    assert_eq!(after(bucket.admit(&"b", request(900), at(5))), 5);
    assert_eq!(bucket.admit(&"b", request(900), at(11)), Admission::Granted);
    // An idle hour adds no more than the burst.
    assert_eq!(bucket.admit(&"c", request(950), at(4000)), Admission::Granted);
    assert_eq!(after(bucket.admit(&"d", request(950), at(4000))), 10);
}

#[test]
fn an_urgent_request_is_admitted_beyond_the_limits_and_reported_as_such() {
    let mut bucket = TokenBucket::new(LIMITS);
    let urgent = |expires| Request {
        urgent: true,
        ..request(expires)
    };
    assert_eq!(
        bucket.admit(&"a", urgent(10), at(0)),
        Admission::Granted,
        "within the limits"
    );
    assert_eq!(bucket.admit(&"b", request(900), at(0)), Admission::Granted);
    assert_eq!(bucket.admit(&"c", urgent(10), at(0)), Admission::Overdue);
    assert_eq!(after(bucket.admit(&"d", request(900), at(0))), 60);
}

#[test]
fn a_stuck_rotation_delays_no_other() {
    let mut bucket = TokenBucket::new(LIMITS);
    for key in ["a", "b"] {
        bucket.update(&key, Some(at(0)), false);
    }
    assert_eq!(after(bucket.admit(&"c", request(9000), at(899))), 60);
    assert_eq!(bucket.admit(&"c", request(9000), at(900)), Admission::Granted);
}

#[test]
fn without_limits_everything_is_granted() {
    let mut bucket = TokenBucket::new(Limits::default());
    for number in 0..1000 {
        let key = in_namespace("ns", number);
        assert_eq!(bucket.admit(&key, request(900), at(0)), Admission::Granted);
    }
}
