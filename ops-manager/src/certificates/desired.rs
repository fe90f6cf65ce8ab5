//! The objects that ops-manager owns for one Pgpool, as they should be. Pure; nothing here can fail.

pub(crate) mod certificate;

use std::sync::Arc;

use shared_types::{Alias, Pgpool};

use super::observe::{Child, Observed, controller};
use super::validate::{Needed, Plan, Refusal};
use crate::cert_manager::Certificate;

/// What should be in the cluster, and what should be there no more.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Desired {
    /// The Certificates that may be asked for now.
    pub(crate) certificates: Vec<(Alias, Certificate)>,
    /// Our Certificates that have to go.
    pub(crate) withdrawn: Vec<Arc<Certificate>>,
}

/// Builds what is desired for a plan.
pub(crate) fn desired(pgpool: &Pgpool, plan: &Plan, observed: &Observed) -> Desired {
    let ours = observed
        .children
        .iter()
        .filter_map(|(alias, child)| Some((*alias, own(pgpool, child)?)));
    match plan {
        Plan::NotNeeded => Desired {
            certificates: Vec::new(),
            withdrawn: ours.map(|(_, certificate)| Arc::clone(certificate)).collect(),
        },
        Plan::Needed(needed) => Desired {
            certificates: certificates(needed),
            withdrawn: ours
                .filter(|(alias, certificate)| fights(needed, *alias, certificate))
                .map(|(_, certificate)| Arc::clone(certificate))
                .collect(),
        },
    }
}

/// The Certificate of a child, when it is ours.
pub(super) fn own<'a>(pgpool: &Pgpool, child: &'a Child) -> Option<&'a Arc<Certificate>> {
    let certificate = child.certificate.as_ref()?;
    let owner = controller(&certificate.metadata)?;
    (pgpool.metadata.uid.as_ref() == Some(&owner.uid)).then_some(certificate)
}

/// Two Certificates that are written to one Secret are issued over and over, each undoing the other: the one that does
/// not hold the Secret gives way.
fn fights(needed: &Needed, alias: Alias, certificate: &Certificate) -> bool {
    let mut wanted = needed.wanted.iter().filter(|wanted| wanted.alias == alias);
    wanted.any(|wanted| {
        matches!(wanted.contested, Some(Refusal::SecretNameConflict { .. }))
            && wanted.secret == certificate.spec.secret_name
    })
}

fn certificates(needed: &Needed) -> Vec<(Alias, Certificate)> {
    let orders = needed
        .wanted
        .iter()
        .filter_map(|wanted| Some((wanted, wanted.order.as_ref().ok()?)));
    let built = orders.map(|(wanted, order)| {
        (
            wanted.alias,
            certificate::certificate(&needed.parent, wanted, order),
        )
    });
    built.collect()
}

#[cfg(test)]
mod tests;
