//! Loops are ended and ordinary life is not.

use shared_types::conditions::Reason;

use super::*;
use crate::cert_manager;
use crate::certificates::judge::judge;
use crate::certificates::validate::validate;
use crate::fixtures::{
    Authority, DOMAIN, at, change_certificate, change_secret, desired_for, issued, needed, pgpool, prepared,
    present, settings,
};

const START: &str = "2026-06-01T12:00:00Z";

/// A Pgpool whose server certificate changes, with the status as it was last written.
struct Life {
    pgpool: Pgpool,
    observed: Observed,
    status: OwnStatus,
    now: Timestamp,
}

impl Life {
    fn begin() -> Self {
        let pgpool = pgpool();
        Self {
            observed: issued(&pgpool),
            pgpool,
            status: OwnStatus::default(),
            now: at(START),
        }
    }

    fn pass(&mut self, minutes: u64) {
        self.now = self.now.checked_add(Duration::from_mins(minutes)).unwrap();
    }

    /// Another leaf comes to stand in the Secret, written by somebody else where one is named.
    fn replace(&mut self, writer: Option<&str>) {
        let child = self.observed.children.get_mut(&Alias::Server).unwrap();
        let asked = desired_for(&self.pgpool, &prepared(&self.pgpool))
            .certificates
            .remove(0)
            .1;
        child.secret = present(Authority::new("root").secret(&asked, |_| ()));
        let writer = writer.map(|writer| (names::ANNOTATION_WRITTEN_BY.to_owned(), writer.to_owned()));
        change_secret(&mut self.observed, Alias::Server, |secret| {
            secret.metadata.annotations.as_mut().unwrap().extend(writer);
        });
    }

    fn revision(&mut self, revision: i64) {
        change_certificate(&mut self.observed, Alias::Server, |certificate| {
            certificate.status = Some(cert_manager::CertificateStatus {
                revision: Some(revision),
                ..cert_manager::CertificateStatus::default()
            });
        });
    }

    fn resume(&mut self, value: &str) {
        self.pgpool
            .annotations_mut()
            .insert(names::ANNOTATION_RESUME_CERTIFICATES.to_owned(), value.to_owned());
    }

    /// Looks, and writes the status as a reconcile does; a new process would see the same.
    fn look(&mut self) -> Circuits {
        let needed = needed(validate(&self.pgpool, &self.observed, DOMAIN));
        let judged = judge(&needed, &self.observed, self.now);
        let limits = settings().limits;
        let circuits = count(
            &self.pgpool,
            &self.status,
            &self.observed,
            &judged,
            &limits,
            self.now,
        );
        let entries = judged.iter().map(|judged| CertificateStatus {
            alias: judged.alias,
            secret_name: None,
            fingerprint: judged.finding.leaf().map(|leaf| leaf.fingerprint.to_string()),
            not_before: None,
            not_after: None,
            ready: true,
            reason: None,
            message: None,
            changes: circuits.0.get(&judged.alias).cloned(),
        });
        self.status.certificates = entries.collect();
        circuits
    }

    fn changes(&self) -> CertificateChanges {
        self.status.certificates[0].changes.clone().unwrap()
    }
}

#[test]
fn ordinary_renewals_stop_nothing() {
    let mut life = Life::begin();
    for _ in 0..100 {
        // The shortest lifetime that cert-manager takes, renewed as early as it lets anybody ask for, takes longer.
        life.pass(13);
        life.replace(None);
        assert!(!life.look().is_open(Alias::Server), "{:?}", life.changes());
    }
}

#[test]
fn what_is_issued_without_end_is_stopped() {
    let mut life = Life::begin();
    let mut issues = 0;
    while !life.look().is_open(Alias::Server) {
        life.pass(1);
        life.replace(None);
        issues += 1;
        assert!(issues <= 10, "{:?}", life.changes());
    }
    // With the first one, which is no renewal.
    assert_eq!((issues, life.changes().issued), (5, 6));
    let circuits = life.look();
    let mut desired = desired_for(&life.pgpool, &life.observed);
    circuits.hold_back(&life.pgpool, &life.observed, &mut desired);
    let asked: Vec<_> = desired.certificates.iter().map(|(alias, _)| *alias).collect();
    assert_eq!(
        asked,
        [Alias::Client, Alias::MetricsExporter],
        "only what loops is stopped"
    );
    let withdrawn: Vec<_> = desired
        .withdrawn
        .iter()
        .map(|certificate| certificate.name_any())
        .collect();
    assert_eq!(
        withdrawn,
        ["pool-server-cert"],
        "or cert-manager would go on by itself"
    );
    let problems = circuits.problems(&life.pgpool, &life.observed);
    let problem = &problems[&Alias::Server];
    assert_eq!(problem.reason, Reason::CircuitOpen);
    for words in [
        "Secret demo/pool-server-cert (server certificate) was issued 6 times since 2026-06-01T12:00:00Z",
        "find out why it is issued over and over",
        "kubectl annotate pgpool pool --namespace demo --overwrite pgpool.kubedb.com/resume-certificates=",
    ] {
        assert!(problem.message.contains(words), "{}", problem.message);
    }
}

