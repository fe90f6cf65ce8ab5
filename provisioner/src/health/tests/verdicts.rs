//! What results add up to, and which are news.

use crate::health::*;

fn standing(login: Login, failures: u32, served: Option<Served>) -> Standing {
    Standing {
        served,
        login,
        failures,
    }
}

fn leaf(byte: u8) -> Served {
    Served {
        fingerprint: tls_bundle::Fingerprint::from_bytes([byte; 32]),
        not_after: None,
    }
}

fn refused(kind: &'static str, message: &str) -> Login {
    Login::Refused {
        fault: kind.into(),
        message: message.to_owned(),
    }
}

fn broken(reason: &str) -> Result<(), LoginFailure> {
    Err(LoginFailure::Broken {
        reason: reason.to_owned(),
    })
}

fn good(failures: u32, served: Option<Served>) -> Standing {
    standing(Login::Accepted, failures, served)
}

/// As after a connection that broke for this reason.
fn bad(failures: u32, reason: &str) -> Standing {
    standing(
        refused("broken", &broken(reason).unwrap_err().to_string()),
        failures,
        None,
    )
}

#[test]
fn results_add_up() {
    let old = || Some(leaf(1));
    let fine = Some(good(0, old()));
    let rows = [
        ("first success", None, Ok(()), old(), 1, good(0, old())),
        ("first failure", None, broken("a"), None, 3, bad(1, "a")),
        (
            "below the threshold",
            fine.clone(),
            broken("a"),
            None,
            2,
            good(1, old()),
        ),
        (
            "at the threshold",
            fine.clone(),
            broken("a"),
            None,
            1,
            bad(1, "a"),
        ),
        (
            "a new leaf meanwhile",
            fine,
            broken("a"),
            Some(leaf(2)),
            2,
            good(1, Some(leaf(2))),
        ),
        (
            "same kind again",
            Some(bad(1, "a")),
            broken("b"),
            None,
            1,
            bad(2, "a"),
        ),
        ("recovered", Some(bad(9, "a")), Ok(()), old(), 1, good(0, old())),
    ];
    for (what, before, login, served, threshold, expected) in rows {
        assert_eq!(
            judge(before.as_ref(), Probe { served, login }, threshold),
            expected,
            "{what}"
        );
    }
    let other = judge(
        Some(&bad(1, "a")),
        Probe {
            served: None,
            login: Err(LoginFailure::PlainText),
        },
        1,
    );
    let expected = standing(
        refused("plain-text", &LoginFailure::PlainText.to_string()),
        2,
        None,
    );
    assert_eq!(other, expected, "another kind");
}

#[test]
fn a_pool_that_only_reads_lets_in_and_is_news() {
    let read_only = || LoginFailure::ReadOnly {
        backend: "PostgreSQL pg.demo.svc:5432 (AppBinding demo/pg)".to_owned(),
    };
    let step = |before: Option<&Standing>, login, threshold| {
        let served = Some(leaf(1));
        judge(before, Probe { served, login }, threshold)
    };
    let fine = step(None, Ok(()), 1);
    let patient = step(Some(&fine), Err(read_only()), 2);
    assert_eq!(patient.login, Login::Accepted, "below the threshold");
    let reads = step(Some(&patient), Err(read_only()), 2);
    assert!(reads.login.lets_in() && reads.login.trouble().is_some() && fine.differs(&reads));
    assert_eq!(reads.served, Some(leaf(1)));
    let again = step(Some(&reads), Err(read_only()), 2);
    assert!(!reads.differs(&again), "the same again is no news");
    let refused = step(Some(&again), broken("a"), 2);
    assert!(!refused.login.lets_in() && again.differs(&refused));
    assert!(again.differs(&step(Some(&again), Ok(()), 2)), "recovered");
}

#[test]
fn the_likelier_cure_comes_first_and_both_objects_are_named() {
    let (backend, secret) = (
        "PostgreSQL pg.demo.svc:5432 (AppBinding demo/pg)",
        "Secret demo/pg-auth",
    );
    for (code, first, second) in [
        ("28P01", secret, backend),
        ("58000", backend, secret),
        ("XX000", backend, secret),
    ] {
        let failure = LoginFailure::TurnedDown {
            user: "postgres".to_owned(),
            answer: "no".to_owned(),
            login_source: "demo/pg-auth".to_owned(),
            backend: backend.to_owned(),
            code: code.to_owned(),
        };
        let said = failure.to_string();
        let (one, other) = (said.find(first).unwrap(), said.find(second).unwrap());
        assert!(one < other, "{code}: {said}");
    }
}

#[test]
fn what_the_server_says_tells_its_refusals_apart() {
    let turned_down = |code: &str, answer: &str| LoginFailure::TurnedDown {
        user: "postgres".to_owned(),
        answer: answer.to_owned(),
        login_source: "demo/pg-auth".to_owned(),
        backend: "PostgreSQL pg.demo.svc:5432 (AppBinding demo/pg)".to_owned(),
        code: code.to_owned(),
    };
    let step = |before: Option<&Standing>, failure| {
        let probe = Probe {
            served: None,
            login: Err(failure),
        };
        judge(before, probe, 1)
    };
    let before = step(None, turned_down("28P01", "password does not match"));
    let rows = [
        (
            "28P01",
            "no match for the password",
            "password does not match",
            false,
        ),
        (
            "57P03",
            "the database system is starting up",
            "is starting up",
            true,
        ),
    ];
    for (code, answer, told, news) in rows {
        let after = step(Some(&before), turned_down(code, answer));
        assert_eq!(before.differs(&after), news, "{answer}");
        let Login::Refused { message, .. } = after.login else {
            panic!("accepted");
        };
        assert!(message.contains(told), "{message}");
        assert_eq!(
            turned_down(code, answer).kind(),
            "turned-down",
            "one label for metrics"
        );
    }
}

#[test]
fn news_is_another_login_or_another_leaf() {
    let rows = [
        (
            standing(Login::Accepted, 0, None),
            standing(Login::Accepted, 1, None),
            false,
        ),
        (
            standing(refused("a", "x"), 1, None),
            standing(refused("a", "y"), 2, None),
            false,
        ),
        (
            standing(refused("a", "x"), 1, None),
            standing(refused("b", "x"), 1, None),
            true,
        ),
        (
            standing(Login::Accepted, 0, None),
            standing(refused("a", "x"), 1, None),
            true,
        ),
        (
            standing(Login::Accepted, 0, Some(leaf(1))),
            standing(Login::Accepted, 0, Some(leaf(2))),
            true,
        ),
    ];
    for (row, (before, after, news)) in rows.into_iter().enumerate() {
        assert_eq!(before.differs(&after), news, "row {row}");
    }
}
