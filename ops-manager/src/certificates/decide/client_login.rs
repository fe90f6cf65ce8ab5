//! Decides whom the certificates name that are shown to the pool, and whether their issuer is one that others use. Pure.
//!
//! A certificate that names a role opens every pool that trusts its CA. So a pool in which clients log in by certificate
//! first gets certificates that name no role. When these show that their CA has signed for no Pgpool of another namespace,
//! certificates that name the role are requested. What has them already keeps them, so that nobody can stop a running pool
//! by using its CA: a condition tells.

use shared_types::explanation::Explanation;
use shared_types::{Alias, Pgpool, certificates};
use tls_bundle::Failure;

use super::verify::{Finding, Verified, finding_of};
use crate::ca_index::CaUse;
use crate::cert_manager::Certificate;
use crate::certificates::observe::Observed;
use crate::certificates::validate::{Refusal, Validated, Wanted, place_of};

#[cfg(test)]
mod tests;

/// Completes the orders of certificates that log in, or refuses them. Returns what is to be reported about a pool that has
/// such certificates already.
pub(super) fn settle(
    pgpool: &Pgpool,
    validated: &mut Validated,
    verified: &[Verified],
    observed: &Observed,
) -> Option<Explanation> {
    let mut report = None;
    for wanted in &mut validated.wanted {
        let Some(user) = certificates::login(pgpool, wanted.alias) else {
            continue;
        };
        let login = Login {
            pgpool,
            user,
            finding: finding_of(verified, wanted.alias),
            certificate: own_certificate(observed, wanted.alias),
            ca_use: observed.client_cas.get(&wanted.alias).copied(),
        };
        let shared = login.shared(wanted);
        if let Some(shared) = &shared
            && login.has_login()
        {
            report = report.or_else(|| Some(shared.explanation()));
        }
        let name = login.name(wanted, shared);
        if let Ok(order) = &mut wanted.order {
            match name {
                Ok(name) => order.common_name = Some(name.to_owned()),
                Err(refusal) => wanted.order = Err(refusal),
            }
        }
    }
    report
}

/// The keys of the CAs that have signed accepted certificates.
pub(super) fn signers(verified: &[Verified]) -> impl Iterator<Item = tls_bundle::KeyId> {
    let accepted = verified.iter().filter(|it| is_accepted_but_for_name(&it.finding));
    accepted.flat_map(|it| it.signers.iter().copied())
}

fn own_certificate(observed: &Observed, alias: Alias) -> Option<&Certificate> {
    observed.children.get(&alias)?.certificate.as_deref()
}

fn is_accepted_but_for_name(finding: &Finding) -> bool {
    let Finding::Present {
        leaf: Some(_),
        failures,
        ..
    } = finding
    else {
        return false;
    };
    failures
        .iter()
        .all(|failure| matches!(failure, Failure::CommonNameMismatch { .. }))
}

/// One certificate that logs in.
struct Login<'a> {
    pgpool: &'a Pgpool,
    user: &'static str,
    finding: Option<&'a Finding>,
    certificate: Option<&'a Certificate>,
    ca_use: Option<CaUse>,
}

impl Login<'_> {
    /// Why it must not log in, unless the user accepts that.
    fn shared(&self, wanted: &Wanted) -> Option<Refusal> {
        if certificates::accepts_shared_client_issuer(self.pgpool) {
            return None;
        }
        let named = self.pgpool.spec.issuer_ref(wanted.alias);
        if let Some(issuer) = named.filter(|issuer| !issuer.is_of_one_namespace()) {
            let message = certificates::shared_issuer_refused(wanted.alias, issuer);
            return Some(Refusal::ClientIssuerShared { message });
        }
        let issuer = wanted.issuer.as_ref()?;
        let elsewhere = self.shows_ca() && self.ca_use == Some(CaUse::Elsewhere);
        elsewhere.then(|| Refusal::ClientCaUsedElsewhere {
            alias: wanted.alias.as_str(),
            issuer: format!("{} {}", issuer.kind, place_of(self.pgpool, issuer)),
        })
    }

    /// The common name to order.
    fn name(&self, wanted: &Wanted, shared: Option<Refusal>) -> Result<&'static str, Refusal> {
        if certificates::accepts_shared_client_issuer(self.pgpool) {
            return Ok(self.user);
        }
        if let Some(ordered) = self
            .certificate
            .filter(|it| it.spec.common_name.as_deref() == Some(self.user))
        {
            let is_same_issuer = wanted.issuer.as_ref() == Some(&ordered.spec.issuer_ref);
            match shared {
                Some(refusal @ Refusal::ClientIssuerShared { .. }) if !is_same_issuer => return Err(refusal),
                _ => return Ok(self.user),
            }
        }
        match shared {
            Some(refusal) => Err(refusal),
            // There is nothing yet that shows the CA.
            None if !self.shows_ca() => Ok(certificates::NO_ROLE),
            None if self.ca_use == Some(CaUse::Own) => Ok(self.user),
            None => Err(Refusal::ClientCaUnknown),
        }
    }

    /// Whether what is in the Secret comes from the CA that the issuer has now.
    fn shows_ca(&self) -> bool {
        let is_current = matches!(self.finding, Some(Finding::Present { outdated: None, .. }));
        is_current && self.finding.is_some_and(is_accepted_but_for_name)
    }

    /// Whether it was requested for the role, or is there.
    fn has_login(&self) -> bool {
        let is_ordered = self
            .certificate
            .is_some_and(|certificate| certificate.spec.common_name.as_deref() == Some(self.user));
        let is_accepted =
            matches!(self.finding, Some(Finding::Present { failures, .. }) if failures.is_empty());
        is_ordered || is_accepted
    }
}
