//! Loops are stopped, ordinary renewals are not.

use shared_types::conditions::Reason;

use super::*;
use crate::cert_manager;
use crate::certificates::build::build;
use crate::certificates::decide::Decision;
use crate::fixtures::{
    Authority, at, built, change_certificate, change_secret, decided_at, issued, pgpool, prepared, present,
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
        let certificate = built(&self.pgpool, &prepared(&self.pgpool)).remove(0).1;
        child.secret = present(Authority::new("root").secret(&certificate, |_| ()));
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

    /// Reconciles, and writes the status as a reconcile does; a new process would see the same.
    fn reconcile(&mut self) -> Decision {
        self.observed.recent.status = self.status.clone();
        let decision = decided_at(&self.pgpool, &self.observed, self.now);
        let entries = decision.verified.iter().map(|verified| CertificateStatus {
            alias: verified.alias,
            secret_name: None,
            fingerprint: verified.finding.leaf().map(|leaf| leaf.fingerprint.to_string()),
            not_before: None,
            not_after: None,
            ready: true,
            reason: None,
            message: None,
            changes: decision.changes.get(&verified.alias).cloned(),
        });
        self.status.certificates = entries.collect();
        decision
    }

    /// Reconciles; returns whether the circuit of the server certificate is open.
    fn is_open(&mut self) -> bool {
        let decision = self.reconcile();
        let blocked = decision.blocked.get(&Alias::Server);
        blocked.is_some_and(|blocked| blocked.reason == Reason::CircuitOpen)
    }

    /// Issues a new certificate every `minutes` until the circuit opens; returns how often. Fails after ten times.
    fn issue_until_open(&mut self, minutes: u64) -> usize {
        for issued in 0..10 {
            if self.is_open() {
                return issued;
            }
            self.pass(minutes);
            self.replace(None);
        }
        panic!("the circuit does not open: {:?}", self.changes());
    }

    fn changes(&self) -> CertificateChanges {
        self.status.certificates[0].changes.clone().unwrap()
    }
}

#[test]
fn ordinary_renewals_stop_nothing() {
    let mut life = Life::begin();
    for _ in 0..100 {
        // The shortest lifetime that cert-manager accepts, renewed as early as it allows, takes longer.
        life.pass(13);
        life.replace(None);
        assert!(!life.is_open(), "{:?}", life.changes());
    }
}

#[test]
fn a_certificate_that_keeps_being_issued_is_stopped() {
    let mut life = Life::begin();
    // With the first one, which is not a renewal.
    assert_eq!((life.issue_until_open(1), life.changes().issued), (5, 6));
    let decision = life.reconcile();
    let written: Vec<_> = build(&decision).into_iter().map(|(alias, _)| alias).collect();
    assert_eq!(
        written,
        [Alias::Client, Alias::MetricsExporter],
        "only the loop is stopped"
    );
    let deleted: Vec<_> = decision
        .delete
        .iter()
        .map(|certificate| certificate.name_any())
        .collect();
    assert_eq!(
        deleted,
        ["pool-server-cert"],
        "or cert-manager would continue by itself"
    );
    let problem = &decision.blocked[&Alias::Server];
    assert_eq!(problem.reason, Reason::CircuitOpen);
    for words in [
        "Secret demo/pool-server-cert (server certificate) was issued 6 times since 2026-06-01T12:00:00Z",
        "find out why it keeps being issued",
        "kubectl annotate pgpool pool --namespace demo --overwrite pgpool.kubedb.com/resume-certificates=",
    ] {
        assert!(problem.message.contains(words), "{}", problem.message);
    }
}

#[test]
fn a_certificate_of_another_owner_is_not_deleted() {
    let mut life = Life::begin();
    change_certificate(&mut life.observed, Alias::Server, |certificate| {
        certificate.metadata.owner_references = None;
    });
    life.issue_until_open(0);
    assert_eq!(life.reconcile().delete, []);
}

#[test]
fn changes_between_reconciles_are_counted_by_cert_manager() {
    let mut life = Life::begin();
    life.revision(7);
    assert!(!life.is_open(), "what was before does not count");
    life.revision(12);
    assert!(!life.is_open());
    life.revision(13);
    assert!(life.is_open());
    assert_eq!(life.changes().issued, 6);
}

#[test]
fn a_writer_that_keeps_overwriting_is_named() {
    let mut life = Life::begin();
    life.reconcile();
    for _ in 0..3 {
        life.pass(10);
        life.replace(Some("external-secrets"));
        life.reconcile();
        life.replace(None);
        life.reconcile();
    }
    let message = life.reconcile().blocked[&Alias::Server].message.clone();
    // The circuit opens at the third time, and what follows is not counted.
    let words = "was issued 3 times and overwritten 3 times, last by \"external-secrets\", since";
    assert!(message.contains(words), "{message}");
    assert!(
        message.contains("stop that writer from changing the Secret"),
        "{message}"
    );
}

