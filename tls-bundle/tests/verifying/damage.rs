//! Damage of every kind: nothing panics, and nothing damaged ever fits.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tls_bundle::{Bundle, Fingerprint, Required, Role, leaf_der, verify};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::support::{Secret, leaf_params, now, p256, pem, required, root};

fn anything() -> Required {
    Required {
        role: Role::Server,
        dns_names: vec![],
        ip_addresses: vec![],
        common_name: None,
        ca_required: true,
    }
}

/// One Secret for each kind of key, then a self-signed one. Made once, since RSA takes its time.
static SECRETS: LazyLock<[Secret; 4]> = LazyLock::new(|| {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let issued = |pair: &KeyPair| Secret::issued(&root("root"), &leaf_params(), pair);
    let key = p256();
    let certificate = leaf_params().self_signed(&key).unwrap().pem();
    let own = Secret {
        ca: certificate.clone(),
        certificate,
        key: key.serialize_pem(),
    };
    [issued(&p256()), issued(&rsa), issued(&ed25519), own]
});

fn key_der(text: &[u8]) -> Option<Vec<u8>> {
    PrivateKeyDer::from_pem_slice(text)
        .ok()
        .map(|key| key.secret_der().to_vec())
}

/// Tells whether this private key makes signatures that the leaf verifies. Some bits of a key say nothing: the
/// version of PKCS #8, the way in which the point is written. OpenSSL reads either too.
fn proves(secret: &Secret, key: &[u8]) -> bool {
    let leaf = leaf_der(secret.certificate.as_bytes()).unwrap();
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    let public = leaf.public_key().subject_public_key.data.as_ref();
    let verify = |algorithm: &'static dyn VerificationAlgorithm, signature: &[u8]| {
        UnparsedPublicKey::new(algorithm, public)
            .verify(b"proof", signature)
            .is_ok()
    };
    let Some(der) = key_der(key) else {
        return false;
    };
    let random = SystemRandom::new();
    if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &random, b"proof", &mut signature)
            .unwrap();
        return verify(&RSA_PKCS1_2048_8192_SHA256, &signature);
    }
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
        return verify(&ED25519, pair.sign(b"proof").as_ref());
    }
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap();
    verify(
        &ECDSA_P256_SHA256_ASN1,
        pair.sign(&random, b"proof").unwrap().as_ref(),
    )
}

/// Verifies after one entry was replaced by the given bytes.
fn with(secret: &Secret, entry: usize, bytes: &[u8]) -> bool {
    let mut bundle = secret.bundle();
    *[&mut bundle.ca, &mut bundle.certificate, &mut bundle.key][entry] = Some(bytes);
    verify(&bundle, &anything(), now()).fits()
}

#[test]
fn no_single_bit_of_the_leaf_can_change() {
    // An issued leaf and a self-signed one; the other kinds of keys are among the sampled flips.
    for secret in [&SECRETS[0], &SECRETS[3]] {
        let der = CertificateDer::from_pem_slice(secret.certificate.as_bytes()).unwrap();
        for bit in 0..der.len() * 8 {
            let mut flipped = der.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let text = pem("CERTIFICATE", &flipped);
            assert!(
                !with(secret, 1, text.as_bytes()),
                "bit {bit} of {}",
                der.len() * 8
            );
        }
    }
}

