//! Where `tls-bundle` is stricter than psql on purpose. `docs/src/reference/certificates.md` repeats the list. A message alone
//! is no reason where OpenSSL can tell whether the bundle really is of the kind that is refused: another fault must not pass
//! for a documented one.

use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::x509::{X509, X509Ref};
use tls_bundle::{ChainFault, Failure};

use super::case::Case;

/// Why a bundle is refused that psql would accept.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reason {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
}

const NAMES: Reason = Reason {
    name: "names",
    why: "only subject alternative names of the right kind count, as other clients require; no wildcard for a whole \
          top-level domain",
};

const ALGORITHMS: Reason = Reason {
    name: "algorithms",
    why: "the keys and signatures are those that the library of the operators supports: RSA, ECDSA with P-256, P-384 and \
          P-521, and Ed25519",
};

const KEY_USAGE: Reason = Reason {
    name: "key usage",
    why: "a key usage must include digital signature: without it clients that negotiate TLS 1.2 refuse the certificate",
};

const ENCODING: Reason = Reason {
    name: "encoding",
    why: "encodings that are not DER, and unusual parts, which other libraries read in other ways",
};

const PEM: Reason = Reason {
    name: "PEM",
    why: "a damaged section is never skipped, as it changes what the file contains",
};

const KEY: Reason = Reason {
    name: "damaged key",
    why: "a private key whose parts contradict each other, or that is not in the form of its label, is damaged, although \
          OpenSSL loads it",
};

/// What follows the place of a certificate in a message.
const ENCODINGS: [&str; 6] = [
    " has an encoding that is not DER, which is not supported",
    " has a tag of several octets, which is not supported",
    " has bytes behind a value, which is not supported",
    " has an EDI party name, which is not supported",
    " has a CRL distribution point relative to its issuer, which is not supported",
    " has a string of an unusual type in a name, which is not supported",
];

const PEMS: [&str; 6] = [
    "it is damaged PEM: a section has a hyphen in its base64, as where an END line has lost one",
    "it is damaged PEM: it holds a NUL character",
    "it has characters other than ASCII beside the dashes of a PEM section",
    "it holds a PEM section TRUSTED CERTIFICATE, which is not supported",
    "it holds a PEM section X509 CRL, which is not supported",
    "it holds a PEM section PKCS7, which is not supported",
];

const KEYS: [&str; 2] = [
    "it is damaged: it is malformed, or its parts contradict each other",
    "its PEM label does not fit its content",
];

/// The reason for the first of these failures, if there is one for each.
pub(crate) fn reason(failures: &[Failure], case: &Case) -> Option<&'static Reason> {
    let mut reasons = failures.iter().map(|failure| of(failure, case));
    let first = reasons.next()??;
    reasons.all(|other| other.is_some()).then_some(first)
}

fn of(failure: &Failure, case: &Case) -> Option<&'static Reason> {
    let (fits, reason) = match failure {
        Failure::NameMissing { missing } => {
            (missing.iter().all(|name| is_for_psql_alone(name, case)), &NAMES)
        }
        Failure::UsageMissing { usage, .. } => {
            let signs = *usage != "digital signature" || leaf_signs(case);
            (!signs, &KEY_USAGE)
        }
        Failure::CertificateUnreadable { problem } | Failure::CaUnreadable { problem } => {
            let is_encoding = ENCODINGS.iter().any(|encoding| problem.ends_with(encoding));
            let reason = if is_encoding { &ENCODING } else { &PEM };
            (is_encoding || PEMS.contains(&problem.as_ref()), reason)
        }
        Failure::KeyUnreadable { problem } if PEMS.contains(&problem.as_ref()) => (true, &PEM),
        Failure::KeyUnreadable { problem } if KEYS.contains(&problem.as_ref()) => (!key_is_whole(case), &KEY),
        Failure::KeyUnreadable { .. }
        | Failure::CertificateUnsuitable { .. }
        | Failure::ChainBroken {
            fault:
                ChainFault::KeyUnsuitable { .. }
                | ChainFault::SignatureUnsuitable { .. }
                | ChainFault::AlgorithmUnsupported { .. },
        } => {
            let names_supported = failure.to_string().contains("; supported are ");
            (names_supported && !algorithms_are_usual(case), &ALGORITHMS)
        }
        _ => return None,
    };
    fits.then_some(reason)
}

