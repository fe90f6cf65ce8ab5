use operator_runtime::Lookup;
use shared_types::conditions::Reason;

use super::*;
use crate::cert_manager::CertificateStatus;
use crate::cert_manager::IssuerReference;
use crate::certificates::decide::verify::verify;
use crate::certificates::observe::{IssuerCa, IssuerState};
use crate::fixtures::{
    Authority, asked, at, change_certificate, change_secret, condition, fingerprint, issue, now, pgpool,
    pgpool_with, prepared, serving, validated,
};

const NEW: &str = "issuerRef: {kind: Issuer, name: new-ca}";

/// A leaf that no Secret holds.
const OTHER: &str = "00";

/// What befalls the world.
type Change = fn(&mut Observed);

/// The same, of what is around it.
type Befalls<'a> = &'a dyn Fn(&mut Observed);

fn arranged_at(pgpool: &Pgpool, observed: &Observed, now: Timestamp) -> (Validated, Vec<Alias>) {
    let mut validated = validated(pgpool, observed);
    let verified = verify(&validated, observed, now);
    hold_back(pgpool, &mut validated, &verified, now);
    let reissues = reissues(pgpool, &validated, observed, &verified, now);
    (validated, reissues.into_iter().map(|it| it.alias).collect())
}

fn arranged(pgpool: &Pgpool, observed: &Observed) -> (Validated, Vec<Alias>) {
    arranged_at(pgpool, observed, now())
}

/// The certificates that may be asked for.
fn open(needed: &Validated) -> Vec<Alias> {
    let open = needed.wanted.iter().filter(|wanted| wanted.order.is_ok());
    open.map(|wanted| wanted.alias).collect()
}

const ALL: [Alias; 3] = Alias::ALL;
const ALL_BUT_CLIENT: [Alias; 2] = [Alias::Server, Alias::MetricsExporter];

/// Everything was issued for `before`, and now `after` is wanted.
fn changed(before: &Pgpool, after: &Pgpool) -> Observed {
    let mut observed = asked(before);
    let authority = Authority::new("root");
    for alias in ALL {
        issue(&mut observed, before, alias, &authority);
    }
    Observed {
        children: observed.children,
        ..prepared(after)
    }
}

/// Everything was issued by one CA; then its issuer has that of these certificates.
fn behind(authority: &Authority, now: IssuerCa) -> Observed {
    let pgpool = pgpool();
    let mut observed = asked(&pgpool);
    for alias in ALL {
        issue(&mut observed, &pgpool, alias, authority);
    }
    let issuer = IssuerReference::of(&pgpool, Alias::Server).unwrap();
    observed.issuer_cas.insert(issuer, now);
    observed
}

#[test]
fn at_first_nothing_waits_for_anything() {
    let (needed, replaced) = arranged(&pgpool(), &prepared(&pgpool()));
    assert_eq!((open(&needed).as_slice(), replaced), (ALL.as_slice(), vec![]));
}

#[test]
fn the_client_keeps_its_issuer_until_every_pod_serves_the_new_server_certificate() {
    let (before, after) = (pgpool(), pgpool_with(NEW));
    let mut observed = changed(&before, &after);
    let old = fingerprint(&observed, Alias::Server);
    let after = serving(after, &[Some(&old)]);
    let (needed, _) = arranged(&after, &observed);
    assert_eq!(open(&needed), ALL_BUT_CLIENT);
    let refusal = needed.wanted[1].order.as_ref().unwrap_err();
    assert_eq!(refusal.reason(), Reason::WaitingForTrust);
    let words = "Certificate demo/pool-client-cert is renewed once every pod serves the server certificate of \
                 Issuer demo/new-ca";
    assert!(refusal.to_string().starts_with(words), "{refusal}");

    issue(&mut observed, &after, Alias::Server, &Authority::new("new"));
    let new = fingerprint(&observed, Alias::Server);
    let (old, new) = (Some(old.as_str()), Some(new.as_str()));
    let rows: [(i32, &[Option<&str>], bool); 8] = [
        (1, &[old], false),
        (1, &[new], true),
        (2, &[old, new], false),
        // One that is on its way may come back with what it had.
        (2, &[None, new], false),
        (2, &[new], false),
        (2, &[new, new], true),
        // More than are wanted do not count.
        (2, &[new, new, old], true),
        // Where none serves anything, none refuses anybody.
        (2, &[None, None], true),
    ];
    for (replicas, pods, due) in rows {
        let mut pool = serving(after.clone(), pods);
        pool.spec.replicas = Some(replicas);
        let (needed, _) = arranged(&pool, &observed);
        assert_eq!(
            open(&needed).contains(&Alias::Client),
            due,
            "{pods:?} of {replicas}"
        );
    }
}

