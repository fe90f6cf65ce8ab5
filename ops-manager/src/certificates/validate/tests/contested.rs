//! Whose a Secret or a Certificate is, when more than one could have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use operator_runtime::{Availability, Lookup};
use shared_types::conditions::Reason;
use shared_types::{Alias, Pgpool, names};

use crate::certificates::observe::{Claim, Observed};
use crate::fixtures::{
    self, asked, at, change_certificate, change_secret, issued, named, pgpool, pgpool_with, prepared,
};

use super::{refusal, wanted};

#[test]
fn of_two_pgpools_that_name_one_secret_the_older_keeps_it() {
    let pgpool = pgpool_with("certificates: [{alias: server, secretName: shared}]");
    let ours = at("2026-06-01T11:00:00Z");
    let (older, younger) = (at("2026-06-01T10:59:59Z"), at("2026-06-01T11:00:01Z"));
    for (other, created, kept) in [
        ("zebra", older, false),
        ("ant", younger, true),
        ("ant", ours, false),
        ("zebra", ours, true),
    ] {
        let mut observed = prepared(&pgpool);
        let claim = |secret: &str, pgpool: &str| Claim {
            secret: secret.into(),
            pgpool: pgpool.into(),
            created: Some(created),
        };
        observed.claims = vec![claim("shared", other), claim("unrelated", "aardvark")];
        let [server, client, _] = wanted(&pgpool, &observed);
        assert_eq!(server.order.is_ok(), kept, "{other} of {created}");
        assert_eq!(server.contested.is_none(), kept);
        assert!(client.order.is_ok());
        if let Some(refusal) = server.contested {
            assert_eq!(refusal.reason(), Reason::SecretNameConflict);
            let sentence = refusal.to_string();
            assert!(
                sentence.starts_with(&format!("Secret demo/shared belongs to Pgpool demo/{other}")),
                "{sentence}"
            );
            assert!(sentence.contains("choose another secretName"), "{sentence}");
        }
    }
}

#[test]
fn nothing_is_asked_for_before_it_is_known_whose_the_secret_is() {
    let pgpool = pgpool_with("certificates: [{alias: server, secretName: mine}]");
    let mut observed = prepared(&pgpool);
    observed.children.get_mut(&Alias::Server).unwrap().secret = Lookup::Pending;
    let refused = refusal(&pgpool, &observed, Alias::Server).unwrap();
    assert_eq!(refused.to_string(), "Looking up Secret demo/mine");
    assert_eq!(refused.reason(), Reason::Issuing);
    assert_eq!(refusal(&pgpool, &observed, Alias::Client), None);
}

#[test]
fn whoever_has_a_secret_keeps_it_whatever_an_older_pgpool_names() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    observed.claims = vec![Claim {
        secret: "pool-server-cert".into(),
        pgpool: "ancient".into(),
        created: Some(at("2020-01-01T00:00:00Z")),
    }];
    let [server, ..] = wanted(&pgpool, &observed);
    assert_eq!((server.contested, server.order.is_ok()), (None, true));
}

#[test]
fn a_contested_secret_is_known_as_such_even_behind_a_closed_gate() {
    let pgpool = pgpool_with("certificates: [{alias: client, secretName: pool-server-cert}]");
    let mut observed = prepared(&pgpool);
    observed.cert_manager = Availability::Absent;
    let [server, client, _] = wanted(&pgpool, &observed);
    assert_eq!(server.contested, None);
    assert_eq!(client.order.unwrap_err().reason(), Reason::CertManagerAbsent);
    let contested = client.contested.unwrap();
    assert!(
        contested
            .to_string()
            .contains("the server certificate of this Pgpool"),
        "{contested}"
    );
}

#[test]
fn no_certificate_is_written_over_what_the_provisioner_writes() {
    let plain = pgpool();
    let parts: [fn(&Pgpool) -> String; 7] = [
        names::auth_secret,
        names::config_secret,
        names::pcp_secret,
        names::users_secret,
        names::exporter_secret,
        |pgpool| names::tls_secret(pgpool.metadata.name.as_ref().unwrap(), "0123456789"),
        |pgpool| names::config_check(pgpool.metadata.name.as_ref().unwrap(), "abcdef0123"),
    ];
    for name in parts.map(|name| name(&plain)) {
        let pgpool = pgpool_with(&format!("certificates: [{{alias: client, secretName: {name}}}]"));
        let refusal = refusal(&pgpool, &prepared(&pgpool), Alias::Client).unwrap();
        assert_eq!(refusal.reason(), Reason::SecretNameConflict, "{refusal}");
    }
}

#[test]
fn a_secret_of_another_certificate_is_left_alone() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    let made_for = |name: &'static str| {
        move |secret: &mut k8s_openapi::api::core::v1::Secret| {
            let notes = secret.metadata.annotations.as_mut().unwrap();
            notes.insert("cert-manager.io/certificate-name".into(), name.into());
        }
    };
    change_secret(&mut observed, Alias::Server, made_for("website"));
    let refusal = refusal(&pgpool, &observed, Alias::Server).unwrap();
    assert!(
        refusal
            .to_string()
            .contains("belongs to Certificate demo/website"),
        "{refusal}"
    );

    // That Certificate is written elsewhere by now, and has left the Secret behind.
    let mut moved = (*asked(&pgpool).children[&Alias::Server]
        .certificate
        .clone()
        .unwrap())
    .clone();
    moved.spec.secret_name = "elsewhere".into();
    observed.children.get_mut(&Alias::Server).unwrap().maker = Some(Arc::new(moved));
    assert_eq!(self::refusal(&pgpool, &observed, Alias::Server), None);
    observed.children.get_mut(&Alias::Server).unwrap().maker = None;

    // Two aliases may swap their Secrets.
    change_secret(&mut observed, Alias::Server, made_for("pool-client-cert"));
    assert!(
        wanted(&pgpool, &observed)
            .iter()
            .all(|wanted| wanted.order.is_ok())
    );
}

