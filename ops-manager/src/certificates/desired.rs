//! The objects that ops-manager owns for one Pgpool, as they should be. Pure; nothing here can fail.

pub mod certificate;

use shared_types::Alias;

use super::validate::{Needed, Plan};
use crate::cert_manager::Certificate;

/// What should be in the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// The Certificates that may be asked for now.
    pub certificates: Vec<(Alias, Certificate)>,
}

/// Builds what is desired for a plan.
#[must_use]
pub fn desired(plan: &Plan) -> Desired {
    match plan {
        Plan::NotNeeded => Desired::default(),
        Plan::Needed(needed) => Desired {
            certificates: certificates(needed),
        },
    }
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
