use super::*;
use crate::fixtures::{Pki, certificate_verdict, certificates, now, spoil, tls_pgpool};

const GRACE: Duration = Duration::from_secs(2);

/// What ops-manager may have said of the certificates.
#[derive(Clone, Copy)]
enum Word {
    Nothing,
    Ready,
    NotReady,
    /// Of an earlier leaf.
    OldReady,
    /// Of an earlier leaf.
    OldNotReady,
    /// Of the server certificate alone.
    ReadyForServerOnly,
}

fn said(word: Word, certificates: &[Certificate]) -> Vec<CertificateVerdict> {
    let verdict = |certificate: &Certificate, ready: bool, old: bool| {
        let fingerprint = if old {
            Some(Fingerprint::from_bytes([7; 32]))
        } else {
            certificate.leaf().present().copied().flatten()
        };
        certificate_verdict(certificate.alias, fingerprint, ready, "the key is another's")
    };
    let all = certificates.iter();
    match word {
        Word::Nothing => Vec::new(),
        Word::Ready => all.map(|it| verdict(it, true, false)).collect(),
        Word::NotReady => all
            .map(|it| verdict(it, it.alias != Alias::Client, false))
            .collect(),
        Word::OldReady => all.map(|it| verdict(it, true, true)).collect(),
        Word::OldNotReady => all.map(|it| verdict(it, false, true)).collect(),
        Word::ReadyForServerOnly => all.take(1).map(|it| verdict(it, true, false)).collect(),
    }
}

/// The present generation.
const GENERATION: Option<i64> = Some(4);

fn decided(certificates: &[Certificate], channel: Word, status: Word, millis: u64) -> Handoff {
    let (channel, status) = (said(channel, certificates), said(status, certificates));
    let now = |certificates| PublishedVerdicts {
        generation: GENERATION,
        certificates,
    };
    decide(&HandoffView {
        generation: GENERATION,
        certificates,
        channel: now(&channel),
        status: now(&status),
        complete_for: Duration::from_millis(millis),
        grace: GRACE,
    })
}

fn short(handoff: &Handoff) -> String {
    match handoff {
        Handoff::Wait { .. } => "wait".to_owned(),
        Handoff::AwaitVerdict { left } => format!("listen {}", left.as_millis()),
        Handoff::Use { verifier, .. } => format!("go {verifier:?}"),
        Handoff::Keep { .. } => "keep".to_owned(),
        Handoff::VerifyLocally => "verify locally".to_owned(),
    }
}

#[test]
fn the_table_of_complete_secrets() {
    let certificates = certificates(&tls_pgpool(), &Pki::new());
    let rows = [
        (Word::Ready, Word::Nothing, 0, "go Channel"),
        (Word::Ready, Word::NotReady, 0, "go Channel"),
        (Word::Ready, Word::OldNotReady, 9000, "go Channel"),
        (Word::Nothing, Word::Ready, 0, "go Status"),
        (Word::OldReady, Word::Ready, 0, "go Status"),
        (Word::ReadyForServerOnly, Word::Ready, 0, "go Status"),
        (Word::NotReady, Word::Nothing, 0, "keep"),
        (Word::NotReady, Word::Ready, 9000, "keep"),
        (Word::Nothing, Word::NotReady, 9000, "keep"),
        (Word::Nothing, Word::Nothing, 0, "listen 2000"),
        (Word::Nothing, Word::Nothing, 1500, "listen 500"),
        (Word::Nothing, Word::Nothing, 2000, "verify locally"),
        (Word::Nothing, Word::Nothing, 9000, "verify locally"),
        (Word::OldReady, Word::OldReady, 100, "listen 1900"),
        (Word::OldNotReady, Word::OldReady, 9000, "verify locally"),
        (Word::ReadyForServerOnly, Word::Nothing, 0, "listen 2000"),
        (Word::ReadyForServerOnly, Word::OldReady, 9000, "verify locally"),
    ];
    for (row, (channel, status, millis, expected)) in rows.into_iter().enumerate() {
        assert_eq!(
            short(&decided(&certificates, channel, status, millis)),
            expected,
            "row {row}"
        );
    }
}

