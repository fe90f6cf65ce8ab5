//! The objects that ops-manager owns for a Pgpool. Pure; cannot fail.

mod certificate;

use shared_types::Alias;

use super::decide::Decision;
use crate::cert_manager::Certificate;

/// The Certificates to write. One with an order that is blocked is left as it is.
pub(crate) fn build(decision: &Decision) -> Vec<(Alias, Certificate)> {
    let Some(validated) = &decision.validated else {
        return Vec::new();
    };
    let certificates = validated.wanted.iter().filter_map(|wanted| {
        let order = wanted.order.as_ref().ok()?;
        if decision.blocked.contains_key(&wanted.alias) {
            return None;
        }
        let certificate = certificate::certificate(&validated.parent, wanted, order);
        Some((wanted.alias, certificate))
    });
    certificates.collect()
}

#[cfg(test)]
mod tests;
