//! What OpenSSL, and with it psql and pgpool, refuses or accepts where other libraries do not.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyIdMethod, KeyPair, NameConstraints, date_time_ymd,
};
use tls_bundle::{ChainFault, Failure, Required, Role, Warning, is_signed_by};

use crate::support::{
    Ca, Secret, below, ca_params, elements, extension, good, inside, leaf_params, p256, params, part,
    required, rewritten, root, tlv,
};

const SUBJECT_KEY_ID: &[u64] = &[2, 5, 29, 14];
pub const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const ISSUER_ALT_NAME: &[u64] = &[2, 5, 29, 18];
const CRL_DISTRIBUTION_POINTS: &[u64] = &[2, 5, 29, 31];
const AUTHORITY_KEY_ID: &[u64] = &[2, 5, 29, 35];
const AUTHORITY_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
const OCSP_NO_CHECK: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
const NETSCAPE_TYPE: &[u64] = &[2, 16, 840, 1, 113_730, 1, 1];
const NETSCAPE_COMMENT: &[u64] = &[2, 16, 840, 1, 113_730, 1, 13];

/// Verified without names, and with warnings as warnings.
pub fn only_chain() -> Required {
    Required {
        dns_names: vec![],
        ip_addresses: vec![],
        ca_required: false,
        ..required()
    }
}

#[track_caller]
pub fn accepted(case: &str, secret: &Secret) {
    let verification = secret.verify_for(&only_chain());
    assert!(verification.fits(), "{case}: {:?}", verification.failures);
    assert_eq!(verification.warnings, [], "{case}");
}

#[track_caller]
pub fn refused(case: &str, secret: &Secret, words: &str) {
    let verification = secret.verify_for(&only_chain());
    let failures: Vec<_> = verification.failures.iter().map(ToString::to_string).collect();
    assert!(failures.join("\n").contains(words), "{case}: {failures:?}");
}

fn issued(change: impl FnOnce(&mut CertificateParams)) -> Secret {
    issued_by(&root("root"), change)
}

pub fn issued_by(issuer: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Secret {
    let mut params = leaf_params();
    change(&mut params);
    Secret::issued(issuer, &params, &p256())
}

pub fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = ca_params("root");
    change(&mut params);
    Ca::self_signed(params, p256()).unwrap()
}

/// A leaf whose parts are changed before it is signed.
fn rebuilt(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Secret {
    let (root, key) = (root("root"), p256());
    let leaf = leaf_params().signed_by(&key, &root).unwrap();
    Secret {
        certificate: rewritten(leaf.der(), root.key(), change),
        ..Secret::issued(&root, &leaf_params(), &key)
    }
}

#[test]
fn a_chain_must_end_in_a_self_signed_ca_of_ca_crt() {
    let root = root("root");
    let lower = below(&root, ca_params("lower"));
    let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
    secret.certificate.push_str(&lower.pem());
    let expected = Warning::RootMissing {
        subject: "CN=lower".into(),
        issuer: "CN=root".into(),
    };
    let found = secret.verify_for(&only_chain());
    assert!(found.fits(), "{:?}", found.failures);
    assert_eq!(found.warnings, std::slice::from_ref(&expected));
    assert_eq!(found.signers.len(), 1);
    let found = secret.verify();
    assert_eq!(
        found.failures,
        [Failure::from(expected)],
        "where ca.crt must be enough"
    );
    assert_eq!(found.warnings, []);
    secret.ca = root.pem();
    accepted("with the root", &secret);
    secret.ca = secret.certificate[..secret.certificate.find("-----END").unwrap()].to_owned()
        + "-----END CERTIFICATE-----\n";
    refused(
        "the leaf as its own anchor",
        &secret,
        "neither in tls.crt nor in ca.crt",
    );
}

#[test]
fn what_stands_above_an_intermediate_in_ca_crt_counts() {
    let expired = self_signed(|params| params.not_after = date_time_ymd(2026, 5, 1));
    let forbidding = self_signed(|params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example".into())],
            excluded_subtrees: vec![],
        });
    });
    let key_id = tlv(0x30, &tlv(0x80, b"another"));
    let contradicting = self_signed(|params| {
        params.custom_extensions = vec![extension(AUTHORITY_KEY_ID, false, key_id)];
    });
    for (root, words) in [
        (&expired, "expired at"),
        (&forbidding, "does not permit"),
        (&contradicting, "another key identifier"),
    ] {
        let lower = below(root, ca_params("lower"));
        let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
        secret.certificate.push_str(&lower.pem());
        secret.ca.push_str(&root.pem());
        refused(words, &secret, words);
    }
}

