//! Where `tls-bundle` is stricter than psql on purpose. `docs/src/reference/certificates.md` repeats the list.

use tls_bundle::Failure;

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

/// The reason for all of these failures, if there is one.
pub(crate) fn reason(failures: &[Failure]) -> Option<&'static Reason> {
    match failures {
        [Failure::NameMissing { .. }] => Some(&NAMES),
        [
            Failure::UsageMissing {
                usage: "digital signature",
                ..
            },
        ] => Some(&KEY_USAGE),
        [Failure::CertificateUnreadable { problem } | Failure::CaUnreadable { problem }]
            if problem.contains("is not DER, or has parts that are not supported") =>
        {
            Some(&ENCODING)
        }
        [Failure::CertificateUnreadable { problem } | Failure::CaUnreadable { problem }]
            if problem.starts_with("it is damaged PEM") =>
        {
            Some(&PEM)
        }
        [_, ..]
            if failures.iter().any(names_what_is_supported) && failures.iter().all(is_about_algorithms) =>
        {
            Some(&ALGORITHMS)
        }
        _ => None,
    }
}

fn names_what_is_supported(failure: &Failure) -> bool {
    failure.to_string().contains("; supported are ")
}

/// A key of an unknown algorithm cannot be read either.
fn is_about_algorithms(failure: &Failure) -> bool {
    names_what_is_supported(failure) || matches!(failure, Failure::KeyUnreadable { .. })
}
