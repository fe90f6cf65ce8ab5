//! Chains: what ends in `ca.crt`, and which link is named when nothing does.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, CustomExtension,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use tls_bundle::{ChainFault, Failure, Place, Subject, ca_keys};

use crate::support::{Ca, Secret, below, ca_params, good, leaf_params, p256, params, required, root};

/// A leaf below `issuer`, with `ca` and further intermediates as given.
fn secret(issuer: &Ca, intermediates: &[&Ca], ca: &[&Ca]) -> Secret {
    let mut secret = Secret::issued(issuer, &leaf_params(), &p256());
    secret.certificate.extend(intermediates.iter().map(|ca| ca.pem()));
    secret.ca = ca.iter().map(|ca| ca.pem()).collect();
    secret
}

/// Like [`secret`], with the key identifier of the issuer in the leaf, as cert-manager makes it.
fn naming_key(issuer: &Ca, ca: &[&Ca]) -> Secret {
    let mut params = leaf_params();
    params.use_authority_key_identifier_extension = true;
    let mut secret = Secret::issued(issuer, &params, &p256());
    secret.ca = ca.iter().map(|ca| ca.pem()).collect();
    secret
}

fn fault(secret: &Secret) -> ChainFault {
    match secret.verify().failures.as_slice() {
        [Failure::ChainBroken { fault }] => fault.clone(),
        other => panic!("{other:?}"),
    }
}

/// A certificate by its common name and place.
fn named(common_name: &str, file: &'static str, number: usize) -> Subject {
    Subject {
        name: format!("CN={common_name}"),
        place: Place { file, number },
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
    let expected = |subject: Subject, issuer: &str| ChainFault::IssuerAbsent {
        subject,
        issuer: format!("CN={issuer}"),
    };
    assert_eq!(
        fault(&secret(&lower, &[&lower], &[&root])),
        expected(named("lower", "tls.crt", 2), "upper")
    );
    assert_eq!(
        fault(&secret(&lower, &[], &[&root])),
        expected(named("pool.demo.svc", "tls.crt", 1), "lower")
    );
}

#[test]
fn one_of_several_cas_is_enough_if_the_leaf_tells_which() {
    let (old, new) = (root("root"), root("root"));
    let other = root("another");
    assert!(naming_key(&new, &[&other, &old, &new]).verify().fits());
    assert!(naming_key(&old, &[&other, &old, &new]).verify().fits());
    let wrong = fault(&naming_key(&old, &[&other, &new]));
    assert!(matches!(wrong, ChainFault::IssuerMismatch { .. }), "{wrong}");

    // Without a key identifier OpenSSL takes the first of that name, and never another one.
    assert!(secret(&old, &[], &[&other, &old, &new]).verify().fits());
    let wrong = fault(&secret(&new, &[], &[&other, &old, &new]));
    let expected = ChainFault::SignatureWrong {
        subject: named("pool.demo.svc", "tls.crt", 1),
        issuer: named("root", "ca.crt", 2),
    };
    assert_eq!(wrong, expected);
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
    assert!(matches!(fault(&foreign), ChainFault::RootUnknown { .. }));
}

#[test]
fn a_ca_must_be_allowed_to_sign() {
    type Change = fn(&mut CertificateParams);
    let changes: [(&str, Change); 2] = [
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
    // A root that says nothing about that, but may sign certificates, is one. A CA below it is not.
    let mut silent = ca_params("silent");
    silent.is_ca = IsCa::NoCa;
    let own = Ca::self_signed(silent.clone(), p256()).unwrap();
    assert!(secret(&own, &[], &[&own]).verify().fits());
    let root = root("root");
    let lower = below(&root, silent);
    let fault = fault(&secret(&lower, &[&lower], &[&root]));
    assert!(matches!(fault, ChainFault::NotACa { .. }), "{fault}");
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
    assert_eq!(
        message,
        "the CA \"CN=past\" (certificate 1 of ca.crt) expired at 2026-05-01T00:00:00Z"
    );
    let message = fault(&secret(&future, &[], &[&future])).to_string();
    assert_eq!(
        message,
        "the CA \"CN=future\" (certificate 1 of ca.crt) is not valid before 2026-07-01T00:00:00Z"
    );
}

#[test]
fn the_fault_of_the_ca_that_signed_is_reported() {
    let mut expired = ca_params("root");
    expired.not_after = date_time_ymd(2026, 5, 1);
    let expired = Ca::self_signed(expired, p256()).unwrap();
    let (before, after) = (root("root"), root("root"));
    let fault = fault(&naming_key(&expired, &[&before, &expired, &after]));
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
            subject: named("root", "ca.crt", 1)
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
    let subject = named("lower", "tls.crt", 2);
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
            subject: named("middle", "tls.crt", 2)
        }
    );
}

#[test]
fn a_chain_has_at_most_16_certificates() {
    let root = root("root");
    let mut intermediates = vec![below(&root, ca_params("ca 1"))];
    for number in 2..=15 {
        let issuer = intermediates.last().unwrap();
        intermediates.push(below(issuer, ca_params(&format!("ca {number}"))));
    }
    for (count, fits) in [(14, true), (15, false)] {
        let chain: Vec<_> = intermediates.iter().take(count).collect();
        let secret = secret(chain.last().unwrap(), &chain, &[&root]);
        assert_eq!(secret.verify().fits(), fits, "{count} intermediates");
        assert!(fits || fault(&secret) == ChainFault::TooManyCertificates);
    }
}

#[test]
fn of_two_cas_of_one_key_the_valid_one_counts_else_the_longer_one() {
    let key = p256();
    let ca = |change: fn(&mut CertificateParams)| {
        let mut params = ca_params("root");
        change(&mut params);
        let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        Ca::self_signed(params, key).unwrap()
    };
    let past = ca(|params| params.not_after = date_time_ymd(2026, 5, 1));
    let future = ca(|params| params.not_before = date_time_ymd(2026, 7, 1));
    let valid = ca(|_| ());
    for order in [[&past, &future], [&future, &past]] {
        let early = fault(&secret(&past, &[], &order));
        assert!(matches!(early, ChainFault::CaNotYetValid { .. }), "{early}");
        let [first, second] = order;
        assert!(secret(&past, &[], &[first, second, &valid]).verify().fits());
    }
}

#[test]
fn the_search_through_many_cas_of_one_name_ends() {
    let cas: Vec<_> = (0..10).map(|_| root("root")).collect();
    let lost = root("root");
    let unknown = secret(&lost, &cas.iter().collect::<Vec<_>>(), &[&root("another")]);
    let expected = ChainFault::RootUnknown {
        subject: named("root", "tls.crt", 2),
    };
    assert_eq!(fault(&unknown), expected);

    // Two CAs that certify each other make a circle, not a chain.
    let (one, two) = (root("one"), root("two"));
    let crossed = |params: &str, key: &Ca, by: &Ca| ca_params(params).signed_by(key.key(), by).unwrap().pem();
    let mut circle = Secret::issued(&one, &leaf_params(), &p256());
    circle.certificate.push_str(&crossed("one", &one, &two));
    circle.certificate.push_str(&crossed("two", &two, &one));
    let another = root("another").pem();
    let both = [&one, &two].map(|ca| {
        crossed(
            if ca.pem() == one.pem() { "one" } else { "two" },
            ca,
            if ca.pem() == one.pem() { &two } else { &one },
        )
    });
    for ca in [another, both.concat()] {
        circle.ca = ca;
        assert!(!circle.verify().fits());
    }
}
