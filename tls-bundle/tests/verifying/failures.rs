//! Each failure: found, alone, named with its reason, and with a sentence that says what is wrong and the cure.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyUsagePurpose, date_time_ymd};
use tls_bundle::{Bundle, Entry, Failure, Fingerprint, Required, Role, Verification, leaf_der, verify};

use crate::support::{Secret, good, leaf_params, now, p256, required, root};

fn only(verification: &Verification) -> &Failure {
    assert!(!verification.fits());
    assert_eq!(verification.failures.len(), 1, "{:?}", verification.failures);
    let failure = verification.first().unwrap();
    let sentence = failure.to_string();
    assert!(sentence.contains("; "), "a cure is missing: {sentence}");
    assert!(!sentence.contains("PRIVATE"), "{sentence}");
    failure
}

fn issued(change: impl FnOnce(&mut CertificateParams)) -> Secret {
    let mut params = leaf_params();
    change(&mut params);
    Secret::issued(&root("root"), &params, &p256())
}

#[test]
fn a_valid_secret_fits_and_its_leaf_is_returned() {
    let secret = good();
    let verification = secret.verify();
    assert!(verification.fits(), "{:?}", verification.failures);
    assert_eq!(verification.first(), None);
    let leaf = verification.leaf.unwrap();
    let der = leaf_der(secret.certificate.as_bytes()).unwrap();
    assert_eq!(leaf.fingerprint, Fingerprint::of_der(&der));
    assert_eq!(leaf.common_name.as_deref(), Some("pool.demo.svc"));
    assert_eq!(
        leaf.dns_names,
        ["pool.demo.svc", "*.pool-pods.demo.svc", "localhost"]
    );
    assert_eq!(leaf.not_before.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(leaf.not_after.to_string(), "2027-01-01T00:00:00Z");
}

#[test]
fn absent_and_empty_entries_are_named() {
    let secret = good();
    for empty in [None, Some(&b""[..]), Some(&b" \n"[..])] {
        let without_key = Bundle {
            key: empty,
            ..secret.bundle()
        };
        let verification = verify(&without_key, &required(), now());
        assert_eq!(only(&verification), &Failure::Incomplete { entry: Entry::Key });
        assert!(verification.leaf.is_some());

        let without_certificate = Bundle {
            certificate: empty,
            ..secret.bundle()
        };
        let verification = verify(&without_certificate, &required(), now());
        assert_eq!(
            only(&verification),
            &Failure::Incomplete {
                entry: Entry::Certificate
            }
        );
        assert_eq!(verification.leaf, None);

        let without_ca = Bundle {
            ca: empty,
            ..secret.bundle()
        };
        assert_eq!(
            only(&verify(&without_ca, &required(), now())),
            &Failure::CaMissing
        );
    }
    let nothing = verify(&Bundle::default(), &required(), now());
    let reasons: Vec<_> = nothing.failures.iter().map(Failure::reason).collect();
    assert_eq!(reasons, ["SecretIncomplete", "SecretIncomplete", "CaMissing"]);
}

#[test]
fn unreadable_entries_are_distinguished() {
    let nonsense = |change: fn(&mut Secret)| {
        let mut secret = good();
        change(&mut secret);
        only(&secret.verify()).reason()
    };
    assert_eq!(
        nonsense(|secret| secret.certificate = "nonsense".into()),
        "CertificateUnreadable"
    );
    assert_eq!(nonsense(|secret| secret.key = "nonsense".into()), "KeyUnreadable");
    assert_eq!(nonsense(|secret| secret.ca = "nonsense".into()), "CaUnreadable");
    // The private key in the place of the certificate, and the other way round.
    assert_eq!(
        nonsense(|s| s.certificate.clone_from(&s.key)),
        "CertificateUnreadable"
    );
    assert_eq!(nonsense(|s| s.key.clone_from(&s.certificate)), "KeyUnreadable");
}

#[test]
fn an_encrypted_key_is_named_as_such() {
    for text in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ] {
        let secret = Secret {
            key: text.into(),
            ..good()
        };
        let expected = Failure::KeyUnreadable {
            problem: "it is encrypted with a passphrase".into(),
        };
        assert_eq!(only(&secret.verify()), &expected);
    }
}

#[test]
fn a_foreign_key_does_not_match() {
    let secret = Secret {
        key: p256().serialize_pem(),
        ..good()
    };
    let verification = secret.verify();
    let failure = only(&verification);
    assert_eq!(failure.reason(), "KeyMismatch");
    assert!(failure.to_string().contains("ECDSA P-256"), "{failure}");
}

#[test]
fn uncovered_names_are_listed() {
    let secret = issued(|params| params.subject_alt_names.truncate(1));
    let verification = secret.verify();
    let missing = ["*.pool-pods.demo.svc", "localhost", "127.0.0.1"]
        .map(String::from)
        .to_vec();
    assert_eq!(only(&verification), &Failure::NameMissing { missing });

    let many = (0..9).map(|number| format!("pool-{number}.demo")).collect();
    let verification = secret.verify_for(&Required {
        dns_names: many,
        ip_addresses: vec![],
        ..required()
    });
    assert!(
        only(&verification)
            .to_string()
            .contains("\"pool-4.demo\" and 4 more")
    );
}