/// A good word of an earlier spec let pods that lack a new name pass for what was asked.
#[test]
fn a_word_is_about_one_generation() {
    let certificates = certificates(&tls_pgpool(), &Pki::new());
    let (good, bad) = (
        said(Word::Ready, &certificates),
        said(Word::NotReady, &certificates),
    );
    let none: &[CertificateVerdict] = &[];
    let rows = [
        ((Some(4), good.as_slice()), (None, none), 0, "go Channel"),
        ((Some(3), &good), (None, none), 0, "listen 2000"),
        ((Some(3), &good), (None, none), 2000, "verify locally"),
        ((Some(0), &good), (None, none), 0, "listen 2000"),
        ((None, none), (Some(3), &good), 0, "listen 2000"),
        ((None, none), (None, &good), 0, "listen 2000"),
        ((None, none), (Some(4), &good), 0, "go Status"),
        ((Some(3), &good), (Some(4), &good), 0, "go Status"),
        ((Some(3), &good), (Some(4), &bad), 0, "keep"),
        ((Some(3), &bad), (None, none), 0, "listen 2000"),
        ((Some(3), &bad), (None, none), 2000, "verify locally"),
        ((Some(5), &good), (None, none), 0, "listen 2000"),
    ];
    let words = |(generation, certificates)| PublishedVerdicts {
        generation,
        certificates,
    };
    for (row, (channel, status, millis, expected)) in rows.into_iter().enumerate() {
        let handoff = decide(&HandoffView {
            generation: GENERATION,
            certificates: &certificates,
            channel: words(channel),
            status: words(status),
            complete_for: Duration::from_millis(millis),
            grace: GRACE,
        });
        assert_eq!(short(&handoff), expected, "row {row}");
    }
}

#[test]
fn the_leaves_of_a_go_are_those_of_the_secrets() {
    let certificates = certificates(&tls_pgpool(), &Pki::new());
    let Handoff::Use { leaves, .. } = decided(&certificates, Word::Ready, Word::Nothing, 0) else {
        panic!("not a go");
    };
    let expected: Leaves = certificates
        .iter()
        .map(|it| (it.alias, it.leaf().present().copied().flatten().unwrap()))
        .collect();
    assert_eq!(leaves, expected);
    assert_eq!(leaves.len(), 3);
}

#[test]
fn a_missing_secret_is_named_whatever_is_said() {
    let good = certificates(&tls_pgpool(), &Pki::new());
    for (index, name) in [
        "pool-server-cert",
        "pool-client-cert",
        "pool-metrics-exporter-cert",
    ]
    .iter()
    .enumerate()
    {
        for (lookup, cure) in [
            (Lookup::Absent, "does not exist yet"),
            (Lookup::Pending, "does not exist yet"),
            (Lookup::Forbidden, "grant it get, list and watch"),
        ] {
            let mut certificates = good.clone();
            certificates[index].secret = lookup;
            for word in [Word::Nothing, Word::Ready, Word::NotReady] {
                let Handoff::Wait { message: which } = decided(&certificates, word, Word::Nothing, 9000)
                else {
                    panic!("does not wait for {name}");
                };
                assert!(which.contains(&format!("demo/{name}")), "{which}");
                assert!(which.contains(cure), "{which}");
            }
        }
    }
}

#[test]
fn a_secret_without_a_readable_leaf_is_kept_out() {
    let mut certificates = certificates(&tls_pgpool(), &Pki::new());
    spoil(&mut certificates[0], "tls.crt", Some("not a certificate"));
    // A refusal without a fingerprint is about exactly this Secret.
    let keep = decided(&certificates, Word::Nothing, Word::Nothing, 0);
    assert_eq!(short(&keep), "listen 2000");
    let refusal = certificate_verdict(Alias::Server, None, false, "tls.crt cannot be read");
    let mut channel = said(Word::Ready, &certificates);
    let view = |channel: &[CertificateVerdict]| {
        decide(&HandoffView {
            generation: GENERATION,
            certificates: &certificates,
            channel: PublishedVerdicts {
                generation: GENERATION,
                certificates: channel,
            },
            status: PublishedVerdicts::default(),
            complete_for: Duration::ZERO,
            grace: GRACE,
        })
    };
    // "Ready" about nothing means nothing.
    assert_eq!(short(&view(&channel)), "listen 2000");
    channel[0] = refusal;
    let expected = "Secret demo/pool-server-cert (server certificate): tls.crt cannot be read";
    assert_eq!(
        view(&channel),
        Handoff::Keep {
            message: expected.to_owned(),
            retry_after: None,
        }
    );
}