#[test]
fn no_single_bit_of_an_elliptic_key_can_change() {
    let secret = &SECRETS[0];
    let der = key_der(secret.key.as_bytes()).unwrap();
    for bit in 0..der.len() * 8 {
        let mut flipped = der.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let text = pem("PRIVATE KEY", &flipped);
        let damaged = with(secret, 2, text.as_bytes()) && !proves(secret, text.as_bytes());
        assert!(!damaged, "bit {bit} of {}", der.len() * 8);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_flipped_byte_never_fits(places in prop::collection::vec(any::<prop::sample::Index>(), 24), mask in 1_u8..) {
        for secret in &*SECRETS {
            let texts = [&secret.ca, &secret.certificate, &secret.key];
            for (turn, place) in places.iter().enumerate() {
                let entry = turn % 3;
                let mut bytes = texts[entry].clone().into_bytes();
                *place.get_mut(&mut bytes) ^= mask;
                if !with(secret, entry, &bytes) {
                    continue;
                }
                match entry {
                    // A root is trusted as it stands: its own signature says nothing.
                    0 => {}
                    1 => prop_assert!(leaf_der(&bytes) == leaf_der(texts[1].as_bytes())),
                    _ => prop_assert!(proves(secret, &bytes)),
                }
            }
        }
    }

    #[test]
    fn a_flipped_byte_of_an_rsa_key_never_fits(places in prop::collection::vec(any::<prop::sample::Index>(), 24), mask in 1_u8..) {
        let secret = &SECRETS[1];
        let der = key_der(secret.key.as_bytes()).unwrap();
        for place in places {
            let mut flipped = der.clone();
            *place.get_mut(&mut flipped) ^= mask;
            let text = pem("PRIVATE KEY", &flipped);
            let fits = with(secret, 2, text.as_bytes());
            prop_assert!(!fits || proves(secret, text.as_bytes()), "byte {} of {}", place.index(der.len()), der.len());
        }
    }

    #[test]
    fn a_truncated_entry_never_fits(place in any::<prop::sample::Index>()) {
        for secret in &*SECRETS {
            for (entry, text) in [&secret.ca, &secret.certificate, &secret.key].into_iter().enumerate() {
                let end = place.index(text.len());
                // Without the last line ending, and the last dashes' tail, it still reads the same.
                let whole = text[..end].trim_end().ends_with("-----") && text[..end].contains("-----END");
                prop_assert!(whole || !with(secret, entry, &text.as_bytes()[..end]), "{entry} cut at {end}");
            }
        }
    }
}

/// Bytes that look a little like what is expected: random ones, PEM around random ones, and pieces of a real Secret.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let random = || prop::collection::vec(any::<u8>(), 0..512);
    let label = prop::sample::select(vec![
        "CERTIFICATE",
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    ]);
    let armored = (label.clone(), random()).prop_map(|(label, der)| pem(label, &der).into_bytes());
    // A SEQUENCE of the right length brings the parser past its first check.
    let sequence = (label, random()).prop_map(|(label, body)| {
        let mut der = vec![0x30, 0x82];
        der.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        der.extend(body);
        pem(label, &der).into_bytes()
    });
    let mutated = (
        0_usize..3,
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    )
        .prop_map(|(entry, changes)| {
            let secret = &SECRETS[0];
            let (label, der) = match entry {
                0 => ("CERTIFICATE", leaf_der(secret.ca.as_bytes()).unwrap()),
                1 => ("CERTIFICATE", leaf_der(secret.certificate.as_bytes()).unwrap()),
                _ => ("PRIVATE KEY", key_der(secret.key.as_bytes()).unwrap()),
            };
            let mut der = der;
            for (place, value) in changes {
                *place.get_mut(&mut der) = value;
            }
            pem(label, &der).into_bytes()
        });
    prop_oneof![random(), armored, sequence, mutated]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic(ca in bytes(), certificate in bytes(), key in bytes(), second in any::<i32>()) {
        let bundle = Bundle { ca: Some(&ca), certificate: Some(&certificate), key: Some(&key) };
        let now = jiff::Timestamp::from_second(second.into()).unwrap();
        let verification = verify(&bundle, &required(), now);
        for failure in &verification.failures {
            prop_assert!(!failure.to_string().is_empty() && !failure.reason().is_empty());
        }
        prop_assert!(!verification.fits());
    }

    #[test]
    fn fingerprints_read_back(digest in any::<[u8; 32]>()) {
        let fingerprint = Fingerprint::from_bytes(digest);
        prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        prop_assert_eq!(fingerprint.as_bytes(), &digest);
    }

    #[test]
    fn no_text_panics_as_a_fingerprint(text in "\\PC{0,70}") {
        let _ = text.parse::<Fingerprint>();
    }
}