/// What OpenSSL reads of a file.
fn certificates(text: &[u8]) -> Vec<X509> {
    X509::stack_from_pem(text).unwrap_or_default()
}

/// An address, a name in a leaf certificate whose common name counts for want of others, or one below a top-level domain.
fn is_for_psql_alone(name: &str, case: &Case) -> bool {
    let leaf = certificates(&case.certificate);
    let names = leaf.first().and_then(|leaf| leaf.subject_alt_names());
    let has_dns = names.is_some_and(|names| names.iter().any(|name| name.dnsname().is_some()));
    !has_dns || name.parse::<std::net::IpAddr>().is_ok() || name.matches('.').count() == 1
}

fn leaf_signs(case: &Case) -> bool {
    let leaf = certificates(&case.certificate);
    let text = leaf.first().and_then(|leaf| leaf.to_text().ok());
    text.is_some_and(|text| String::from_utf8_lossy(&text).contains("Digital Signature"))
}

/// Whether the key is written as OpenSSL writes it, and its parts belong together.
fn key_is_whole(case: &Case) -> bool {
    let text = case.key.as_deref().unwrap_or_default();
    let Ok(key) = PKey::private_key_from_pem(text) else {
        return false;
    };
    let belongs = match (key.rsa(), key.ec_key()) {
        (Ok(rsa), _) => rsa.check_key().unwrap_or(false),
        (_, Ok(elliptic)) => elliptic.check_key().is_ok() && has_own_public_half(&key),
        _ => true,
    };
    let written = |pem: Result<Vec<u8>, _>| pem.is_ok_and(|pem| same_text(&pem, text));
    let traditional = match (key.rsa(), key.ec_key()) {
        (Ok(rsa), _) => written(rsa.private_key_to_pem()),
        (_, Ok(elliptic)) => written(elliptic.private_key_to_pem()),
        _ => false,
    };
    belongs && (traditional || written(key.private_key_to_pem_pkcs8()))
}

/// Whether the public half of a key for ECDSA, which is written beside it, is that of the private half.
fn has_own_public_half(key: &PKeyRef<Private>) -> bool {
    let signed = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), key)
        .and_then(|mut signer| signer.sign_oneshot_to_vec(b"text"));
    let verified = signed.and_then(|signature| {
        let mut verifier = openssl::sign::Verifier::new(openssl::hash::MessageDigest::sha256(), key)?;
        verifier.verify_oneshot(&signature, b"text")
    });
    verified.unwrap_or(false)
}

fn same_text(one: &[u8], other: &[u8]) -> bool {
    let visible = |text: &[u8]| -> Vec<u8> {
        let bytes = text.iter().copied();
        bytes.filter(|byte| !byte.is_ascii_whitespace()).collect()
    };
    visible(one) == visible(other)
}

/// Whether all keys and signatures are of the supported kinds. A signature with RSA-PSS counts as none, whatever its parameters.
fn algorithms_are_usual(case: &Case) -> bool {
    let all = [&case.ca, &case.certificate].map(|text| certificates(text));
    all.iter().flatten().all(|certificate| {
        let signature = certificate.signature_algorithm().object().nid();
        SIGNATURES.contains(&signature) && key_is_usual(certificate)
    })
}

const SIGNATURES: [Nid; 7] = [
    Nid::SHA256WITHRSAENCRYPTION,
    Nid::SHA384WITHRSAENCRYPTION,
    Nid::SHA512WITHRSAENCRYPTION,
    Nid::ECDSA_WITH_SHA256,
    Nid::ECDSA_WITH_SHA384,
    Nid::ECDSA_WITH_SHA512,
    ED25519,
];

/// `NID_ED25519` of OpenSSL, which the crate does not name.
const ED25519: Nid = Nid::from_raw(1087);

fn key_is_usual(certificate: &X509Ref) -> bool {
    let Ok(key) = certificate.public_key() else {
        return false;
    };
    match key.id() {
        Id::RSA => (2048..=8192).contains(&key.bits()),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            let curves = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1];
            curve.is_some_and(|curve| curves.contains(&curve))
        }
        id => id == Id::ED25519,
    }
}