#[test]
fn where_nothing_can_go_before_the_client_goes_at_once() {
    let own =
        |name: &str| format!("certificates: [{{alias: client, issuerRef: {{kind: Issuer, name: {name}}}}}]");
    let rows = [
        // The client alone gets another issuer.
        (pgpool(), pgpool_with(&own("other"))),
        // It gets another one than the server.
        (pgpool(), pgpool_with(&format!("{NEW}\n{}", own("other")))),
    ];
    for (before, after) in rows {
        let observed = changed(&before, &after);
        let old = fingerprint(&observed, Alias::Server);
        let (needed, _) = arranged(&serving(after, &[Some(&old)]), &observed);
        assert_eq!(open(&needed), ALL);
    }
    // It follows where the server has been all along.
    let (before, after) = (pgpool_with(&own("other")), pgpool());
    let observed = changed(&before, &after);
    let served = fingerprint(&observed, Alias::Server);
    let (needed, _) = arranged(&serving(after, &[Some(&served)]), &observed);
    assert_eq!(open(&needed), ALL);
}

#[test]
fn a_client_certificate_that_is_no_good_or_ends_soon_does_not_wait() {
    let (before, after) = (pgpool(), serving(pgpool_with(NEW), &[Some(OTHER)]));
    let mut observed = changed(&before, &after);
    for (time, due) in [("2026-08-31T00:00:00Z", false), ("2026-09-02T00:00:00Z", true)] {
        let (needed, _) = arranged_at(&after, &observed, at(time));
        assert_eq!(open(&needed).contains(&Alias::Client), due, "{time}");
    }
    change_secret(&mut observed, Alias::Client, |secret| {
        drop(secret.data.as_mut().unwrap().remove("tls.key"));
    });
    assert_eq!(open(&arranged(&after, &observed).0), ALL);
}

#[test]
fn certificates_of_a_ca_that_is_gone_are_issued_anew_the_clients_last() {
    let (old, new) = (Authority::new("root"), Authority::new("root"));
    let mut observed = behind(&old, IssuerCa::Known(new.pem().into()));
    let pool = serving(pgpool(), &[Some(&fingerprint(&observed, Alias::Server))]);
    let (needed, replaced) = arranged(&pool, &observed);
    assert_eq!(replaced, ALL_BUT_CLIENT);
    assert_eq!(open(&needed), ALL_BUT_CLIENT);

    for alias in ALL_BUT_CLIENT {
        issue(&mut observed, &pool, alias, &new);
    }
    assert_eq!(arranged(&pool, &observed).1, []);
    let pool = serving(pool, &[Some(&fingerprint(&observed, Alias::Server))]);
    let (needed, replaced) = arranged(&pool, &observed);
    assert_eq!(
        (open(&needed).as_slice(), replaced),
        (ALL.as_slice(), vec![Alias::Client])
    );

    issue(&mut observed, &pool, Alias::Client, &new);
    let (needed, replaced) = arranged(&pool, &observed);
    assert_eq!((open(&needed).as_slice(), replaced), (ALL.as_slice(), vec![]));
}