#[test]
fn without_ca_crt_the_chain_is_checked_as_far_as_it_goes() {
    let root = root("root");
    let mut limited = ca_params("lower");
    limited.is_ca = IsCa::NoCa;
    limited.key_usages = vec![];
    for (lower, fits) in [(ca_params("lower"), true), (limited, false)] {
        let lower = below(&root, lower);
        let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
        secret.certificate.push_str(&lower.pem());
        secret.ca.clear();
        let found = secret.verify_for(&only_chain());
        assert_eq!(found.fits(), fits, "{:?}", found.failures);
        assert!(matches!(found.warnings.as_slice(), [Warning::CaMissing { .. }]));
    }
}

#[test]
fn an_issuer_has_the_key_identifier_that_the_certificate_names() {
    let key = p256();
    let ca = |id: &[u8]| {
        let mut params = ca_params("root");
        params.key_identifier_method = KeyIdMethod::PreSpecified(id.to_vec());
        Ca::self_signed(params, KeyPair::from_pem(&key.serialize_pem()).unwrap()).unwrap()
    };
    let (before, renewed) = (ca(b"before"), ca(b"renewed"));
    let mut secret = issued_by(&before, |params| {
        params.use_authority_key_identifier_extension = true;
    });
    accepted("the same certificate", &secret);
    let signed = |secret: &Secret| is_signed_by(secret.certificate.as_bytes(), renewed.pem().as_bytes());
    assert_eq!(signed(&secret), Some(false), "clients do not find it");
    secret.ca = renewed.pem();
    refused("renewed under its key", &secret, "another key identifier");

    let serial = |serial: u8| tlv(0x30, &tlv(0x82, &[serial]));
    let secret = issued_by(&renewed, |params| {
        params.custom_extensions = vec![extension(AUTHORITY_KEY_ID, false, serial(1))];
    });
    refused("another serial number", &secret, "serial number");
    // A mismatch is passed over, and the next of that name is taken.
    let mut secret = issued_by(&renewed, |params| {
        params.use_authority_key_identifier_extension = true;
    });
    secret.ca = before.pem() + &renewed.pem();
    accepted("the second one", &secret);
}

#[test]
fn a_leaf_with_the_subject_of_its_ca_is_taken_for_self_signed() {
    for role in [Role::Server, Role::Client] {
        let mut ca = ca_params("postgres");
        ca.key_identifier_method = KeyIdMethod::PreSpecified(vec![1]);
        let ca = Ca::self_signed(ca, p256()).unwrap();
        let mut leaf = leaf_params();
        leaf.distinguished_name = params("postgres").distinguished_name;
        leaf.use_authority_key_identifier_extension = true;
        let mut secret = Secret::issued(&ca, &leaf, &p256());
        let required = Required { role, ..only_chain() };
        let found = secret.verify_for(&required);
        let Some(Failure::ChainBroken { fault }) = found.first() else {
            panic!("{:?}", found.failures);
        };
        assert!(matches!(fault, ChainFault::RootUnknown { .. }), "{fault}");
        // With key identifiers of its own it is distinguished.
        leaf.custom_extensions = vec![extension(SUBJECT_KEY_ID, false, tlv(4, &[2]))];
        secret = Secret::issued(&ca, &leaf, &p256());
        assert!(secret.verify_for(&required).fits());
    }
}

#[test]
fn any_usage_is_no_usage_of_tls() {
    let any = vec![ExtendedKeyUsagePurpose::Any];
    let leaf = issued(|params| params.extended_key_usages.clone_from(&any));
    refused("leaf", &leaf, "server auth");
    let top = self_signed(|params| params.extended_key_usages.clone_from(&any));
    refused("root", &issued_by(&top, |_| ()), "server auth");
    let mut lower = ca_params("lower");
    lower.extended_key_usages = any;
    let root = root("root");
    let lower = below(&root, lower);
    let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
    secret.certificate.push_str(&lower.pem());
    secret.ca = root.pem();
    refused("intermediate", &secret, "server auth");
}

