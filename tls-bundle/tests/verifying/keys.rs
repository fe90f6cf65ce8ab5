//! Every supported kind of key in every form that it is stored in.

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair,
};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, PKCS_RSA_SHA384, PKCS_RSA_SHA512, RsaKeySize, SignatureAlgorithm,
};

use crate::support::{Ca, Secret, ca_params, good, key_pem, leaf_params, pem};

fn rsa(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_rsa_for(algorithm, RsaKeySize::_2048).unwrap()
}

/// The octets inside a PKCS #8 structure: version, algorithm, then the key.
fn inside_pkcs8(der: &[u8]) -> Vec<u8> {
    let (content, _) = element(der);
    let (_, after_version) = element(content);
    let (_, after_algorithm) = element(after_version);
    element(after_algorithm).0.to_vec()
}

/// What is wrong with the key.
fn refusal(secret: &Secret) -> String {
    let verification = secret.verify();
    let failure = verification.first().unwrap();
    assert_eq!(failure.reason(), "KeyUnreadable");
    failure.to_string()
}

/// Splits a DER element into its content and what follows.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            let octets = &der[2..2 + count];
            (
                2 + count,
                octets
                    .iter()
                    .fold(0, |length, octet| length << 8 | usize::from(*octet)),
            )
        }
    };
    der[header..].split_at(length)
}

fn self_issued(key: KeyPair) -> Ca {
    Ca::self_signed(ca_params("root"), key).unwrap()
}

#[test]
fn every_kind_of_key_fits_its_leaf_and_its_ca() {
    let pairs: [fn() -> KeyPair; 7] = [
        || rsa(&PKCS_RSA_SHA256),
        || rsa(&PKCS_RSA_SHA384),
        || rsa(&PKCS_RSA_SHA512),
        || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        || KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap(),
        || KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    ];
    for pair in pairs {
        let secret = Secret::issued(&self_issued(pair()), &leaf_params(), &pair());
        let verification = secret.verify();
        assert!(verification.fits(), "{:?}", verification.failures);
    }
}

#[test]
fn every_form_of_key_fits() {
    let pair = rsa(&PKCS_RSA_SHA256);
    let pkcs8 = Secret::issued(&self_issued(rsa(&PKCS_RSA_SHA256)), &leaf_params(), &pair);
    let pkcs1 = pem("RSA PRIVATE KEY", &inside_pkcs8(&pair.serialize_der()));
    assert!(Secret { key: pkcs1, ..pkcs8 }.verify().fits());

    let curves = [
        (&PKCS_ECDSA_P256_SHA256, &ECDSA_P256_SHA256_ASN1_SIGNING),
        (&PKCS_ECDSA_P384_SHA384, &ECDSA_P384_SHA384_ASN1_SIGNING),
        (&PKCS_ECDSA_P521_SHA512, &ECDSA_P521_SHA512_ASN1_SIGNING),
    ];
    for (algorithm, signing) in curves {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let secret = Secret::issued(&self_issued(crate::support::p256()), &leaf_params(), &pair);
        let sec1 = EcdsaKeyPair::from_pkcs8(signing, &pair.serialize_der()).unwrap();
        let sec1: EcPrivateKeyRfc5915Der<'_> = sec1.private_key().as_der().unwrap();
        let sec1 = pem("EC PRIVATE KEY", sec1.as_ref());
        assert!(
            Secret {
                key: sec1.clone(),
                ..secret.clone()
            }
            .verify()
            .fits()
        );
        // `openssl ecparam -genkey` writes the curve first.
        let parameters =
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{sec1}");
        assert!(
            Secret {
                key: parameters,
                ..secret.clone()
            }
            .verify()
            .fits()
        );
        let bare = pem("EC PRIVATE KEY", &inside_pkcs8(&pair.serialize_der()));
        let without_curve = Secret {
            key: bare,
            ..secret.clone()
        };
        assert!(refusal(&without_curve).contains("does not name its curve"));
        let mislabeled = Secret {
            key: sec1.replace("EC PRIVATE", "PRIVATE"),
            ..secret
        };
        assert!(refusal(&mislabeled).contains("label does not fit"));
    }
}

#[test]
fn ed25519_fits_without_its_public_half() {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let secret = Secret::issued(&self_issued(crate::support::p256()), &leaf_params(), &pair);
    assert!(secret.verify().fits());
    // With it OpenSSL 3.0 does not read the key, and pgpool would serve plain text.
    let whole = Secret {
        key: pair.serialize_pem(),
        ..secret
    };
    assert!(refusal(&whole).contains("version 2 of PKCS #8"));
}

#[test]
fn keys_of_different_kinds_do_not_match() {
    let kinds = [
        ("RSA 2048", rsa(&PKCS_RSA_SHA256)),
        (
            "ECDSA P-256",
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        ),
        (
            "ECDSA P-384",
            KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        ),
        (
            "ECDSA P-521",
            KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap(),
        ),
        ("Ed25519", KeyPair::generate_for(&PKCS_ED25519).unwrap()),
    ];
    for (name, pair) in kinds {
        let mut secret = good();
        secret.key = key_pem(&pair);
        let verification = secret.verify();
        let failure = verification.first().unwrap();
        assert_eq!(failure.reason(), "KeyMismatch");
        assert!(failure.to_string().contains(&format!("({name})")), "{failure}");
    }
}

#[test]
fn text_around_the_sections_and_line_endings_do_not_matter() {
    let good = good();
    let windows = |text: &str| text.replace('\n', "\r\n");
    let commented = |text: &str| format!("Bag Attributes\n  friendlyName: pool\n\n{text}\n# end\n");
    for rewrite in [&windows as &dyn Fn(&str) -> String, &commented, &|text| {
        text.trim().to_owned()
    }] {
        let secret = Secret {
            ca: rewrite(&good.ca),
            certificate: rewrite(&good.certificate),
            key: rewrite(&good.key),
        };
        let verification = secret.verify();
        assert!(verification.fits(), "{:?}", verification.failures);
    }
    // All in one, as some tools write it: each reader takes what is its own.
    let all = format!("{}{}", good.key, good.certificate);
    assert!(
        Secret {
            certificate: all.clone(),
            key: all,
            ..good
        }
        .verify()
        .fits()
    );
}
