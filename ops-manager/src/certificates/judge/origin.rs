//! Finds certificates whose issuer has another CA now: cert-manager leaves them as they are. Pure.
//!
//! Judged by the signature and not by bytes: a CA that was renewed under its key has signed what it signed before.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::Lookup;
use tls_bundle::{Bundle, ChainFault, Failure, Leaf, Required, Role};

use super::{Finding, Judged, Outdated};
use crate::cert_manager;
use crate::certificates::observe::{Authority, Observed};
use crate::certificates::validate::{Needed, Wanted};

/// A certificate that came from the issuer that is wanted.
struct Issued<'a> {
    wanted: &'a Wanted,
    secret: &'a Secret,
    leaf: Leaf,
}

/// Notes in `judged` which certificates come from a CA that their issuer has no more.
pub(super) fn note(needed: &Needed, observed: &Observed, judged: &mut [Judged], now: Timestamp) {
    let issued = needed.wanted.iter().zip(judged.iter());
    let issued: Vec<_> = issued
        .filter_map(|(wanted, judged)| issued_for(wanted, judged, observed))
        .collect();
    let strangers = issued.iter().filter(|it| {
        let authority = it
            .wanted
            .issuer
            .as_ref()
            .and_then(|issuer| observed.authorities.get(issuer));
        match authority {
            Some(Authority::Known(authority)) => {
                let certificate = entry(it.secret, "tls.crt").unwrap_or_default();
                tls_bundle::is_signed_by(certificate, authority) == Some(false)
            }
            Some(Authority::Hidden) => is_left_behind(it, &issued, now),
            None => false,
        }
    });
    let strangers: Vec<_> = strangers.map(|it| it.wanted.alias).collect();
    for judged in judged
        .iter_mut()
        .filter(|judged| strangers.contains(&judged.alias))
    {
        if let Finding::Present { outdated, .. } = &mut judged.finding {
            *outdated = Some(Outdated::Authority);
        }
    }
}

fn issued_for<'a>(wanted: &'a Wanted, judged: &Judged, observed: &'a Observed) -> Option<Issued<'a>> {
    let Finding::Present {
        leaf: Some(leaf),
        outdated: None,
        ..
    } = &judged.finding
    else {
        return None;
    };
    let Lookup::Present(secret) = &observed.children.get(&wanted.alias)?.secret else {
        return None;
    };
    // A Secret of the user's own is never issued.
    let made_for = secret.annotations().get(cert_manager::CERTIFICATE_NAME);
    (made_for == Some(&wanted.certificate)).then(|| Issued {
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
    };
    let verdict = tls_bundle::verify(&bundle, &required, now);
    verdict.failures.iter().any(|failure| {
        matches!(
            failure,
            Failure::ChainBroken {
                fault: ChainFault::IssuerAbsent { .. } | ChainFault::SignatureWrong { .. }
            }
        )
    })
}

fn entry<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    Some(secret.data.as_ref()?.get(key)?.0.as_slice())
}