fn settled(handoff: Handoff, certificates: &[Certificate]) -> String {
    match verify(handoff, certificates, now()) {
        Handoff::Keep { message, .. } => message,
        other => short(&other),
    }
}

#[test]
fn verifying_locally_checks_everything() {
    let pki = Pki::new();
    let good = certificates(&tls_pgpool(), &pki);
    assert_eq!(settled(Handoff::VerifyLocally, &good), "go Provisioner");
    let foreign = pki.server(&["other.example".to_owned()]);
    let rows: [(usize, &str, Option<&str>, &str); 4] = [
        (
            0,
            "ca.crt",
            Some("nothing"),
            "Secret demo/pool-server-cert (server certificate): ca.crt",
        ),
        (
            1,
            "tls.key",
            Some(&foreign.key),
            "Secret demo/pool-client-cert (client certificate): tls.key",
        ),
        (
            2,
            "tls.crt",
            None,
            "Secret demo/pool-metrics-exporter-cert (metrics-exporter certificate): tls.crt",
        ),
        (
            2,
            "tls.crt",
            Some(""),
            "Secret demo/pool-metrics-exporter-cert (metrics-exporter certificate): tls.crt",
        ),
    ];
    for (index, key, value, expected) in rows {
        let mut certificates = good.clone();
        spoil(&mut certificates[index], key, value);
        let why = settled(Handoff::VerifyLocally, &certificates);
        assert!(why.starts_with(expected), "{why}");
    }
    // Another pair that belongs together, but not to this Pgpool.
    let mut certificates = good;
    spoil(&mut certificates[0], "tls.crt", Some(&foreign.certificate));
    spoil(&mut certificates[0], "tls.key", Some(&foreign.key));
    let why = settled(Handoff::VerifyLocally, &certificates);
    assert!(why.contains("does not cover"), "{why}");
}

#[test]
fn a_good_word_does_not_cover_a_key_that_was_replaced_since() {
    let pki = Pki::new();
    let mut certificates = certificates(&tls_pgpool(), &pki);
    let go = decided(&certificates, Word::Ready, Word::Nothing, 0);
    assert_eq!(settled(go.clone(), &certificates), "go Channel");
    spoil(&mut certificates[0], "tls.key", Some(&pki.client("postgres").key));
    let still = decided(&certificates, Word::Ready, Word::Nothing, 0);
    assert_eq!(still, go, "the leaf is the same, so is the word");
    let why = settled(still, &certificates);
    assert!(why.contains("tls.key"), "{why}");
}

#[test]
fn what_time_mends_is_looked_at_again_in_time() {
    // The pairs are valid from the begin of 2026.
    let certificates = certificates(&tls_pgpool(), &Pki::new());
    let rows = [
        ("2025-12-31T23:59:58.5Z", Some(Duration::from_millis(1500))),
        ("2020-01-01T00:00:00Z", Some(LONGEST_PAUSE)),
        ("2040-06-01T00:00:00Z", None),
    ];
    for (now, expected) in rows {
        for handoff in [
            Handoff::VerifyLocally,
            Handoff::Use {
                leaves: Leaves::new(),
                verifier: Verifier::Channel,
            },
        ] {
            let Handoff::Keep {
                message: why,
                retry_after: after,
            } = verify(handoff, &certificates, now.parse().unwrap())
            else {
                panic!("not kept at {now}");
            };
            assert_eq!(after, expected, "{now}: {why}");
        }
    }
    let not_before = now();
    let second = Duration::from_secs(1);
    let fault = ChainFault::CaNotYetValid {
        subject: tls_bundle::Subject {
            name: "CN=ca".to_owned(),
            place: tls_bundle::Place {
                file: "ca.crt",
                number: 1,
            },
        },
        not_before,
    };
    let before = not_before - second;
    assert_eq!(valid_in(&Failure::ChainBroken { fault }, before), Some(second));
    assert_eq!(valid_in(&Failure::CaMissing, before), None);
}

#[test]
fn waiting_and_listening_stay_what_they_are() {
    let certificates = certificates(&tls_pgpool(), &Pki::new());
    for handoff in [
        Handoff::Wait {
            message: "x".to_owned(),
        },
        Handoff::AwaitVerdict { left: GRACE },
    ] {
        assert_eq!(verify(handoff.clone(), &certificates, now()), handoff);
    }
}
