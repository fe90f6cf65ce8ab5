//! What is written while the settings that are asked for may not be used, or not yet. Pure.

use shared_types::reserved;

use super::{Configuration, Plan, Stand};
use crate::pgpool::build;
use crate::pgpool::judgement::Doubt;
use crate::pgpool::observe::Observed;
use crate::pgpool::validate::{Unmet, Validated};

/// Before pgpool has taken the settings no pod gets them. Pods that run go on with those that they have, and everything
/// else about them may change, unless it needs the new ones. While there are no pods, the Secret may be there already, for
/// others who wait for it.
pub(super) fn withhold(
    plan: &mut Plan,
    doubt: Doubt,
    validated: &Validated,
    observed: &Observed,
) -> Result<(), Unmet> {
    let mut look_again = None;
    plan.configuration = Configuration::Withhold;
    match (in_force(validated, observed), &doubt) {
        (Some(revision), _) => {
            if let Some(workload) = &mut plan.workload {
                build::keep_revision(&mut workload.stateful_set, revision);
            }
            look_again = plan.handoff.after();
        }
        (None, Doubt::Unmet(unmet)) => return Err(unmet.clone()),
        (None, _) => {
            plan.workload = None;
            if observed.live.stateful_set.is_none() {
                plan.configuration = Configuration::Write;
            }
        }
    }
    plan.handoff = Stand::Doubted {
        doubt,
        after: look_again,
    };
    Ok(())
}

/// The revision of the settings that pods have, if a pool as it is asked for can go on with them: in the same image, which
/// has taken them, and with the same rules.
fn in_force(validated: &Validated, observed: &Observed) -> Option<String> {
    let template = &observed.live.stateful_set.as_deref()?.spec.as_ref()?.template;
    let mut containers = template.spec.as_ref()?.containers.iter();
    let pgpool = containers.find(|container| container.name == reserved::CONTAINER)?;
    if pgpool.image.as_ref() != Some(&validated.release.image) {
        return None;
    }
    build::revision_in_force(validated, observed.live.config_secret.as_deref()?)
}