#[test]
fn every_certificate_of_tls_crt_is_strong_enough_to_be_loaded() {
    let sha1 = tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
    let other = below(&root("elsewhere"), ca_params("old"));
    let weak = rewritten(other.der(), &p256(), |parts| {
        parts[part::ALGORITHM] = tlv(0x30, &sha1);
    });
    let rsa = |octets: usize| {
        let mut modulus = vec![0, 0x80];
        modulus.extend(vec![1; octets - 1]);
        let key = tlv(0x30, &[tlv(2, &modulus), tlv(2, &[1, 0, 1])].concat());
        let oid = tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]);
        let algorithm = tlv(0x30, &[oid, tlv(5, &[])].concat());
        let bits = tlv(3, &[vec![0], key].concat());
        let info = tlv(0x30, &[algorithm, bits].concat());
        rewritten(other.der(), &p256(), |parts| parts[part::KEY] = info)
    };
    let beside = |text: &str| {
        let mut secret = good();
        secret.certificate.push_str(text);
        secret
    };
    let place = "(certificate 2 of tls.crt)";
    refused(
        "SHA-1",
        &beside(&weak),
        &format!("\"CN=old\" {place} is made with SHA-1"),
    );
    refused("RSA 1024", &beside(&rsa(128)), &format!("{place} has 1024 bits"));
    let old_label = rsa(128).replace("CERTIFICATE", "X509 CERTIFICATE");
    refused("an older label", &beside(&old_label), "has 1024 bits");
    accepted("RSA 2048", &beside(&rsa(256)));
    // OpenSSL exempts what claims to be self-signed.
    let own = rewritten(root("own").der(), &p256(), |parts| {
        parts[part::ALGORITHM] = tlv(0x30, &sha1);
    });
    accepted("a root with SHA-1", &beside(&own));
    // In ca.crt only what the chain needs counts.
    let mut secret = good();
    secret.ca.push_str(&weak);
    accepted("in ca.crt", &secret);
}

#[test]
fn the_strength_of_the_cas_counts() {
    let sha1 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    let root = root("root");
    let lower = below(&root, ca_params("lower"));
    let weak = rewritten(lower.der(), root.key(), |parts| {
        parts[part::ALGORITHM] = sha1.clone();
    });
    let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
    secret.ca = weak + &root.pem();
    refused(
        "an intermediate in ca.crt",
        &secret,
        "the signature of \"CN=lower\" (certificate 1 of ca.crt) is made with SHA-1",
    );
    let own = rewritten(root.der(), root.key(), |parts| parts[part::ALGORITHM] = sha1);
    secret.ca = lower.pem() + &own;
    accepted("the signature of a root", &secret);
}

#[test]
fn pem_is_read_line_by_line() {
    let texts = |text: &str| {
        let with = |change: &dyn Fn(&mut Secret, String)| {
            let root = root("root");
            let lower = below(&root, ca_params("lower"));
            let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
            secret.certificate.push_str(&lower.pem());
            secret.ca = root.pem() + &self::root("other").pem();
            change(&mut secret, text.to_owned());
            secret
        };
        [
            with(&|secret, text| secret.certificate = rewritten_text(&secret.certificate, &text)),
            with(&|secret, text| secret.ca = rewritten_text(&secret.ca, &text)),
            with(&|secret, text| secret.key = rewritten_text(&secret.key, &text)),
        ]
    };
    for secret in texts("joined").iter().take(2) {
        refused("no line end between sections", secret, "a line of its own");
    }
    for secret in texts("blank") {
        refused("a blank line inside", &secret, "blank line");
    }
    for change in ["mark", "blanks", "windows", "comment"] {
        for secret in texts(change) {
            accepted(change, &secret);
        }
    }
    let mut secret = good();
    secret.certificate = secret.certificate.replace("CERTIFICATE", "X509 CERTIFICATE");
    accepted("an older label", &secret);
    secret.ca = secret.ca.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
    refused(
        "trust in the file",
        &secret,
        "TRUSTED CERTIFICATE, which is not supported",
    );
    let mut secret = good();
    secret
        .certificate
        .push_str("-----BEGIN OTHER-----\n????\n-----END OTHER-----\n");
    refused("a damaged section of another kind", &secret, "no base64");
}

fn rewritten_text(text: &str, change: &str) -> String {
    match change {
        "joined" => text.replace("-----\n-----BEGIN", "----------BEGIN"),
        "blank" => {
            let mut lines: Vec<_> = text.lines().collect();
            lines.insert(2, "");
            lines.join("\n")
        }
        "mark" => format!("\u{feff}{text}"),
        "blanks" => text.replace("-----\n", "----- \t\n"),
        "windows" => text.replace('\n', "\r\n"),
        "comment" => format!("subject: x\n\n{text}# end"),
        other => panic!("{other}"),
    }
}