#[test]
fn a_foreign_certificate_is_not_withdrawn() {
    let mut life = Life::begin();
    change_certificate(&mut life.observed, Alias::Server, |certificate| {
        certificate.metadata.owner_references = None;
    });
    while !life.look().is_open(Alias::Server) {
        life.replace(None);
    }
    let mut desired = desired_for(&life.pgpool, &life.observed);
    life.look().hold_back(&life.pgpool, &life.observed, &mut desired);
    assert_eq!(desired.withdrawn, []);
}

#[test]
fn what_was_not_seen_is_counted_by_cert_manager() {
    let mut life = Life::begin();
    life.revision(7);
    assert!(
        !life.look().is_open(Alias::Server),
        "what was before does not count"
    );
    life.revision(12);
    assert!(!life.look().is_open(Alias::Server));
    life.revision(13);
    assert!(life.look().is_open(Alias::Server));
    assert_eq!(life.changes().issued, 6);
}

#[test]
fn somebody_who_overwrites_again_and_again_is_named() {
    let mut life = Life::begin();
    life.look();
    for _ in 0..3 {
        life.pass(10);
        life.replace(Some("external-secrets"));
        life.look();
        life.replace(None);
        life.look();
    }
    let message = life.look().problems(&life.pgpool, &life.observed)[&Alias::Server]
        .message
        .clone();
    // It is stopped at the third time, and what comes afterwards is not counted.
    let words = "was issued 3 times and overwritten 3 times, last by \"external-secrets\", since";
    assert!(message.contains(words), "{message}");
    assert!(message.contains("keep that writer away"), "{message}");
}

#[test]
fn emptying_counts_and_the_owner_of_a_certificate_may_do_as_he_likes() {
    let mut life = Life::begin();
    for turn in 0..3 {
        life.look();
        life.replace(Some("kubectl-edit"));
        change_secret(&mut life.observed, Alias::Server, |secret| {
            secret.data.as_mut().unwrap().remove("tls.crt");
        });
        assert_eq!(life.look().is_open(Alias::Server), turn == 2);
        life.replace(None);
    }

    let mut life = Life::begin();
    for _ in 0..10 {
        life.replace(Some("vault-agent"));
        // A Secret that cert-manager has never written is the user's own.
        change_secret(&mut life.observed, Alias::Server, |secret| {
            secret
                .metadata
                .annotations
                .as_mut()
                .unwrap()
                .remove(cert_manager::CERTIFICATE_NAME);
        });
        life.observed
            .children
            .get_mut(&Alias::Server)
            .unwrap()
            .certificate = None;
        assert!(!life.look().is_open(Alias::Server));
    }
}

#[test]
fn it_stays_stopped_until_somebody_says_so_and_counts_anew_then() {
    let mut life = Life::begin();
    life.resume("once before");
    while !life.look().is_open(Alias::Server) {
        life.replace(None);
    }
    let stopped = life.changes();
    life.pass(10_000);
    life.replace(None);
    assert!(life.look().is_open(Alias::Server));
    assert_eq!(life.changes(), stopped, "and nothing is written about it");
    life.resume("now");
    let circuits = life.look();
    assert!(!circuits.is_open(Alias::Server));
    assert_eq!(life.look(), circuits, "one write resumes");
    assert_eq!((life.changes().issued, life.changes().resume), (0, None));
    let mut issues = 0;
    while !life.look().is_open(Alias::Server) {
        life.replace(None);
        issues += 1;
    }
    assert_eq!(issues, 6, "the same word does not resume twice");
    assert!(life.look().is_open(Alias::Server));
}

/// However fast it goes round, and whoever turns it.
#[test]
fn no_loop_is_without_end() {
    for pause in [0, 1, 5, 9] {
        for period in [1, 2, 3] {
            let mut life = Life::begin();
            for turn in 0..20 {
                life.pass(pause);
                life.replace((turn % period == 1).then_some("somebody"));
                life.look();
            }
            assert!(
                life.look().is_open(Alias::Server),
                "{pause} {period}: {:?}",
                life.changes()
            );
            assert!(life.changes().issued <= 6);
        }
    }
}

#[test]
fn a_pgpool_at_rest_has_nothing_to_write() {
    let mut life = Life::begin();
    let first = life.look();
    assert_eq!(life.look(), first);
    life.pass(100);
    assert_eq!(life.look(), first, "not when the window is over either");
}
