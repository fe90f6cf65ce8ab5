//! Chains: what ends in `ca.crt`, and which link is named when nothing does.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, CustomExtension,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use tls_bundle::{ChainFault, Failure, ca_keys};

use crate::support::{Ca, Secret, below, ca_params, good, leaf_params, p256, params, required, root};

/// A leaf below `issuer`, with `ca` and further intermediates as given.
fn secret(issuer: &Ca, intermediates: &[&Ca], ca: &[&Ca]) -> Secret {
    let mut secret = Secret::issued(issuer, &leaf_params(), &p256());
    secret.certificate.extend(intermediates.iter().map(|ca| ca.pem()));
    secret.ca = ca.iter().map(|ca| ca.pem()).collect();
    secret
}

fn fault(secret: &Secret) -> ChainFault {
    match secret.verify().failures.as_slice() {
        [Failure::ChainBroken { fault }] => fault.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_keys_that_signed_are_those_of_the_path_alone() {
    let (root, bystander) = (root("root"), root("bystander"));
    let lower = below(&root, ca_params("lower"));
    let keys = |cas: &[&Ca]| ca_keys(cas.iter().map(|ca| ca.pem()).collect::<String>().as_bytes());
    let found = secret(&lower, &[&lower], &[&bystander, &root]).verify();
    assert_eq!(
        found.signers,
        keys(&[&lower, &root]),
        "a CA beside it has signed nothing"
    );
    // Another certificate of the same key is the same signer.
    let key = KeyPair::from_pem(&root.key().serialize_pem()).unwrap();
    let mut renewed = ca_params("root");
    renewed.not_after = date_time_ymd(2028, 1, 1);
    let renewed = CertifiedIssuer::self_signed(renewed, key).unwrap();
    assert_ne!(renewed.pem(), root.pem());
    assert_eq!(keys(&[&renewed]), keys(&[&root]));
    // Nor has a CA of that name.
    let foreign = secret(&lower, &[&lower], &[&self::root("root")]).verify();
    assert!(!foreign.fits() && foreign.signers.is_empty());
    assert_eq!(ca_keys(b"no PEM"), []);
}

#[test]
fn intermediates_lead_to_the_root_in_any_order() {
    let root = root("root");
    let upper = below(&root, ca_params("upper"));
    let lower = below(&upper, ca_params("lower"));
    assert!(secret(&lower, &[&lower, &upper], &[&root]).verify().fits());
    assert!(secret(&lower, &[&upper, &lower], &[&root]).verify().fits());
    assert!(
        secret(&lower, &[&lower, &upper, &root], &[&root]).verify().fits(),
        "root repeated"
    );
    // An anchor need not be a root: cert-manager writes the issuer there when it knows no more.
    assert!(secret(&lower, &[&lower], &[&upper]).verify().fits());
    let expected = |subject: &str, issuer: &str| ChainFault::IssuerAbsent {
        subject: format!("CN={subject}"),
        issuer: format!("CN={issuer}"),
    };
    assert_eq!(
        fault(&secret(&lower, &[&lower], &[&root])),
        expected("lower", "upper")
    );
    assert_eq!(
        fault(&secret(&lower, &[], &[&root])),
        expected("pool.demo.svc", "lower")
    );
}

#[test]
fn one_of_several_cas_is_enough() {
    let (old, new) = (root("root"), root("root"));
    let other = root("another");
    assert!(secret(&new, &[], &[&other, &old, &new]).verify().fits());
    assert!(secret(&old, &[], &[&other, &old, &new]).verify().fits());
    let wrong = fault(&secret(&old, &[], &[&other, &new]));
    assert!(matches!(wrong, ChainFault::SignatureWrong { .. }), "{wrong}");
}

#[test]
fn a_self_signed_leaf_is_its_own_ca() {
    let key = p256();
    let certificate = leaf_params().self_signed(&key).unwrap().pem();
    let secret = Secret {
        ca: certificate.clone(),
        certificate,
        key: key.serialize_pem(),
    };
    assert!(secret.verify().fits());
    let foreign = Secret {
        ca: good().ca,
        ..secret
    };
    assert!(matches!(fault(&foreign), ChainFault::IssuerAbsent { .. }));
}

#[test]
fn a_ca_must_be_allowed_to_sign() {
    type Change = fn(&mut CertificateParams);
    let changes: [(&str, Change); 3] = [
        ("no basic constraints", |params| params.is_ca = IsCa::NoCa),
        ("not a CA", |params| params.is_ca = IsCa::ExplicitNoCa),
        ("no such usage", |params| {
            params.key_usages = vec![KeyUsagePurpose::CrlSign];
        }),
    ];
    for (name, change) in changes {
        let mut params = ca_params("root");
        change(&mut params);
        let root = Ca::self_signed(params, p256()).unwrap();
        let fault = fault(&secret(&root, &[], &[&root]));
        assert!(matches!(fault, ChainFault::NotACa { .. }), "{name}: {fault}");
    }
}

#[test]
fn a_ca_must_be_valid_now() {
    let mut past = ca_params("past");
    past.not_after = date_time_ymd(2026, 5, 1);
    let mut future = ca_params("future");
    future.not_before = date_time_ymd(2026, 7, 1);
    let past = Ca::self_signed(past, p256()).unwrap();
    let future = Ca::self_signed(future, p256()).unwrap();
    let message = fault(&secret(&past, &[], &[&past])).to_string();
    assert_eq!(message, "the CA \"CN=past\" expired at 2026-05-01T00:00:00Z");
    let message = fault(&secret(&future, &[], &[&future])).to_string();
    assert_eq!(
        message,
        "the CA \"CN=future\" is not valid before 2026-07-01T00:00:00Z"
    );
}

#[test]
fn the_fault_of_the_ca_that_signed_is_reported() {
    let mut expired = ca_params("root");
    expired.not_after = date_time_ymd(2026, 5, 1);
    let expired = Ca::self_signed(expired, p256()).unwrap();
    let (before, after) = (root("root"), root("root"));
    let fault = fault(&secret(&expired, &[], &[&before, &expired, &after]));
    assert!(matches!(fault, ChainFault::CaExpired { .. }), "{fault}");
}

#[test]
fn a_ca_limits_the_cas_below_it() {
    let mut short = ca_params("root");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let root = Ca::self_signed(short, p256()).unwrap();
    let lower = below(&root, ca_params("lower"));
    assert!(secret(&root, &[], &[&root]).verify().fits());
    let fault = fault(&secret(&lower, &[&lower], &[&root]));
    assert_eq!(
        fault,
        ChainFault::TooLong {
            subject: "CN=root".into()
        }
    );
}

#[test]
fn a_ca_limits_usages() {
    let mut limited = ca_params("lower");
    limited.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let root = root("root");
    let lower = below(&root, limited);
    let secret = secret(&lower, &[&lower], &[&root]);
    let subject = "CN=lower".to_owned();
    assert_eq!(
        fault(&secret),
        ChainFault::UsageForbidden {
            subject,
            usage: "server auth"
        }
    );
    let client = tls_bundle::Required {
        role: tls_bundle::Role::Client,
        ..required()
    };
    assert!(secret.verify_for(&client).fits());
}

#[test]
fn a_ca_limits_names() {
    let constrained = |permitted: &[&str], excluded: &[&str]| {
        let subtrees = |names: &[&str]| {
            let names = names.iter().map(|name| match name.parse() {
                Ok(ip) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(ip, 8)),
                Err(_) => GeneralSubtree::DnsName((*name).to_owned()),
            });
            names.collect()
        };
        let mut params = ca_params("root");
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: subtrees(permitted),
            excluded_subtrees: subtrees(excluded),
        });
        let root = Ca::self_signed(params, p256()).unwrap();
        secret(&root, &[], &[&root])
    };
    let forbidden = |secret: &Secret| match fault(secret) {
        ChainFault::NameForbidden { name, .. } => name,
        other => panic!("{other}"),
    };
    assert!(
        constrained(&["svc", "localhost", "127.0.0.0"], &["other.svc"])
            .verify()
            .fits()
    );
    assert!(
        constrained(&["127.0.0.0"], &[]).verify().fits(),
        "says nothing about DNS names"
    );
    assert!(
        constrained(&[], &["vc", "l.demo.svc"]).verify().fits(),
        "whole labels only"
    );
    assert_eq!(forbidden(&constrained(&["svc"], &[])), "localhost");
    assert_eq!(
        forbidden(&constrained(&["svc", "localhost", "10.0.0.0"], &[])),
        "127.0.0.1"
    );
    assert_eq!(forbidden(&constrained(&[], &["demo.svc"])), "pool.demo.svc");
    assert_eq!(forbidden(&constrained(&[], &["127.0.0.0"])), "127.0.0.1");
}