#[test]
fn critical_extensions_are_those_that_openssl_acts_on() {
    let names = tlv(0x30, &tlv(0x82, b"x"));
    for (oid, value) in [
        (SUBJECT_KEY_ID, tlv(4, &[1])),
        (AUTHORITY_KEY_ID, tlv(0x30, &[])),
        (AUTHORITY_ACCESS, tlv(0x30, &[])),
        (&[1, 3, 6, 1, 5, 5, 7, 1, 11][..], tlv(0x30, &[])),
        (ISSUER_ALT_NAME, names),
        (NETSCAPE_COMMENT, tlv(0x16, b"x")),
    ] {
        let with = |critical| {
            issued(|params| params.custom_extensions = vec![extension(oid, critical, value.clone())])
        };
        accepted(&format!("{oid:?}"), &with(false));
        let decimal: Vec<_> = oid.iter().map(ToString::to_string).collect();
        refused(
            "critical",
            &with(true),
            &format!("has the extension {}", decimal.join(".")),
        );
    }
    let with = |oid, critical, value| {
        issued(|params| params.custom_extensions = vec![extension(oid, critical, value)])
    };
    accepted("nothing to check", &with(OCSP_NO_CHECK, true, tlv(5, &[])));
    accepted(
        "malformed, and never looked at",
        &with(AUTHORITY_ACCESS, false, vec![0xff]),
    );
    let server = tlv(3, &[6, 0x40]);
    accepted("Netscape server", &with(NETSCAPE_TYPE, false, server));
    refused(
        "Netscape client",
        &with(NETSCAPE_TYPE, false, tlv(3, &[7, 0x80])),
        "server auth",
    );
}

#[test]
fn malformed_names_do_not_cover() {
    let covers = |names: &[u8]| {
        let secret = issued(|params| {
            params.subject_alt_names.clear();
            params.custom_extensions = vec![extension(SUBJECT_ALT_NAME, false, tlv(0x30, names))];
        });
        let required = Required {
            dns_names: vec!["pool.demo.svc".into()],
            ..only_chain()
        };
        secret.verify_for(&required).fits()
    };
    let name = tlv(0x82, b"pool.demo.svc");
    let (nul, five) = (tlv(0x82, b"a\0b"), tlv(0x87, &[1; 5]));
    assert!(covers(&name));
    assert!(!covers(&tlv(0x82, b"pool.demo.svc.")), "a trailing dot");
    for odd in [nul, five] {
        assert!(covers(&[name.clone(), odd.clone()].concat()), "after the name");
        assert!(!covers(&[odd, name.clone()].concat()), "before the name");
    }
}

#[test]
fn what_openssl_cannot_decode_is_refused() {
    let san = |value: Vec<u8>| {
        issued(|params| {
            params.subject_alt_names.clear();
            params.custom_extensions = vec![extension(SUBJECT_ALT_NAME, false, tlv(0x30, &value))];
        })
    };
    refused(
        "unknown kind of name",
        &san(tlv(0x80, b"x")),
        "subject alternative name",
    );
    refused(
        "OID that is not ended",
        &san(tlv(0x88, &[0x80])),
        "subject alternative name",
    );
    let point = tlv(0x30, &tlv(0x30, &tlv(0x85, b"x")));
    let secret = issued(|params| {
        params.custom_extensions = vec![extension(CRL_DISTRIBUTION_POINTS, false, point)];
    });
    refused("distribution point", &secret, "CRL distribution points");
    let twice = issued(|params| {
        let value = || extension(SUBJECT_KEY_ID, false, tlv(4, &[1]));
        params.custom_extensions = vec![value(), value()];
    });
    refused("an extension twice", &twice, "subject key identifier");

    let time = |text: &[u8], tag| {
        rebuilt(|parts| {
            let end = elements(inside(&parts[part::VALIDITY]))[1].clone();
            parts[part::VALIDITY] = tlv(0x30, &[tlv(tag, text), end].concat());
        })
    };
    accepted("UTCTime", &time(b"260101000000Z", 0x17));
    for text in [
        &b"2601010000Z"[..],
        b"260101000000+0100",
        b"260101000000",
        b"261301000000Z",
    ] {
        refused("UTCTime", &time(text, 0x17), "validity");
    }
    refused("a fraction", &time(b"20260101000000.5Z", 0x18), "validity");
    let subject = tlv(
        0x30,
        &tlv(
            0x31,
            &tlv(0x30, &[tlv(6, &[0x55, 4, 3]), tlv(0x0c, &[0xff])].concat()),
        ),
    );
    refused(
        "no UTF-8",
        &rebuilt(|parts| parts[part::SUBJECT] = subject),
        "certificate 1 of tls.crt is malformed",
    );
}

