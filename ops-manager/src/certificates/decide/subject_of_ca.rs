//! Refuses to request a certificate with the subject of its CA, as for the role `postgres` from a CA of that name. Pure.
//!
//! The CA is known from the issuer, or from what the issuer has signed before. Where neither is there yet, the certificate is
//! requested, and rejected by its verification.

use operator_runtime::Lookup;
use shared_types::pgpool::Subject;
use shared_types::{Pgpool, certificates};
use tls_bundle::Names;

use super::verify::{Finding, Verified, finding_of};
use crate::certificates::observe::{IssuerCa, Observed};
use crate::certificates::validate::{Order, Refusal, Validated, Wanted, place_of};

#[cfg(test)]
mod tests;

/// Replaces the orders of such certificates by the refusal.
pub(super) fn refuse(pgpool: &Pgpool, validated: &mut Validated, verified: &[Verified], observed: &Observed) {
    for wanted in &mut validated.wanted {
        let Ok(order) = &wanted.order else {
            continue;
        };
        let subject = subject(order);
        let finding = finding_of(verified, wanted.alias);
        let Some(ca) = ca_of(wanted, order, finding, observed) else {
            continue;
        };
        if folded(&subject) == folded(&ca) {
            wanted.order = Err(Refusal::SubjectOfCa {
                alias: wanted.alias.as_str(),
                issuer: format!("{} {}", order.issuer.kind, place_of(pgpool, &order.issuer)),
                subject,
                logs_in: certificates::login(pgpool, wanted.alias).is_some(),
            });
        }
    }
}

/// The subject of the CA that will sign.
fn ca_of(wanted: &Wanted, order: &Order, finding: Option<&Finding>, observed: &Observed) -> Option<String> {
    if let Some(IssuerCa::Known(ca)) = observed.issuer_cas.get(&order.issuer) {
        return Some(tls_bundle::names_of(ca)?.subject);
    }
    let Finding::Present { outdated: None, .. } = finding? else {
        return None;
    };
    let Lookup::Present(secret) = &observed.children.get(&wanted.alias)?.secret else {
        return None;
    };
    let Names { subject, issuer } = tls_bundle::names_of(&secret.data.as_ref()?.get("tls.crt")?.0)?;
    // A self-signed one has no CA.
    (subject != issuer).then_some(issuer)
}

/// The subject as text, in the order in which cert-manager encodes its attributes.
fn subject(order: &Order) -> String {
    let Subject {
        organizations,
        countries,
        organizational_units,
        localities,
        provinces,
        street_addresses,
        postal_codes,
        serial_number,
    } = order.subject.clone().unwrap_or_default();
    let common_name: Vec<_> = order.common_name.clone().into_iter().collect();
    let attributes = [
        ("C", countries),
        ("O", organizations),
        ("OU", organizational_units),
        ("L", localities),
        ("ST", provinces),
        ("street", street_addresses),
        ("postalCode", postal_codes),
        ("CN", common_name),
        ("serialNumber", serial_number.into_iter().collect()),
    ];
    let texts = attributes.into_iter().filter_map(|(name, values)| {
        let values: Vec<_> = values.iter().map(|value| format!("{name}={value}")).collect();
        (!values.is_empty()).then(|| values.join(" + "))
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Neither case nor repeated white space distinguishes names.
fn folded(name: &str) -> String {
    let words: Vec<_> = name.split_whitespace().collect();
    let name = words.join(" ").to_ascii_lowercase();
    name.replace("= ", "=").replace(" ,", ",")
}
