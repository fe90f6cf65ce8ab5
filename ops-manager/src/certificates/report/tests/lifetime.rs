//! What time does to certificates, and what a wrong clock makes of them.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_runtime::Outcome;
use rcgen::date_time_ymd;
use shared_types::Alias;
use shared_types::conditions::Reason;

use crate::cert_manager::CertificateStatus;
use crate::certificates::report::outcome;
use crate::fixtures::{at, change_certificate, issued, now, pgpool};

use super::{reissue, reported, reported_at};

#[test]
fn the_end_is_told_in_steps() {
    // Each of the three steps is checked when it comes, and an event reports it.
    let pgpool = pgpool();
    let observed = issued(&pgpool);
    let steps = [
        ("2026-09-01T07:59:59Z", Reason::CertificatesIssued),
        ("2026-09-01T08:00:01Z", Reason::RenewalOverdue),
        ("2026-11-25T11:59:59Z", Reason::RenewalOverdue),
        ("2026-11-25T12:00:01Z", Reason::ExpiresSoon),
        ("2026-12-31T23:59:59Z", Reason::ExpiresSoon),
    ];
    for (time, reason) in steps {
        let verdict = reported_at(&pgpool, &observed, at(time)).verdict;
        assert_eq!(
            (verdict.ready, verdict.reason),
            (true, Some(reason)),
            "{time}: {}",
            verdict.message
        );
    }
    let last = reported_at(&pgpool, &observed, at("2026-12-31T00:00:00Z")).verdict;
    for words in [
        "Secret demo/pool-server-cert (server certificate) expires at 2027-01-01T00:00:00Z",
        "less than a tenth of its lifetime is left, and no renewal is planned",
        "kubectl describe certificate pool-server-cert --namespace demo",
    ] {
        assert!(last.message.contains(words), "{}", last.message);
    }
}

#[test]
fn a_late_renewal_is_no_trouble_before_its_time() {
    let pgpool = pgpool();
    let planned = |time: &str| {
        let mut observed = issued(&pgpool);
        for alias in Alias::ALL {
            change_certificate(&mut observed, alias, |certificate| {
                certificate.status = Some(CertificateStatus {
                    renewal_time: Some(Time(at(time))),
                    ..CertificateStatus::default()
                });
            });
        }
        observed
    };
    let late = at("2026-12-01T00:00:00Z");
    for (renewal, reason) in [
        ("2026-12-20T00:00:00Z", Reason::CertificatesIssued),
        ("2026-11-30T23:55:00Z", Reason::CertificatesIssued),
        ("2026-11-30T23:45:00Z", Reason::ExpiresSoon),
    ] {
        let report = reported_at(&pgpool, &planned(renewal), late);
        assert_eq!(
            report.verdict.reason,
            Some(reason),
            "{renewal}: {}",
            report.verdict.message
        );
        assert_eq!(
            report
                .verdict
                .message
                .contains("which was due at 2026-11-30T23:45:00Z"),
            reason == Reason::ExpiresSoon
        );
    }
    let report = reported_at(&pgpool, &planned("2026-12-20T00:00:00Z"), late);
    assert_eq!(
        report.due,
        Some(at("2026-12-20T00:10:01Z")),
        "looked at when it should be over"
    );
}

#[test]
fn an_expired_leaf_is_refused() {
    let pgpool = pgpool();
    let observed = issued(&pgpool);
    let end = at("2027-01-01T00:00:00Z");
    // The last moment of its lifetime, and the first one after it.
    let before = reported_at(&pgpool, &observed, at("2026-12-31T23:59:00Z"));
    assert_eq!(
        outcome(Some(&before), at("2026-12-31T23:59:00Z")),
        Outcome::ConvergedUntil(Duration::from_mins(1))
    );
    let second_after = end.checked_add(Duration::from_secs(1)).unwrap();
    assert_eq!(
        reported_at(&pgpool, &observed, second_after).verdict.reason,
        Some(Reason::Expired)
    );
}

#[test]
fn a_leaf_of_tomorrow_is_looked_at_again_soon() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    reissue(&mut observed, |params| {
        params.not_before = date_time_ymd(2026, 6, 2);
    });
    let report = reported(&pgpool, &observed);
    // It may be the clock that is wrong, and is set right at any moment.
    let after = Some(Duration::from_mins(1));
    assert_eq!(
        outcome(Some(&report), now()),
        Outcome::Waiting {
            reason: "NotYetValid",
            after
        }
    );
}

/// The clock of this operator is wrong, by that much: what was good is refused, and is good again once it is right. The
/// sentence says where to look.
#[test]
fn a_clock_ahead_or_behind_is_told_and_passes() {
    let pgpool = pgpool();
    let observed = issued(&pgpool);
    for (time, reason, words) in [
        ("2025-12-31T23:59:00Z", Reason::NotYetValid, "fix the clock"),
        ("2027-06-01T12:00:00Z", Reason::Expired, "the clock of this node"),
    ] {
        let report = reported_at(&pgpool, &observed, at(time));
        let verdict = &report.verdict;
        assert_eq!(verdict.reason, Some(reason));
        assert!(verdict.message.contains(words), "{}", verdict.message);
        let Outcome::Waiting {
            after: Some(after), ..
        } = outcome(Some(&report), at(time))
        else {
            panic!("{report:?}")
        };
        assert!(after <= Duration::from_mins(1), "{after:?}");
        assert!(reported(&pgpool, &observed).verdict.ready);
    }
}
