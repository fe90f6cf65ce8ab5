//! A few bundles of our own, as different from each other as possible.

use std::collections::BTreeMap;

use anyhow::bail;
use jiff::SignedDuration;
use tls_bundle::Role;

use super::case::Case;
use super::generate::Generator;
use super::oracle::{Oracle, Truth};

/// A server's bundle, and what the oracle says about it.
pub(crate) struct Example {
    pub(crate) case: Case,
    pub(crate) truth: Truth,
}

/// Chooses so many, half of them good ones: of each change and each error of OpenSSL only a few. What is true about them stays
/// true for an hour.
pub(crate) fn examples(generator: &Generator, oracle: &Oracle, count: usize) -> anyhow::Result<Vec<Example>> {
    let most = 1 + count / 25;
    let mut chosen: Vec<Example> = Vec::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let (mut good, mut bad) = (0, 0);
    for number in 0..200 * u64::try_from(count)? {
        if chosen.len() == count {
            break;
        }
        let case = generator.case(number)?;
        if case.role != Role::Server {
            continue;
        }
        let truth = oracle.truth(&case)?;
        let works = truth.result().is_ok();
        let change = case.name.rsplit('-').next().unwrap_or_default();
        let class = truth.result().err().unwrap_or(change).to_owned();
        let later = Case {
            at: case.at + SignedDuration::from_hours(1),
            ..case.clone()
        };
        let kind = if works { &mut good } else { &mut bad };
        let is_full = *kind >= count.div_ceil(2) || taken.get(&class) == Some(&most);
        if is_full || oracle.truth(&later)?.result() != truth.result() {
            continue;
        }
        *kind += 1;
        *taken.entry(class).or_default() += 1;
        chosen.push(Example { case, truth });
    }
    if chosen.len() < count {
        bail!("there are only {} examples that differ enough", chosen.len());
    }
    Ok(chosen)
}