#[test]
fn an_unknown_critical_extension_is_rejected() {
    let extension = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![5, 0]);
        extension.set_criticality(critical);
        let mut params = leaf_params();
        params.custom_extensions = vec![extension];
        Secret::issued(&root("root"), &params, &p256())
    };
    assert!(extension(false).verify().fits());
    let fault = fault(&extension(true));
    assert!(matches!(&fault, ChainFault::ExtensionUnsupported { oid, .. } if oid == "1.3.6.1.4.1.1"));
}

#[test]
fn a_leaf_cannot_sign_another() {
    let root = root("root");
    let mut middle = params("middle");
    middle.is_ca = IsCa::NoCa;
    let middle = below(&root, middle);
    let fault = fault(&secret(&middle, &[&middle], &[&root]));
    assert_eq!(
        fault,
        ChainFault::NotACa {
            subject: "CN=middle".into()
        }
    );
}

#[test]
fn a_chain_has_at_most_seven_intermediates() {
    let root = root("root");
    let mut intermediates = vec![below(&root, ca_params("ca 1"))];
    for number in 2..=8 {
        let issuer = intermediates.last().unwrap();
        intermediates.push(below(issuer, ca_params(&format!("ca {number}"))));
    }
    for (count, fits) in [(7, true), (8, false)] {
        let chain: Vec<_> = intermediates.iter().take(count).collect();
        let verification = secret(chain.last().unwrap(), &chain, &[&root]).verify();
        assert_eq!(verification.fits(), fits, "{count} intermediates");
    }
}