#[test]
fn the_common_name_does_not_count_as_a_dns_name() {
    let secret = issued(|params| drop(params.subject_alt_names.remove(0)));
    assert_eq!(only(&secret.verify()).reason(), "NameMissing");
}

#[test]
fn the_common_name_is_compared_when_required() {
    let for_user = |user: &str| {
        let common_name = Some(user.to_owned());
        Required {
            role: Role::Client,
            dns_names: vec![],
            ip_addresses: vec![],
            common_name,
            ca_required: true,
        }
    };
    let secret = issued(|params| *params = crate::support::params("postgres"));
    assert!(secret.verify_for(&for_user("postgres")).fits());
    let verification = secret.verify_for(&for_user("Postgres"));
    assert_eq!(
        only(&verification).to_string(),
        "the common name of the certificate is \"postgres\", but must be \"Postgres\"; set it in the \
         Certificate, then delete the Secret so that cert-manager issues it again"
    );
    let nameless = issued(|params| params.distinguished_name = rcgen::DistinguishedName::new());
    let verification = nameless.verify_for(&for_user("postgres"));
    assert!(only(&verification).to_string().contains("is missing"));
}

#[test]
fn usages_follow_the_role() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    let usage = |secret: &Secret, role| match only(&secret.verify_for(&Required { role, ..required() })) {
        Failure::UsageMissing { usage, .. } => *usage,
        other => panic!("{other}"),
    };
    let server = issued(|params| params.extended_key_usages = vec![ServerAuth]);
    let client = issued(|params| params.extended_key_usages = vec![ClientAuth]);
    assert!(server.verify().fits());
    assert_eq!(usage(&server, Role::Client), "client auth");
    assert_eq!(usage(&client, Role::Server), "server auth");
    let unrestricted = issued(|params| params.extended_key_usages = vec![]);
    let any = issued(|params| params.extended_key_usages = vec![Any]);
    for role in [Role::Server, Role::Client] {
        assert!(unrestricted.verify_for(&Required { role, ..required() }).fits());
        // OpenSSL does not take it for a usage of TLS.
        assert!(usage(&any, role).ends_with(" auth"));
    }
    let silent = issued(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    assert_eq!(usage(&silent, Role::Server), "digital signature");
    let unrestricted = issued(|params| params.key_usages = vec![]);
    assert!(unrestricted.verify().fits());
}

#[test]
fn validity_is_checked_at_the_given_time() {
    let secret = good();
    let at = |time: &str| verify(&secret.bundle(), &required(), time.parse().unwrap());
    // The CA of the bundle has the same validity, and says so too.
    let first = |time: &str| at(time).first().map(Failure::reason);
    assert_eq!(first("2025-12-31T23:59:59Z"), Some("NotYetValid"));
    assert_eq!(first("2026-01-01T00:00:00Z"), None);
    // OpenSSL compares whole seconds, and the last one is over.
    assert_eq!(first("2026-12-31T23:59:59.9Z"), None);
    assert_eq!(first("2027-01-01T00:00:00Z"), Some("Expired"));

    let expired = issued(|params| params.not_after = date_time_ymd(2026, 2, 1));
    assert!(
        only(&expired.verify())
            .to_string()
            .contains("expired at 2026-02-01T00:00:00Z")
    );
    let future = issued(|params| params.not_before = date_time_ymd(2026, 7, 1));
    assert!(
        only(&future.verify())
            .to_string()
            .contains("not valid before 2026-07-01T00:00:00Z")
    );
}

#[test]
fn a_certificate_that_never_expires_is_valid() {
    let mut params = leaf_params();
    params.not_after = date_time_ymd(9999, 12, 31);
    let secret = Secret::issued(&root("root"), &params, &p256());
    assert!(secret.verify().fits());
}

#[test]
fn all_failures_are_reported_at_once_the_cause_first() {
    let mut params = leaf_params();
    params.subject_alt_names.clear();
    params.not_after = date_time_ymd(2026, 2, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let secret = Secret {
        ca: root("another").pem(),
        key: p256().serialize_pem(),
        ..Secret::issued(&root("root"), &params, &p256())
    };
    let verification = secret.verify_for(&Required {
        common_name: Some("x".into()),
        ..required()
    });
    let reasons: Vec<_> = verification.failures.iter().map(Failure::reason).collect();
    let expected = [
        "KeyMismatch",
        "Expired",
        "ChainBroken",
        "NameMissing",
        "CommonNameMismatch",
        "UsageMissing",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn debug_output_shows_no_key() {
    let secret = good();
    let body = secret.key.lines().nth(1).unwrap();
    let texts = [format!("{:?}", secret.bundle()), format!("{:?}", secret.verify())];
    assert!(texts.iter().all(|text| !text.contains(body)));
}

#[test]
fn the_entries_are_read_by_name() {
    let secret = good();
    let bundle = Bundle::from_data(|name| match name {
        "ca.crt" => Some(secret.ca.as_bytes()),
        "tls.crt" => Some(secret.certificate.as_bytes()),
        "tls.key" => Some(secret.key.as_bytes()),
        other => panic!("{other}"),
    });
    assert!(verify(&bundle, &required(), now()).fits());
}
