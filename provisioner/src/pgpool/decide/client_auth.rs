//! Decides whether clients may begin to log in by certificate. Pure.
//!
//! Whoever has a certificate of a trusted CA with the name of a role is that role. So the rules of a pool change to
//! certificates only when those that the pool needs itself are verified, and never by accident to those of an issuer that
//! others use.

use shared_types::certificates;

use super::Situation;

#[cfg(test)]
mod tests;

/// Whether running pods still let clients in by password although the spec asks for certificates.
pub(super) fn is_switching(situation: &Situation<'_>) -> bool {
    situation.observed.live.stateful_set.is_some() && !is_in_effect(situation) && is_asked_for(situation)
}

/// Why no pod may let clients in by certificate. What runs so already is not stopped: the condition `ClientIssuerShared` of
/// ops-manager tells.
pub(super) fn refusal(situation: &Situation<'_>) -> Option<String> {
    let pgpool = situation.pgpool;
    if !is_asked_for(situation)
        || is_in_effect(situation)
        || certificates::accepts_shared_client_issuer(pgpool)
    {
        return None;
    }
    let (alias, issuer) = certificates::shared_client_issuer(pgpool)?;
    Some(certificates::shared_issuer_refused(alias, issuer))
}

fn is_asked_for(situation: &Situation<'_>) -> bool {
    certificates::logs_in_by_certificate(situation.pgpool)
}

/// Whether running pods let clients in by certificate.
fn is_in_effect(situation: &Situation<'_>) -> bool {
    let live = &situation.observed.live;
    let rules = live.config_secret.as_deref();
    live.stateful_set.is_some()
        && rules.is_some_and(|rules| situation.policy.preview.demands_certificates(rules))
}
