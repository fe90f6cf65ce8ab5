//! What is written into the status, and when.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_runtime::{Availability, Outcome};
use shared_types::conditions::ConditionType;
use shared_types::{Alias, Pgpool, PgpoolStatus};

use crate::certificates::observe::{IssuerState, Presence};
use crate::certificates::own_status::OwnStatus;
use crate::certificates::report::{outcome, own_status};
use crate::fixtures::{self, asked, at, change_secret, issued, now, pgpool, prepared};

use super::{reported, reported_at};

fn with_status(mut pgpool: Pgpool, own: OwnStatus) -> Pgpool {
    pgpool.status = Some(PgpoolStatus {
        conditions: own.conditions,
        certificates: own.certificates,
        ..PgpoolStatus::default()
    });
    pgpool
}

#[test]
fn what_every_new_pgpool_passes_through_is_not_written_at_once() {
    let pgpool = pgpool();
    let empty = OwnStatus::default();
    let mut without_service = prepared(&pgpool);
    without_service.prerequisites[4].presence = Presence::Absent;
    let mut unready_issuer = prepared(&pgpool);
    unready_issuer
        .issuers
        .values_mut()
        .for_each(|state| *state = fixtures::issuer_state(false));
    // The Pgpool is of 11:00:00, its Certificates of 11:00:02.
    for (observed, quiet_until) in [
        (without_service, "2026-06-01T11:00:03Z"),
        (unready_issuer, "2026-06-01T11:00:03Z"),
        (asked(&pgpool), "2026-06-01T11:00:05Z"),
    ] {
        let early = at("2026-06-01T11:00:02.5Z");
        let report = reported_at(&pgpool, &observed, early);
        assert_eq!(
            report.quiet_until,
            Some(at(quiet_until)),
            "{}",
            report.verdict.message
        );
        assert_eq!(own_status(Some(&report), &empty, early), empty);
        let Outcome::Waiting {
            after: Some(after), ..
        } = outcome(Some(&report), early)
        else {
            panic!("waits")
        };
        assert_eq!(
            after,
            Duration::try_from(at(quiet_until).duration_since(early)).unwrap()
        );

        let later = reported_at(&pgpool, &observed, at(quiet_until));
        assert_eq!(later.quiet_until, None);
        assert_ne!(own_status(Some(&later), &empty, at(quiet_until)), empty);
    }
    let mut missing = prepared(&pgpool);
    missing
        .issuers
        .values_mut()
        .for_each(|state| *state = IssuerState::Absent);
    let report = reported_at(&pgpool, &missing, at("2026-06-01T11:00:00Z"));
    assert_eq!(
        report.quiet_until, None,
        "what a person has to fix is reported at once"
    );
}

#[test]
fn the_status_is_ours_alone_and_settles() {
    let mut pgpool = pgpool();
    pgpool.status = serde_yaml::from_str(
        "{phase: Ready, conditions: [{type: Ready, status: 'True', reason: x, message: '', lastTransitionTime: '2026-06-01T11:30:00Z'}]}",
    )
    .unwrap();
    let observed = issued(&pgpool);
    let current = OwnStatus::of(&pgpool);
    assert_eq!(
        current,
        OwnStatus::default(),
        "conditions of the provisioner are not ours"
    );

    let own = own_status(Some(&reported(&pgpool, &observed)), &current, now());
    let condition = own.condition(ConditionType::CertificatesReady).unwrap();
    assert_eq!(
        (condition.type_.as_str(), condition.status.as_str()),
        ("CertificatesReady", "True")
    );
    assert_eq!(condition.observed_generation, Some(1));
    assert_eq!(condition.last_transition_time, Time(now()));
    let server = &own.certificates[0];
    assert_eq!(server.fingerprint.as_ref().map(String::len), Some(64));
    assert_eq!(server.not_after, Some(Time(at("2027-01-01T00:00:00Z"))));

    let pgpool = with_status(pgpool, own.clone());
    let later = at("2026-06-01T13:00:00Z");
    let again = own_status(
        Some(&reported_at(&pgpool, &observed, later)),
        &OwnStatus::of(&pgpool),
        later,
    );
    assert_eq!(again, own, "nothing is left to write");

    let without_tls = own_status(None, &OwnStatus::of(&pgpool), later);
    assert_eq!(
        without_tls,
        OwnStatus::default(),
        "without TLS nothing of it stays"
    );
    assert_eq!(outcome(None, later), Outcome::Converged);
}

#[test]
fn the_transition_time_moves_with_the_status_only() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    let own = own_status(Some(&reported(&pgpool, &observed)), &OwnStatus::default(), now());
    let pgpool = with_status(pgpool, own);
    let later = at("2026-06-01T13:00:00Z");
    observed.cert_manager = Availability::Absent;
    let noted = own_status(
        Some(&reported_at(&pgpool, &observed, later)),
        &OwnStatus::of(&pgpool),
        later,
    );
    assert_eq!(
        noted
            .condition(ConditionType::CertificatesReady)
            .unwrap()
            .last_transition_time,
        Time(now()),
        "the message alone has changed"
    );
    change_secret(&mut observed, Alias::Server, |secret| secret.data = None);
    let turned = own_status(
        Some(&reported_at(&pgpool, &observed, later)),
        &OwnStatus::of(&pgpool),
        later,
    );
    assert_eq!(
        turned
            .condition(ConditionType::CertificatesReady)
            .unwrap()
            .last_transition_time,
        Time(later)
    );
}
