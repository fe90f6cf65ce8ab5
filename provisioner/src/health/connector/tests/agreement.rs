//! What the verification of a certificate Secret accepts, the look at the served certificate accepts, and the reverse.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    SignatureAlgorithm, date_time_ymd,
};
use tls_bundle::Bundle;

use super::*;

const NAME: &str = "pool.demo.svc";

/// A certificate with its key, which may sign others.
struct Signed {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.distinguished_name = subject("the pool");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn root(params: CertificateParams) -> Signed {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Signed {
        certificate,
        issuer: Issuer::new(params, key),
    }
}

impl Signed {
    fn sign(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Signed {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A leaf of this CA, presented with `others`, where clients have `ca`.
    fn leaf(&self, params: &CertificateParams, others: &[&Signed], ca: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        self.leaf_with_key(params, &key, others, ca)
    }

    fn leaf_with_key(&self, params: &CertificateParams, key: &KeyPair, others: &[&Signed], ca: &str) -> Pair {
        let leaf = params.signed_by(key, &self.issuer).unwrap();
        let chain: String = others.iter().map(|it| it.pem()).collect();
        Pair {
            certificate: leaf.pem() + &chain,
            key: key.serialize_pem(),
            ca: ca.to_owned(),
            fingerprint: Fingerprint::of_der(leaf.der()),
        }
    }
}

/// `id-ce-certificatePolicies` with the policy `anyPolicy`.
fn critical_policies() -> CustomExtension {
    let any_policy = vec![0x30, 0x08, 0x30, 0x06, 0x06, 0x04, 0x55, 0x1d, 0x20, 0x00];
    let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], any_policy);
    policies.set_criticality(true);
    policies
}

fn critical_unknown() -> CustomExtension {
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![0x05, 0x00]);
    unknown.set_criticality(true);
    unknown
}

fn permitting(subtrees: Vec<GeneralSubtree>) -> CertificateParams {
    let mut params = ca_params("constrained");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: subtrees,
        excluded_subtrees: Vec::new(),
    });
    params
}