#[test]
fn emptying_counts_and_a_secret_of_the_user_does_not() {
    let mut life = Life::begin();
    for turn in 0..3 {
        life.reconcile();
        life.replace(Some("kubectl-edit"));
        change_secret(&mut life.observed, Alias::Server, |secret| {
            secret.data.as_mut().unwrap().remove("tls.crt");
        });
        assert_eq!(life.is_open(), turn == 2);
        life.replace(None);
    }

    let mut life = Life::begin();
    for _ in 0..10 {
        life.replace(Some("vault-agent"));
        // A Secret that cert-manager has never written belongs to the user.
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
        assert!(!life.is_open());
    }
}

#[test]
fn an_open_circuit_stays_open_until_it_is_resumed_and_then_counts_from_zero() {
    let mut life = Life::begin();
    life.resume("once before");
    life.issue_until_open(0);
    let stopped = life.changes();
    life.pass(10_000);
    life.replace(None);
    assert!(life.is_open());
    assert_eq!(life.changes(), stopped, "and nothing is written");
    life.resume("now");
    assert!(!life.is_open());
    let resumed = life.changes();
    assert!(!life.is_open());
    assert_eq!(life.changes(), resumed, "one write resumes");
    assert_eq!((life.changes().issued, life.changes().resume), (0, None));
    assert_eq!(
        life.issue_until_open(0),
        6,
        "the same value does not resume twice"
    );
    assert!(life.is_open());
}

/// Whatever its period, and whoever causes it.
#[test]
fn every_loop_is_stopped() {
    for pause in [0, 1, 5, 9] {
        for period in [1, 2, 3] {
            let mut life = Life::begin();
            for turn in 0..20 {
                life.pass(pause);
                life.replace((turn % period == 1).then_some("somebody"));
                life.reconcile();
            }
            assert!(life.is_open(), "{pause} {period}: {:?}", life.changes());
            assert!(life.changes().issued <= 6);
        }
    }
}

#[test]
fn a_pgpool_at_rest_has_nothing_to_write() {
    let mut life = Life::begin();
    let first = life.reconcile().changes;
    assert_eq!(life.reconcile().changes, first);
    life.pass(100);
    assert_eq!(life.reconcile().changes, first, "nor when the window is over");
}

/// Which changes count, in one reconcile that follows a first one.
#[test]
fn a_change_counts_as_issued_or_overwritten_and_nothing_else_counts() {
    type Change = fn(&mut Life);
    let rows: [(&str, Change, (i64, i64)); 6] = [
        ("nothing changes", |_| (), (0, 0)),
        ("another leaf of cert-manager", |life| life.replace(None), (1, 0)),
        (
            "another leaf of someone else",
            |life| life.replace(Some("vault")),
            (0, 1),
        ),
        (
            "someone else writes, and the leaf stays",
            |life| {
                change_secret(&mut life.observed, Alias::Server, |secret| {
                    let annotations = secret.metadata.annotations.as_mut().unwrap();
                    annotations.insert(names::ANNOTATION_WRITTEN_BY.into(), "vault".into());
                });
            },
            (0, 0),
        ),
        (
            "the Secret is deleted",
            |life| life.observed.children.get_mut(&Alias::Server).unwrap().secret = Lookup::Absent,
            (0, 0),
        ),
        (
            "a new leaf without a Certificate",
            |life| {
                life.replace(None);
                life.observed
                    .children
                    .get_mut(&Alias::Server)
                    .unwrap()
                    .certificate = None;
            },
            (0, 0),
        ),
    ];
    for (name, change, expected) in rows {
        let mut life = Life::begin();
        life.reconcile();
        let before = life.changes();
        life.pass(1);
        change(&mut life);
        life.reconcile();
        let after = life.changes();
        let counted = (
            after.issued - before.issued,
            after.overwritten - before.overwritten,
        );
        assert_eq!(counted, expected, "{name}");
    }
}

/// An unchanged certificate in an expired window starts no new one, however often it is reconciled.
#[test]
fn a_window_starts_with_a_change_and_not_with_a_reconcile() {
    let mut life = Life::begin();
    life.reconcile();
    let first = life.changes();
    life.pass(61);
    life.reconcile();
    assert_eq!(life.changes(), first);
    life.replace(None);
    life.reconcile();
    assert_eq!((life.changes().issued, life.changes().overwritten), (1, 0));
    assert!(life.changes().since.0 > first.since.0);
}
