//! Does the signature of a certificate hold?

use aws_lc_rs::signature::UnparsedPublicKey;

use crate::algorithm::verifier;
use crate::certificate::Certificate;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Valid,
    Wrong,
    Unsupported,
}

/// Checks that `issuer` signed `certificate`.
pub(crate) fn check(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Signature {
    if !certificate.same_algorithm {
        return Signature::Wrong;
    }
    let (Some(numbers), Some(octets)) = (issuer.key.numbers(), issuer.key.octets()) else {
        return Signature::Unsupported;
    };
    let Some(algorithm) = verifier(&certificate.algorithm, numbers.kind()) else {
        return Signature::Unsupported;
    };
    let Some(signature) = certificate.signature else {
        return Signature::Wrong;
    };
    let key = UnparsedPublicKey::new(algorithm, octets);
    match key.verify(certificate.signed, signature) {
        Ok(()) => Signature::Valid,
        Err(_) => Signature::Wrong,
    }
}
