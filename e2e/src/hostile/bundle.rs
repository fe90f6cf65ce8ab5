//! Certificates that take long to verify. Pure, but for their keys.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use serde_json::{Value, json};

/// `tls.crt`, `tls.key` and `ca.crt` of a server certificate with so many DNS names. Between it and its root are a CA that
/// excludes so many names, the last of which is one of the server's, and so many certificates of one CA below that: as many
/// chains, each of which has to be tried.
pub(super) fn bundle(names: usize, excluded: usize, twins: usize) -> anyhow::Result<Value> {
    let root = CertifiedIssuer::self_signed(ca("hostile-root"), KeyPair::generate()?)?;
    let mut params = ca("hostile-constraints");
    let last = (0..1).map(|_| name(names.saturating_sub(1)));
    let others = (1..excluded).map(|number| format!("x{number}.test"));
    if excluded > 0 {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: Vec::new(),
            excluded_subtrees: others.chain(last).map(GeneralSubtree::DnsName).collect(),
        });
    }
    let constraining = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &root)?;
    let twin_key = KeyPair::generate()?;
    let mut chain = String::new();
    for _ in 0..twins.max(1) {
        chain += &ca("hostile-twin").signed_by(&twin_key, &constraining)?.pem();
    }
    let twin = Issuer::new(ca("hostile-twin"), twin_key);
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new((0..names).map(name).collect::<Vec<_>>())?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = leaf.signed_by(&key, &twin)?;
    Ok(json!({
        "tls.crt": leaf.pem() + &chain + &constraining.pem(),
        "tls.key": key.serialize_pem(),
        "ca.crt": root.pem(),
    }))
}

fn name(number: usize) -> String {
    format!("n{number}.hostile.test")
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_has_a_chain_for_each_twin() {
        let bundle = bundle(3, 2, 4).unwrap();
        for part in ["tls.crt", "tls.key", "ca.crt"] {
            assert!(bundle[part].as_str().unwrap().starts_with("-----BEGIN"), "{part}");
        }
        let chain = bundle["tls.crt"].as_str().unwrap();
        assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 6);
    }
}
