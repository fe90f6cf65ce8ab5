//! Decides what to do about the certificates of a Pgpool, once per pass. Pure.

pub(crate) mod breaker;
mod ca_migration;
mod client_login;
mod subject_of_ca;
pub(crate) mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use shared_types::explanation::Explanation;
use shared_types::pgpool::CertificateChanges;
use shared_types::{Alias, Pgpool};
use tls_bundle::KeyId;

use super::observe::{Child, Observed, controller};
use super::validate::{Refusal, Validated};
use crate::cert_manager::Certificate;
use breaker::{Circuits, Limits};
use verify::Verified;

pub(crate) use ca_migration::Reissue;

pub(crate) struct Decision {
    /// With the orders that are held back; `None` without TLS.
    pub(crate) validated: Option<Validated>,
    /// In the order of `validated.wanted`.
    pub(crate) verified: Vec<Verified>,
    /// Why Certificates with an order are not written all the same.
    pub(crate) blocked: BTreeMap<Alias, Explanation>,
    /// Our Certificates to delete.
    pub(crate) delete: Vec<Arc<Certificate>>,
    /// Certificates to reissue although their specs have not changed.
    pub(crate) reissue: Vec<Reissue>,
    /// The keys of the CAs that have signed accepted certificates.
    pub(crate) signers: BTreeSet<KeyId>,
    /// Who else can get certificates that log in to a pool which runs with such certificates.
    pub(crate) client_issuer_shared: Option<Explanation>,
    /// The counts of the circuit breaker, for the status.
    pub(crate) changes: BTreeMap<Alias, CertificateChanges>,
}

pub(crate) fn decide(
    pgpool: &Pgpool,
    observed: &Observed,
    mut validated: Option<Validated>,
    limits: &Limits,
    now: Timestamp,
) -> Decision {
    let mut verified = Vec::new();
    let mut reissue = Vec::new();
    let mut client_issuer_shared = None;
    if let Some(validated) = &mut validated {
        verified = verify::verify(validated, observed, now);
        ca_migration::hold_back(pgpool, validated, &verified, now);
        client_issuer_shared = client_login::settle(pgpool, validated, &verified, observed);
        subject_of_ca::refuse(pgpool, validated, &verified, observed);
        reissue = ca_migration::reissues(pgpool, validated, observed, &verified, now);
    }
    let circuits = breaker::count(pgpool, &observed.recent.status, observed, &verified, limits, now);
    let requested = &observed.recent.renewals;
    reissue.retain(|it| !circuits.is_open(it.alias) && requested.get(&it.alias) != Some(&it.leaf));
    let mut blocked = observed.recent.conflicts.clone();
    blocked.extend(circuits.explanations(pgpool, observed));
    Decision {
        signers: client_login::signers(&verified).collect(),
        client_issuer_shared,
        verified,
        blocked,
        delete: certificates_to_delete(pgpool, validated.as_ref(), observed, &circuits),
        validated,
        reissue,
        changes: circuits.into_changes(),
    }
}

fn certificates_to_delete(
    pgpool: &Pgpool,
    validated: Option<&Validated>,
    observed: &Observed,
    circuits: &Circuits,
) -> Vec<Arc<Certificate>> {
    let mut delete = Vec::new();
    for (alias, child) in &observed.children {
        let Some(certificate) = own_certificate(pgpool, child) else {
            continue;
        };
        let unwanted = validated.is_none_or(|validated| fights(validated, *alias, certificate));
        if unwanted || circuits.is_open(*alias) {
            delete.push(Arc::clone(certificate));
        }
    }
    delete
}

fn own_certificate<'a>(pgpool: &Pgpool, child: &'a Child) -> Option<&'a Arc<Certificate>> {
    let certificate = child.certificate.as_ref()?;
    let owner = controller(&certificate.metadata)?;
    (pgpool.metadata.uid.as_ref() == Some(&owner.uid)).then_some(certificate)
}

/// Two Certificates with one Secret are issued over and over, each replacing the other: the one that does not hold the
/// Secret is deleted.
fn fights(validated: &Validated, alias: Alias, certificate: &Certificate) -> bool {
    let mut wanted = validated.wanted.iter().filter(|wanted| wanted.alias == alias);
    wanted.any(|wanted| {
        matches!(wanted.contested, Some(Refusal::SecretNameConflict { .. }))
            && wanted.secret == certificate.spec.secret_name
    })
}