fn keys() -> Vec<(&'static str, &'static SignatureAlgorithm)> {
    vec![
        ("P-256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("P-384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("P-521", &rcgen::PKCS_ECDSA_P521_SHA512),
        ("Ed25519", &rcgen::PKCS_ED25519),
        ("RSA", &rcgen::PKCS_RSA_SHA256),
    ]
}

/// Bundles whose verdict is known: what it is about, whether it is accepted, and the bundle.
fn known() -> Vec<(String, bool, Pair)> {
    let top = root(ca_params("root"));
    let ca = top.pem();
    let middle = top.sign(ca_params("middle"));
    let mut rows = vec![
        ("plain".to_owned(), true, top.leaf(&leaf_params(), &[], &ca)),
        (
            "with an intermediate".to_owned(),
            true,
            middle.leaf(&leaf_params(), &[&middle], &ca),
        ),
        (
            "the intermediate is missing".to_owned(),
            false,
            middle.leaf(&leaf_params(), &[], &ca),
        ),
        (
            "ca.crt is the intermediate".to_owned(),
            true,
            middle.leaf(&leaf_params(), &[], &middle.pem()),
        ),
        (
            "no ca.crt".to_owned(),
            true,
            middle.leaf(&leaf_params(), &[&middle], ""),
        ),
        (
            "another root".to_owned(),
            false,
            top.leaf(&leaf_params(), &[], &root(ca_params("root")).pem()),
        ),
    ];
    for (name, algorithm) in keys() {
        if name == "Ed25519" {
            // OpenSSL 3.0 does not load the form in which this library writes such keys, so the Secret is refused for the key.
            continue;
        }
        let key = KeyPair::generate_for(algorithm).unwrap();
        rows.push((
            name.to_owned(),
            true,
            top.leaf_with_key(&leaf_params(), &key, &[], &ca),
        ));
    }
    rows.extend(known_leaves(&top));
    rows.extend(known_cas(&top));
    rows
}

/// Those that a CA signed itself, by what their leaves say.
fn known_leaves(top: &Signed) -> Vec<(String, bool, Pair)> {
    let mut rows = Vec::new();
    let mut leaf = |what: &str, accepted: bool, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = leaf_params();
        change(&mut params);
        rows.push((what.to_owned(), accepted, top.leaf(&params, &[], &top.pem())));
    };
    leaf("a leaf that says it is a CA", true, &|it| {
        it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    leaf("critical policies", true, &|it| {
        it.custom_extensions.push(critical_policies());
    });
    leaf("an unknown critical extension", false, &|it| {
        it.custom_extensions.push(critical_unknown());
    });
    leaf("expired", false, &|it| it.not_after = date_time_ymd(2026, 2, 1));
    leaf("not valid yet", false, &|it| {
        it.not_before = date_time_ymd(2039, 1, 1);
    });
    leaf("for clients only", false, &|it| {
        it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    leaf("any usage", true, &|it| it.extended_key_usages.clear());
    leaf("no signatures", false, &|it| {
        it.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    });
    leaf("another name", false, &|it| {
        it.subject_alt_names = vec![rcgen::SanType::DnsName("elsewhere".try_into().unwrap())];
    });
    leaf("a wildcard", true, &|it| {
        it.subject_alt_names = vec![rcgen::SanType::DnsName("*.demo.svc".try_into().unwrap())];
    });
    rows
}

/// Those of a CA below another, by what that CA says.
fn known_cas(top: &Signed) -> Vec<(String, bool, Pair)> {
    let mut rows = Vec::new();
    let directory = GeneralSubtree::DirectoryName(subject("the pool"));
    let names = GeneralSubtree::DnsName("demo.svc".to_owned());
    let elsewhere = GeneralSubtree::DnsName("other.svc".to_owned());
    for (what, accepted, subtrees) in [
        ("a name that is permitted", true, vec![names]),
        ("a name that is not permitted", false, vec![elsewhere]),
        ("a subject that is permitted", true, vec![directory]),
    ] {
        let constrained = top.sign(permitting(subtrees));
        let pair = constrained.leaf(&leaf_params(), &[&constrained], &top.pem());
        rows.push((what.to_owned(), accepted, pair));
    }
    // A root that changed its key and signed the new one under its own name.
    let renewed = top.sign(ca_params("root"));
    rows.push((
        "a new key".to_owned(),
        true,
        renewed.leaf(&leaf_params(), &[&renewed], &top.pem()),
    ));
    rows
}

/// Whether the Secret is accepted.
fn before(pair: &Pair) -> bool {
    let bundle = Bundle {
        ca: Some(pair.ca.as_bytes()),
        certificate: Some(pair.certificate.as_bytes()),
        key: Some(pair.key.as_bytes()),
    };
    let required = Required {
        role: Role::Server,
        dns_names: vec![NAME.to_owned()],
        ip_addresses: Vec::new(),
        common_name: None,
        ca_required: false,
    };
    tls_bundle::verify(&bundle, &required, clock::now()).fits()
}

#[tokio::test]
async fn the_check_before_and_the_check_after_agree() {
    let strict = Access {
        ssl_mode: SslMode::VerifyFull,
        ..access()
    };
    for (what, accepted, pair) in known() {
        assert_eq!(before(&pair), accepted, "{what}: before");
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let expected = Some(expected(&pair));
            let (answer, transcript) = handshake_over(&[version], expected, &strict, &pair, None).await;
            assert_eq!(answer.is_ok(), accepted, "{what}: {version:?} {answer:?}");
            let refused = matches!(transcript.refusal(), Some(Refusal::Unverified(_)));
            assert_eq!(refused, !accepted, "{what}: {:?}", transcript.refusal());
        }
    }
}

/// The key of another certificate proves nothing, whatever the certificate.
#[tokio::test]
async fn a_server_without_the_key_is_refused() {
    let top = root(ca_params("root"));
    for mode in [SslMode::Require, SslMode::VerifyFull] {
        let access = Access {
            ssl_mode: mode,
            ..access()
        };
        for (name, algorithm) in keys() {
            let key = || KeyPair::generate_for(algorithm).unwrap();
            let pair = top.leaf_with_key(&leaf_params(), &key(), &[], &top.pem());
            let stolen = Pair {
                key: key().serialize_pem(),
                ..pair
            };
            for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
                let expected = Some(expected(&stolen));
                let (answer, _) = handshake_over(&[version], expected, &access, &stolen, None).await;
                let answer = answer.unwrap_err().to_string();
                assert!(answer.contains("BadSignature"), "{name} {version:?}: {answer}");
            }
        }
    }
}
