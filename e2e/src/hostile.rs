//! A corpus of hostile objects: what a user with rights in one namespace may try, and what must not come of it.
//!
//! Everything runs beside a control plane on loopback, with the rights and the settings that the charts give the operators.
//! Each attack has a namespace of its own. With its objects in place both operators are restarted, and then a pool in another
//! namespace, the *neighbor*, must still be served.
//!
//! | Module | Concern |
//! |---|---|
//! | [`attack`], [`generate`], [`bundle`] | reading `fixtures/hostile`: pure |
//! | [`marks`] | secrets that are recognized wherever they appear, in any encoding: pure |
//! | [`request`] | raw requests, which show who refuses one |
//! | [`process`], [`supervised`] | the operators: start, restart, memory, processor time, output |
//! | [`stage`] | the control plane, the users, the neighbor |
//! | [`steps`], [`forbidden`], [`disclosure`], [`run`] | carrying out one attack, and its verdict |
//! | [`verdict`] | what came of an attack, as text and JSON: pure |

mod attack;
mod bundle;
mod disclosure;
mod forbidden;
mod generate;
mod marks;
mod process;
mod request;
mod run;
mod stage;
mod steps;
mod supervised;
mod verdict;

use std::time::Duration;

use local_cluster::components::Programs;
use local_cluster::progress::Progress;

pub(crate) use attack::{Attack, corpus};
pub(crate) use stage::{Installation, install, start_operators};
pub(crate) use supervised::Supervised;
pub(crate) use verdict::{Verdict, summary};

use stage::Stage;

/// Time that is enough for debug builds on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// Processor time for one attack in both operators together, restarts included, that is enough for debug builds, in seconds.
pub(crate) const PROCESSOR: u32 = 40;

/// Carries out attacks one after the other on a separate control plane, and prints each verdict as soon as it is known.
///
/// # Errors
/// When the control plane or the operators do not start before the first attack. An attack that cannot be carried out is a
/// verdict.
pub(crate) async fn carry_out(
    programs: &Programs,
    installation: &Installation,
    attacks: &[Attack],
    progress: &Progress,
) -> anyhow::Result<Vec<Verdict>> {
    let step = progress.step("start a control plane, both operators and the neighbor");
    let mut stage = Stage::set(programs, installation).await?;
    step.done();
    let mut verdicts = Vec::new();
    for (number, attack) in attacks.iter().enumerate() {
        let verdict = run::attack(&mut stage, attack, number + 1).await;
        progress.line(format_args!("{}/{} {verdict}", number + 1, attacks.len()));
        verdicts.push(verdict);
    }
    Ok(verdicts)
}
