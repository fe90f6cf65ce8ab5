//! Finds certificates whose issuer has another CA now: cert-manager does not renew them for that. Pure.
//!
//! Decided by the signature and not by comparing CAs: a CA that was renewed with the same key has signed what it signed
//! before, as long as its key identifier is the same. With another one clients do not find it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::Lookup;
use tls_bundle::{Bundle, Failure, Leaf, Required, Role};

use super::{Finding, Outdated, Verified};
use crate::cert_manager;
use crate::certificates::observe::{IssuerCa, Observed};
use crate::certificates::validate::{Validated, Wanted};

/// A certificate that the wanted issuer issued.
struct Issued<'a> {
    wanted: &'a Wanted,
    secret: &'a Secret,
    leaf: Leaf,
}

/// Marks in `verified` the certificates that were signed by a CA which their issuer no longer has.
pub(super) fn mark(validated: &Validated, observed: &Observed, verified: &mut [Verified], now: Timestamp) {
    let pairs = validated.wanted.iter().zip(verified.iter());
    let issued: Vec<_> = pairs
        .filter_map(|(wanted, verified)| issued_for(wanted, verified, observed))
        .collect();
    let mut outdated = Vec::new();
    for certificate in &issued {
        if has_replaced_ca(certificate, &issued, observed, now) {
            outdated.push(certificate.wanted.alias);
        }
    }
    for verified in verified {
        if let Finding::Present { outdated: mark, .. } = &mut verified.finding
            && outdated.contains(&verified.alias)
        {
            *mark = Some(Outdated::Ca);
        }
    }
}

fn has_replaced_ca(
    certificate: &Issued<'_>,
    all: &[Issued<'_>],
    observed: &Observed,
    now: Timestamp,
) -> bool {
    let issuer = certificate.wanted.issuer.as_ref();
    match issuer.and_then(|issuer| observed.issuer_cas.get(issuer)) {
        Some(IssuerCa::Known(ca)) => {
            let leaf = entry(certificate.secret, "tls.crt").unwrap_or_default();
            tls_bundle::is_signed_by(leaf, ca) == Some(false)
        }
        Some(IssuerCa::Hidden) => is_left_behind(certificate, all, now),
        None => false,
    }
}

fn issued_for<'a>(wanted: &'a Wanted, verified: &Verified, observed: &'a Observed) -> Option<Issued<'a>> {
    let Finding::Present {
        leaf: Some(leaf),
        outdated: None,
        ..
    } = &verified.finding
    else {
        return None;
    };
    let Lookup::Present(secret) = &observed.children.get(&wanted.alias)?.secret else {
        return None;
    };
    // The certificate in a Secret that the user provided was not issued by cert-manager.
    let certificate = secret.annotations().get(cert_manager::CERTIFICATE_NAME);
    (certificate == Some(&wanted.certificate)).then(|| Issued {
        wanted,
        secret,
        leaf: leaf.clone(),
    })
}

/// Whether a later certificate of the same issuer shows that this one's CA is gone: it does not lead to the CA of that
/// one. Only for issuers that have one CA at a time.
fn is_left_behind(one: &Issued<'_>, all: &[Issued<'_>], now: Timestamp) -> bool {
    let same = all
        .iter()
        .filter(|other| other.wanted.issuer == one.wanted.issuer);
    let Some(latest) = same.max_by_key(|other| other.leaf.not_before) else {
        return false;
    };
    if latest.leaf.not_before <= one.leaf.not_before {
        return false;
    }
    let bundle = Bundle {
        ca: entry(latest.secret, "ca.crt"),
        ..Bundle::from_data(|key| entry(one.secret, key))
    };
    let required = Required {
        role: one
            .wanted
            .required
            .first()
            .map_or(Role::Server, |required| required.role),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        common_name: None,
        ca_required: false,
    };
    let verdict = tls_bundle::verify(&bundle, &required, now);
    verdict
        .failures
        .iter()
        .any(|failure| matches!(failure, Failure::ChainBroken { fault } if fault.is_from_another_ca()))
}

fn entry<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    Some(secret.data.as_ref()?.get(key)?.0.as_slice())
}
