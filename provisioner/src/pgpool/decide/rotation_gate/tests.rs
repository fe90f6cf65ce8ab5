use kube::ResourceExt;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSetStatus;

use tls_bundle::Fingerprint;

use super::*;
use crate::fixtures::{Pki, certificates, observed, tls_pgpool};
use crate::pgpool::decide::fixtures::{self, FixedLimiter, Planned};
use crate::pgpool::observe::pods::PodFacts;

/// A Friday. What is served ends with the year 2039, so that its last day is the urgent one.
const FRIDAY: &str = "2027-01-15T12:00:00Z";
const LAST_DAY: &str = "2039-12-31T12:00:00Z";
const GRACE: Duration = Duration::from_secs(2);

const QUEUED: Admission = Admission::Queued {
    after: Duration::from_secs(7),
};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A pool that serves, and a renewed certificate for it.
fn renewed(pgpool: &Pgpool) -> Observed {
    let pki = Pki::new();
    let world = || Observed {
        complete_for: GRACE,
        ..observed(pgpool, &pki)
    };
    let mut now = world();
    let first = planned(pgpool, &now, FRIDAY, Admission::Granted).objects;
    let (copy, mut set) = (first.tls_copy.unwrap(), first.stateful_set.unwrap());
    set.status = Some(StatefulSetStatus {
        current_revision: Some("a".to_owned()),
        update_revision: Some("a".to_owned()),
        ..StatefulSetStatus::default()
    });
    now = world();
    for ordinal in 0..3 {
        now.pods.push(PodFacts {
            ordinal,
            ready: true,
            revision: Some("a".to_owned()),
            mounted_certificates: Some(CertificateRevision::of_copy(&copy)),
            ..PodFacts::default()
        });
    }
    now.live.stateful_set = Some(Arc::new(set));
    now.live
        .tls_copies
        .insert(CertificateRevision::of_copy(&copy), Arc::new(copy));
    now
}

fn planned(pgpool: &Pgpool, observed: &Observed, now: &str, admission: Admission) -> Planned {
    let limiter = FixedLimiter::new(admission);
    fixtures::planned(pgpool, observed, &limiter, GRACE, at(now)).unwrap()
}

fn outcome(plan: &Planned, observed: &Observed) -> Outcome {
    let live = observed.live.stateful_set.as_ref().unwrap();
    let next = plan.objects.stateful_set.as_ref().unwrap();
    let hold = plan.rotation_hold.as_ref().map(|it| {
        let retry_after = it.explanation.retry_after.map(|after| after.as_secs());
        (it.holds, it.explanation.reason, retry_after)
    });
    (
        CertificateRevision::of_workload(next) != CertificateRevision::of_workload(live),
        hold,
    )
}

fn with_window(window: Option<&str>) -> Pgpool {
    let mut pgpool = tls_pgpool();
    if let Some(window) = window {
        let annotations = pgpool.annotations_mut();
        annotations.insert(names::ANNOTATION_MAINTENANCE_WINDOW.to_owned(), window.to_owned());
    }
    pgpool
}

/// Whether the new certificate is taken, and what is reported.
type Outcome = (bool, Option<(bool, Reason, Option<u64>)>);

fn waits(reason: Reason, after: u64) -> Outcome {
    (false, Some((true, reason, Some(after))))
}

fn goes(reason: Reason) -> Outcome {
    (true, Some((false, reason, None)))
}

fn all(rows: Vec<(&str, Option<&str>, &str, Admission, Outcome)>) {
    for (what, window, now, admission, expected) in rows {
        let pgpool = with_window(window);
        let world = renewed(&pgpool);
        let plan = planned(&pgpool, &world, now, admission);
        assert_eq!(outcome(&plan, &world), expected, "{what}");
    }
}

#[test]
fn a_client_certificate_that_no_pod_would_accept_waits_for_nothing() {
    let pgpool = with_window(Some("Sat 02:00-05:00"));
    // One of each at a time comes from an authority that the pods do not know.
    for (index, goes) in [(0, false), (1, true)] {
        let mut world = renewed(&pgpool);
        world.certificates[index] = certificates(&pgpool, &Pki::new()).remove(index);
        assert_eq!(
            outcome(&planned(&pgpool, &world, FRIDAY, QUEUED), &world).0,
            goes,
            "{index}"
        );
    }
}

const CLOSED: Option<&str> = Some("Sat 02:00-05:00");
const OPEN: Option<&str> = Some("Fri 11:00-13:00");

#[test]
fn a_new_certificate_waits_for_others() {
    use Admission::{Granted, Overdue};
    let others = waits(Reason::WaitingForRotationLimit, 7);
    let beyond = goes(Reason::LimitsOverridden);
    all(vec![
        ("nothing to wait for", None, FRIDAY, Granted, (true, None)),
        ("others", None, FRIDAY, QUEUED, others),
        ("others, but it cannot", None, LAST_DAY, Overdue, beyond),
        ("the window is open for others", OPEN, FRIDAY, QUEUED, others),
    ]);
}

#[test]
fn a_new_certificate_waits_for_the_window() {
    use Admission::{Granted, Overdue};
    let opens = waits(Reason::WaitingForWindow, 14 * 3600);
    let despite = goes(Reason::WindowOverridden);
    let left = at("2039-12-31T00:00:00Z").duration_since(at(FRIDAY)).as_secs();
    let invalid = Reason::MaintenanceWindowInvalid;
    let held = waits(invalid, u64::try_from(left).unwrap());
    all(vec![
        ("it is closed", CLOSED, FRIDAY, Granted, opens),
        ("it is open", OPEN, FRIDAY, Granted, (true, None)),
        ("it cannot wait", CLOSED, LAST_DAY, Granted, despite),
        ("nor for others", CLOSED, LAST_DAY, Overdue, despite),
        ("one that is none", Some("soon"), FRIDAY, Granted, held),
        (
            "it cannot wait for that",
            Some("soon"),
            LAST_DAY,
            Granted,
            goes(invalid),
        ),
    ]);
}