#[test]
fn a_ca_that_was_renewed_under_its_key_changes_nothing() {
    let old = Authority::new("root");
    for known in [old.pem(), old.renewed(), "no PEM".to_owned()] {
        let observed = behind(&old, IssuerCa::Known(known.into()));
        let pool = serving(pgpool(), &[Some(OTHER)]);
        let (needed, replaced) = arranged(&pool, &observed);
        assert_eq!((open(&needed).as_slice(), replaced), (ALL.as_slice(), vec![]));
    }
}

#[test]
fn nothing_is_asked_for_where_it_comes_anyway_or_would_be_in_vain() {
    let issuing = |type_: &'static str, status, reason, since: &'static str| {
        move |observed: &mut Observed| {
            change_certificate(observed, Alias::Server, |certificate| {
                let mut condition = condition(type_, status, reason, "words");
                condition.last_transition_time =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(since)));
                certificate.status = Some(CertificateStatus {
                    conditions: vec![condition],
                    ..CertificateStatus::default()
                });
            });
        }
    };
    let recently = "2026-06-01T11:30:00Z";
    let being_issued = issuing("Issuing", "True", "ManuallyTriggered", recently);
    let failed = issuing("Issuing", "False", "Failed", recently);
    let failed_long_ago = issuing("Issuing", "False", "Failed", "2026-06-01T10:30:00Z");
    let no_issuer: Change = |observed| {
        let issuers = observed.issuers.values_mut();
        issuers.for_each(|state| *state = IssuerState::Absent);
    };
    let other_wish: Change = |observed| {
        change_certificate(observed, Alias::Server, |it| {
            it.spec.issuer_ref.name = "former".into();
        });
    };
    let own_secret: Change = |observed| {
        change_secret(observed, Alias::Server, |secret| {
            secret.metadata.annotations = None;
        });
    };
    let damaged: Change = |observed| {
        change_secret(observed, Alias::Server, |it| {
            drop(it.data.as_mut().unwrap().remove("tls.key"));
        });
    };
    let gone: Change = |observed| observed.children.get_mut(&Alias::Server).unwrap().secret = Lookup::Absent;
    let rows: [(&str, Befalls<'_>, bool); 8] = [
        ("it is being issued", &being_issued, false),
        ("it has just failed", &failed, false),
        ("it failed long ago", &failed_long_ago, true),
        ("there is no issuer", &no_issuer, false),
        ("the Certificate asks for another issuer", &other_wish, false),
        ("the Secret is the user's", &own_secret, false),
        ("the Secret is damaged", &damaged, false),
        ("there is no Secret", &gone, false),
    ];
    for (case, change, asked) in rows {
        let mut observed = behind(
            &Authority::new("root"),
            IssuerCa::Known(Authority::new("root").pem().into()),
        );
        change(&mut observed);
        let replaced = arranged(&pgpool(), &observed).1;
        assert_eq!(replaced.contains(&Alias::Server), asked, "{case}");
    }
}

#[test]
fn behind_an_issuer_whose_ca_is_hidden_a_later_certificate_tells() {
    let (old, new) = (Authority::new("root"), Authority::new("root"));
    let renew = |observed: &mut Observed, alias, authority: &Authority| {
        let child = observed.children.get_mut(&alias).unwrap();
        let certificate = Arc::clone(child.certificate.as_ref().unwrap());
        let secret = authority.secret(&certificate, |params| {
            params.not_before = rcgen::date_time_ymd(2026, 5, 1);
        });
        child.secret = crate::fixtures::present(secret);
    };
    let mut observed = behind(&old, IssuerCa::Hidden);
    let pool = serving(pgpool(), &[Some(&fingerprint(&observed, Alias::Server))]);
    assert_eq!(arranged(&pool, &observed).1, [], "nothing is known");
    renew(&mut observed, Alias::Client, &old);
    assert_eq!(arranged(&pool, &observed).1, [], "a renewal is no news");
    renew(&mut observed, Alias::Client, &new);
    assert_eq!(arranged(&pool, &observed).1, ALL_BUT_CLIENT);
    // Of an issuer of another kind, which may have several, nothing is concluded.
    observed.issuer_cas.clear();
    assert_eq!(arranged(&pool, &observed).1, []);
}
