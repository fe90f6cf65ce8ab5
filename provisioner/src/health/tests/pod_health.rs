//! How probes sum up to the health of a pod, and which results differ.

use shared_types::conditions::Reason;

use crate::health::*;

fn health(login: Login, failures: u32, served: Option<ServedCertificate>) -> PodHealth {
    PodHealth {
        served,
        login,
        failures,
    }
}

fn leaf(byte: u8) -> ServedCertificate {
    ServedCertificate {
        fingerprint: tls_bundle::Fingerprint::from_bytes([byte; 32]),
        not_after: None,
    }
}

fn refused(kind: &'static str, message: &str) -> Login {
    Login::Refused {
        fault: kind.into(),
        reason: None,
        message: message.to_owned(),
    }
}

fn broken(reason: &str) -> Result<(), LoginFailure> {
    Err(LoginFailure::Broken {
        reason: reason.to_owned(),
    })
}

fn good(failures: u32, served: Option<ServedCertificate>) -> PodHealth {
    health(Login::Accepted, failures, served)
}

/// As after a connection that broke for this reason.
fn bad(failures: u32, reason: &str) -> PodHealth {
    health(
        refused("broken", &broken(reason).unwrap_err().to_string()),
        failures,
        None,
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn probes_sum_up_to_the_health_of_a_pod() {
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
            PodHealth::after(before.as_ref(), Probe::ended(served, login), threshold),
            expected,
            "{what}"
        );
    }
    let other = PodHealth::after(
        Some(&bad(1, "a")),
        Probe::ended(None, Err(LoginFailure::PlainText)),
        1,
    );
    let expected = health(
        Login::Refused {
            fault: "plain-text".into(),
            reason: Some(Reason::PodsNotServing),
            message: LoginFailure::PlainText.to_string(),
        },
        2,
        None,
    );
    assert_eq!(other, expected, "another kind");
}

#[test]
fn a_read_only_pool_is_usable_and_differs() {
    let read_only = || LoginFailure::ReadOnly {
        backend: "PostgreSQL pg.demo.svc:5432 (AppBinding demo/pg)".to_owned(),
    };
    let step = |before: Option<&PodHealth>, login, threshold| {
        let served = Some(leaf(1));
        PodHealth::after(before, Probe::ended(served, login), threshold)
    };
    let fine = step(None, Ok(()), 1);
    let patient = step(Some(&fine), Err(read_only()), 2);
    assert_eq!(patient.login, Login::Accepted, "below the threshold");
    let reads = step(Some(&patient), Err(read_only()), 2);
    assert!(reads.login.is_usable() && reads.login.problem().is_some() && fine.differs(&reads));
    assert_eq!(reads.served, Some(leaf(1)));
    let again = step(Some(&reads), Err(read_only()), 2);
    assert!(!reads.differs(&again), "the same result again");
    let refused = step(Some(&again), broken("a"), 2);
    assert!(!refused.login.is_usable() && again.differs(&refused));
    assert!(again.differs(&step(Some(&again), Ok(()), 2)), "recovered");
}

#[test]
fn the_likelier_fix_comes_first_and_both_objects_are_named() {
    let (backend, secret) = (
        "PostgreSQL pg.demo.svc:5432 (AppBinding demo/pg)",
        "Secret demo/pg-auth",
    );
    for (code, first, second) in [
        ("28P01", secret, backend),
        ("58000", backend, secret),
        ("XX000", backend, secret),
    ] {
        let failure = LoginFailure::Rejected {
            user: "postgres".to_owned(),
            answer: "no".to_owned(),
            login_source: "demo/pg-auth".to_owned(),
            backend: backend.to_owned(),
            code: code.to_owned(),
        };
        let text = failure.to_string();
        let (one, other) = (text.find(first).unwrap(), text.find(second).unwrap());
        assert!(one < other, "{code}: {text}");
    }
}

#[test]
fn the_sqlstate_distinguishes_rejections() {
    let rejected = |code: &str, answer: &str| LoginFailure::Rejected {
        user: "postgres".to_owned(),
        answer: answer.to_owned(),
        login_source: "demo/pg-auth".to_owned(),
        backend: "PostgreSQL pg.demo.svc:5432 (AppBinding demo/pg)".to_owned(),
        code: code.to_owned(),
    };
    let step = |before: Option<&PodHealth>, failure| {
        let probe = Probe::ended(None, Err(failure));
        PodHealth::after(before, probe, 1)
    };
    let before = step(None, rejected("28P01", "password does not match"));
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
    for (code, answer, part, differs) in rows {
        let after = step(Some(&before), rejected(code, answer));
        assert_eq!(before.differs(&after), differs, "{answer}");
        let Login::Refused { message, .. } = after.login else {
            panic!("accepted");
        };
        assert!(message.contains(part), "{message}");
        assert_eq!(rejected(code, answer).kind(), "rejected", "one label for metrics");
    }
}

#[test]
fn results_differ_by_login_or_by_leaf_certificate() {
    let rows = [
        (
            health(Login::Accepted, 0, None),
            health(Login::Accepted, 1, None),
            false,
        ),
        (
            health(refused("a", "x"), 1, None),
            health(refused("a", "y"), 2, None),
            false,
        ),
        (
            health(refused("a", "x"), 1, None),
            health(refused("b", "x"), 1, None),
            true,
        ),
        (
            health(Login::Accepted, 0, None),
            health(refused("a", "x"), 1, None),
            true,
        ),
        (
            health(Login::Accepted, 0, Some(leaf(1))),
            health(Login::Accepted, 0, Some(leaf(2))),
            true,
        ),
    ];
    for (row, (before, after, differs)) in rows.into_iter().enumerate() {
        assert_eq!(before.differs(&after), differs, "row {row}");
    }
}