/// Whose labels a Secret bears.
#[derive(Clone, Copy)]
enum Labels {
    None,
    Ours,
    Helm,
}

impl Labels {
    fn of(self) -> Option<BTreeMap<String, String>> {
        let mut labels = names::selector_labels("pool");
        match self {
            Self::None => return None,
            Self::Ours => {}
            Self::Helm => drop(labels.insert("app.kubernetes.io/managed-by".into(), "Helm".into())),
        }
        Some(labels)
    }
}

/// What cert-manager noted on the server Secret, whose labels it bears, whether our Certificate is there, and whether the
/// Secret is somebody else's.
type Origin = (&'static str, Option<&'static str>, Labels, bool, bool);

const ORIGINS: [Origin; 7] = [
    ("made by hand", None, Labels::None, false, true),
    ("of a release of that name", None, Labels::Helm, false, true),
    ("asked for already", None, Labels::None, true, false),
    ("labels lost", Some("pool-server-cert"), Labels::None, true, false),
    (
        "left by a Certificate of that name",
        Some("pool-server-cert"),
        Labels::None,
        false,
        true,
    ),
    (
        "from a backup",
        Some("pool-server-cert"),
        Labels::Ours,
        false,
        false,
    ),
    ("notes lost", None, Labels::Ours, false, false),
];

fn come_from((_, noted, labels, asked_for, _): Origin) -> Observed {
    let mut observed = issued(&pgpool());
    change_secret(&mut observed, Alias::Server, |secret| {
        secret.metadata.labels = labels.of();
        let notes = noted.map(|name| ("cert-manager.io/certificate-name".into(), name.into()));
        secret.metadata.annotations = Some(notes.into_iter().collect());
    });
    if !asked_for {
        observed.children.get_mut(&Alias::Server).unwrap().certificate = None;
    }
    observed
}

#[test]
fn a_secret_that_cert_manager_did_not_write_is_not_written_over() {
    let chosen = pgpool_with("certificates: [{alias: server, secretName: pool-server-cert}]");
    for pgpool in [pgpool(), chosen] {
        for origin in ORIGINS {
            let (case, .., taken) = origin;
            let [server, client, _] = wanted(&pgpool, &come_from(origin));
            assert_eq!(
                server.contested.is_some(),
                taken,
                "{case}: {:?}",
                server.contested
            );
            assert_eq!(server.order.is_err(), taken, "{case}");
            assert_eq!(client.contested, None, "{case}");
            if let Some(refusal) = server.contested {
                assert_eq!(refusal.reason(), Reason::SecretNameConflict);
                let refusal = refusal.to_string();
                let words = "Secret demo/pool-server-cert belongs to someone else: ";
                assert!(refusal.starts_with(words), "{case}: {refusal}");
                assert!(
                    refusal.contains("delete it, or choose another secretName"),
                    "{case}: {refusal}"
                );
            }
        }
    }
}

#[test]
fn without_an_issuer_nothing_is_written_over() {
    let mut pgpool = pgpool();
    pgpool.spec.tls.as_mut().unwrap().issuer_ref = None;
    let [server, ..] = wanted(&pgpool, &come_from(ORIGINS[0]));
    assert_eq!(server.contested, None);
}

#[test]
fn who_controls_a_foreign_secret_is_named() {
    let pgpool = pgpool();
    let mut observed = prepared(&pgpool);
    let mut secret = k8s_openapi::api::core::v1::Secret::default();
    secret.metadata.owner_references = serde_yaml::from_str(
        "[{apiVersion: external-secrets.io/v1, kind: ExternalSecret, name: vault, uid: u, controller: true}]",
    )
    .unwrap();
    observed.children.get_mut(&Alias::Server).unwrap().secret = fixtures::present(secret);
    let refused = refusal(&pgpool, &observed, Alias::Server).unwrap();
    let words = "Secret demo/pool-server-cert belongs to ExternalSecret demo/vault; delete it";
    assert!(refused.to_string().starts_with(words), "{refused}");
}

#[test]
fn a_certificate_of_another_owner_is_left_alone() {
    let pgpool = pgpool();
    let mut observed = asked(&pgpool);
    change_certificate(&mut observed, Alias::Server, |certificate| {
        let owner = names::owner_reference(&named(fixtures::pgpool(), "pool-with-a-long-name"));
        certificate.metadata.owner_references = Some(vec![owner]);
    });
    let [server, client, _] = wanted(&pgpool, &observed);
    let refusal = server.order.unwrap_err();
    assert_eq!(refusal.reason(), Reason::NameConflict);
    let sentence = refusal.to_string();
    assert!(
        sentence.contains("demo/pool-server-cert exists and belongs to Pgpool demo/pool-with-a-long-name"),
        "{sentence}"
    );
    assert_eq!(server.contested, Some(refusal));
    assert!(client.order.is_ok());

    // What came back from a backup bears the UID of the Pgpool that was.
    change_certificate(&mut observed, Alias::Server, |certificate| {
        let owner = names::owner_reference(&named(fixtures::pgpool(), "pool"));
        certificate.metadata.owner_references = Some(vec![owner]);
    });
    assert!(
        wanted(&pgpool, &observed)
            .iter()
            .all(|wanted| wanted.order.is_ok())
    );
}