#[test]
fn names_are_compared_without_case_spaces_and_type() {
    let mut params = ca_params("");
    params
        .distinguished_name
        .push(DnType::CommonName, DnValue::Utf8String("My  Root".into()));
    let root = Ca::self_signed(params, p256()).unwrap();
    let key = p256();
    let leaf = leaf_params().signed_by(&key, &root).unwrap();
    let with = |tag: u8, text: &[u8]| {
        let attribute = [tlv(6, &[0x55, 4, 3]), tlv(tag, text)].concat();
        let issuer = tlv(0x30, &tlv(0x31, &tlv(0x30, &attribute)));
        Secret {
            certificate: rewritten(leaf.der(), root.key(), |parts| parts[part::ISSUER] = issuer),
            ..Secret::issued(&root, &leaf_params(), &key)
        }
    };
    accepted("as it is", &with(0x0c, b"My  Root"));
    accepted("PrintableString", &with(0x13, b"My Root"));
    accepted("case and spaces", &with(0x13, b" my   ROOT "));
    accepted("BMPString", &with(0x1e, b"\0M\0y\0 \0R\0o\0o\0t"));
    refused(
        "another name",
        &with(0x0c, b"MyRoot"),
        "neither in tls.crt nor in ca.crt",
    );
}

#[test]
fn old_and_unusual_forms_are_accepted() {
    let root = root("root");
    // OpenSSL does not verify the signature of a root, so any key will do.
    let v1 = rewritten(root.der(), &p256(), |parts| {
        parts.remove(0);
        parts.pop();
    });
    let secret = Secret {
        ca: v1,
        ..Secret::issued(&root, &leaf_params(), &p256())
    };
    accepted("a root of version 1", &secret);
    // Nor does it look at the algorithm beside that signature, but at the one inside, to tell whether it is a root.
    let inner = rewritten(root.der(), root.key(), |parts| {
        parts[part::ALGORITHM] = tlv(0x30, &tlv(6, &[0x2a, 3]));
    });
    let secret = Secret { ca: inner, ..secret };
    refused("a root with an unknown algorithm", &secret, "not supported");

    let compressed = rebuilt(|parts| {
        let info = elements(inside(&parts[part::KEY]));
        let point = &inside(&info[1])[1..];
        let form = 2 + (point[64] & 1);
        let bits = [&[0, form], &point[1..33]].concat();
        parts[part::KEY] = tlv(0x30, &[info[0].clone(), tlv(3, &bits)].concat());
    });
    accepted("a compressed point", &compressed);
}

#[test]
fn a_path_length_counts_cas_that_are_not_self_issued() {
    let mut params = ca_params("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let old = Ca::self_signed(params.clone(), p256()).unwrap();
    // The same CA with a new key, certified by the old one.
    params.use_authority_key_identifier_extension = true;
    let new = below(&old, params);
    let mut secret = Secret::issued(&new, &leaf_params(), &p256());
    secret.certificate.push_str(&new.pem());
    secret.ca = old.pem();
    let found = secret.verify_for(&only_chain());
    // Without key identifiers the old one is taken for the issuer of the leaf.
    assert!(!found.fits());
    let mut leaf = leaf_params();
    leaf.use_authority_key_identifier_extension = true;
    secret.certificate = leaf.signed_by(&p256(), &new).unwrap().pem() + &new.pem();
    let found = secret.verify_for(&only_chain());
    let broken = |failure: &Failure| matches!(failure, Failure::ChainBroken { .. });
    assert!(!found.failures.iter().any(broken), "{:?}", found.failures);
}

#[test]
fn presented_certificates_are_verified_like_those_of_a_bundle() {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let root = root("root");
    let lower = below(&root, ca_params("lower"));
    let mut secret = Secret::issued(&lower, &leaf_params(), &p256());
    secret.certificate.push_str(&lower.pem());
    let presented = |secret: &Secret| {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(secret.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let now = crate::support::now();
        tls_bundle::verify_presented(&chain, Some(secret.ca.as_bytes()), &only_chain(), now)
    };
    for ca in [root.pem(), lower.pem(), self::root("another").pem()] {
        secret.ca = ca;
        let (before, after) = (secret.verify_for(&only_chain()), presented(&secret));
        assert_eq!(before.fits(), after.fits());
        assert_eq!(before.warnings, after.warnings);
        assert_eq!(before.signers, after.signers);
        assert_eq!(before.leaf, after.leaf);
    }
    assert!(
        presented(&secret)
            .first()
            .unwrap()
            .to_string()
            .contains("of what the server presents")
    );
    let none = tls_bundle::verify_presented(&[], None, &only_chain(), crate::support::now());
    assert!(!none.fits());
}