#[test]
fn at_most_12_signatures_are_tried() {
    let signer = root("root");
    let others: Vec<_> = (0..12).map(|_| root("root")).collect();
    for (wrong, fits) in [(11, true), (12, false)] {
        let mut cas: Vec<_> = others.iter().take(wrong).collect();
        cas.push(&signer);
        let secret = secret(&signer, &[], &cas);
        assert_eq!(secret.verify().fits(), fits, "{wrong} others of the same name");
        if !fits {
            assert_eq!(fault(&secret), ChainFault::TooManyCertificates);
        }
    }
}

#[test]
fn of_two_equally_specific_faults_the_first_is_reported() {
    let key = p256();
    let ca = |change: fn(&mut CertificateParams)| {
        let mut params = ca_params("root");
        change(&mut params);
        let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        Ca::self_signed(params, key).unwrap()
    };
    let past = ca(|params| params.not_after = date_time_ymd(2026, 5, 1));
    let future = ca(|params| params.not_before = date_time_ymd(2026, 7, 1));
    let expired = fault(&secret(&past, &[], &[&past, &future]));
    assert!(matches!(expired, ChainFault::CaExpired { .. }), "{expired}");
    let early = fault(&secret(&past, &[], &[&future, &past]));
    assert!(matches!(early, ChainFault::CaNotYetValid { .. }), "{early}");
}

#[test]
fn the_search_through_many_cas_of_one_name_ends() {
    let cas: Vec<_> = (0..10).map(|_| root("root")).collect();
    let lost = root("root");
    let secret = secret(&lost, &cas.iter().collect::<Vec<_>>(), &[&root("another")]);
    let fault = fault(&secret);
    assert!(matches!(fault, ChainFault::SignatureWrong { .. }), "{fault}");

    // Two CAs that certify each other make a circle, not a chain.
    let (one, two) = (root("one"), root("two"));
    let crossed = |params: &str, key: &Ca, by: &Ca| ca_params(params).signed_by(key.key(), by).unwrap().pem();
    let mut circle = Secret::issued(&one, &leaf_params(), &p256());
    circle.certificate.push_str(&crossed("one", &one, &two));
    circle.certificate.push_str(&crossed("two", &two, &one));
    circle.ca = root("another").pem();
    assert!(!circle.verify().fits());
}