#[test]
fn a_slot_is_requested_when_nothing_else_delays_the_rotation() {
    let requested = |window, now| {
        let pgpool = with_window(window);
        let limiter = FixedLimiter::new(Admission::Granted);
        fixtures::planned(&pgpool, &renewed(&pgpool), &limiter, GRACE, at(now)).unwrap();
        *limiter.requested.lock().unwrap()
    };
    let request = |urgent| Request {
        expires: at("2040-01-01T00:00:00Z"),
        pods: 3,
        urgent,
    };
    assert_eq!(requested(None, FRIDAY), Some(request(false)));
    assert_eq!(requested(None, LAST_DAY), Some(request(true)));
    assert_eq!(requested(Some("Sat 02:00-05:00"), FRIDAY), None);
}

#[test]
fn the_window_of_all_counts_where_none_is_named() {
    let reason = |own: Option<&str>| {
        let pgpool = with_window(own);
        let mut world = renewed(&pgpool);
        world.default_window = Some("Sat 02:00-05:00".parse().unwrap());
        let plan = planned(&pgpool, &world, FRIDAY, Admission::Granted);
        plan.rotation_hold.map(|hold| hold.explanation.reason)
    };
    assert_eq!(reason(None), Some(Reason::WaitingForWindow));
    assert_eq!(reason(Some("Fri 11:00-13:00")), None);
    assert_eq!(reason(Some("none")), None);
}

#[test]
fn what_does_not_do_for_the_spec_or_is_underway_waits_for_nothing() {
    let pgpool = with_window(Some("Sat 02:00-05:00"));
    let taken = |world: &Observed| outcome(&planned(&pgpool, world, FRIDAY, Admission::Granted), world).0;
    assert!(!taken(&renewed(&pgpool)));

    let mut other_name = renewed(&pgpool);
    other_name.certificates[0].required[0]
        .dns_names
        .push("db.example.com".to_owned());
    let mut status = other_name.clone();
    status.certificates[0].required = renewed(&pgpool).certificates.remove(0).required;
    assert!(!taken(&status));
    // The certificate in the Secret has the name, what runs has not.
    let pair = Pki::new().server(&other_name.certificates[0].required[0].dns_names);
    let secret = crate::fixtures::secret("pool-server-cert", &pair);
    other_name.certificates[0].secret = crate::pgpool::observe::Lookup::Present(Arc::new(secret));
    assert!(taken(&other_name));

    let mut gone = renewed(&pgpool);
    gone.live.tls_copies.clear();
    assert!(taken(&gone), "the copy of what runs is gone");

    let mut rolls = renewed(&pgpool);
    let mut set = rolls.live.stateful_set.as_deref().unwrap().clone();
    set.status.as_mut().unwrap().update_revision = Some("b".to_owned());
    rolls.live.stateful_set = Some(Arc::new(set));
    assert!(!taken(&rolls), "pods are replaced for another cause");
    rolls.pods[0].mounted_certificates = Some("earlier".to_owned().into());
    assert!(taken(&rolls), "pods are taking over a certificate anyway");
}

#[test]
fn while_pods_take_it_over_it_is_told_that_the_window_was_not_waited_for() {
    let pgpool = with_window(Some("Sat 02:00-05:00"));
    let mut world = renewed(&pgpool);
    let objects = planned(&pgpool, &world, LAST_DAY, Admission::Granted).objects;
    let copy = objects.tls_copy.unwrap();
    world
        .live
        .tls_copies
        .insert(CertificateRevision::of_copy(&copy), Arc::new(copy.clone()));
    world.live.stateful_set = objects.stateful_set.map(Arc::new);
    let reason = |world: &Observed| {
        let plan = planned(&pgpool, world, LAST_DAY, Admission::Granted);
        plan.rotation_hold.map(|hold| hold.explanation.reason)
    };
    assert_eq!(reason(&world), Some(Reason::WindowOverridden));
    for pod in &mut world.pods {
        pod.mounted_certificates = Some(CertificateRevision::of_copy(&copy));
    }
    assert_eq!(reason(&world), None, "it is done");
}

#[test]
fn a_window_that_cannot_be_read_is_reported() {
    let pgpool = with_window(Some("Caturday"));
    let world = renewed(&pgpool);
    let plan = planned(&pgpool, &world, FRIDAY, Admission::Granted);
    let remark = plan.rotation_hold.unwrap().explanation;
    assert_eq!(remark.reason, Reason::MaintenanceWindowInvalid);
    assert!(
        remark.message.contains("maintenance-window") && remark.message.contains("Caturday"),
        "{}",
        remark.message
    );
}

#[test]
fn a_certificate_is_urgent_a_day_or_a_tenth_of_its_life_before_its_end() {
    let urgent = |ends: &str| {
        urgent_at(&Leaf {
            fingerprint: Fingerprint::of_der(b"leaf"),
            not_before: at("2027-01-01T00:00:00Z"),
            not_after: at(ends),
            common_name: None,
            dns_names: Vec::new(),
        })
    };
    assert_eq!(
        urgent("2028-01-01T00:00:00Z"),
        at("2027-12-31T00:00:00Z"),
        "a year"
    );
    assert_eq!(
        urgent("2027-01-11T00:00:00Z"),
        at("2027-01-10T00:00:00Z"),
        "ten days"
    );
    assert_eq!(
        urgent("2027-01-01T10:00:00Z"),
        at("2027-01-01T09:00:00Z"),
        "ten hours"
    );
}
