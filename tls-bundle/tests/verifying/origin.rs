use rcgen::{CertifiedIssuer, KeyPair, PKCS_ED25519, date_time_ymd};
use tls_bundle::is_signed_by;

use crate::support::{below, ca_params, leaf_params, p256, params, root};

#[test]
fn a_leaf_is_signed_by_the_key_that_signed_it_and_by_no_other() {
    let key = p256();
    let authority = CertifiedIssuer::self_signed(
        ca_params("root"),
        KeyPair::from_pem(&key.serialize_pem()).unwrap(),
    );
    let authority = authority.unwrap();
    let leaf = leaf_params().signed_by(&p256(), &authority).unwrap().pem();
    let signed = |authority: &str| is_signed_by(leaf.as_bytes(), authority.as_bytes());
    assert_eq!(signed(&authority.pem()), Some(true));

    // Renewed under its key, and long over: it is the same authority.
    let mut renewed = ca_params("root");
    renewed.not_after = date_time_ymd(2026, 2, 1);
    let renewed = CertifiedIssuer::self_signed(renewed, key).unwrap();
    assert_eq!(signed(&renewed.pem()), Some(true));

    let other_kind =
        CertifiedIssuer::self_signed(ca_params("root"), KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let others = [
        ("another key", root("root").pem()),
        ("another kind of key", other_kind.unwrap().pem()),
        ("another name", root("other").pem()),
        // The first one signs from now on, whatever stands behind it.
        (
            "another before it",
            format!("{}{}", root("root").pem(), authority.pem()),
        ),
        ("one below it", below(&authority, ca_params("root")).pem()),
    ];
    for (case, other) in others {
        assert_eq!(signed(&other), Some(false), "{case}");
    }
}

#[test]
fn an_unreadable_certificate_has_no_signer() {
    let authority = root("root");
    let leaf = params("leaf").signed_by(&p256(), &authority).unwrap().pem();
    for (leaf, authority) in [("", authority.pem().as_str()), (&leaf, ""), (&leaf, "no PEM")] {
        assert_eq!(is_signed_by(leaf.as_bytes(), authority.as_bytes()), None);
    }
}
