//! Bundles of our own: a chain without a fault, changed by one or two twists. A seed and a number describe a bundle.

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::case::Case;
use super::keys::{Keys, Kind};
use super::plan::Plan;
use super::twists::{DAMAGE, TWISTS};

/// The keys of chains, the usual ones more often.
const KINDS: [Kind; 8] = [
    Kind::P256,
    Kind::P256,
    Kind::P256,
    Kind::P256,
    Kind::P384,
    Kind::Ed25519,
    Kind::Rsa(2048),
    Kind::P521,
];

/// Makes bundles, which differ by their number.
pub(crate) struct Generator {
    seed: u64,
    now: Timestamp,
    keys: Keys,
}

impl Generator {
    /// All bundles are about the same time.
    pub(crate) fn new(seed: u64) -> Self {
        Self::at(seed, Timestamp::from_second(1_780_272_000).unwrap_or_default())
    }

    /// All bundles are about the time `now`.
    pub(crate) fn at(seed: u64, now: Timestamp) -> Self {
        Self {
            seed,
            now,
            keys: Keys::default(),
        }
    }

    /// The name of the case tells what was changed, and how to make it again.
    pub(crate) fn case(&self, number: u64) -> anyhow::Result<Case> {
        self.changed(number, false)
    }

    /// Like [`Generator::case`], with damage at a random place.
    pub(crate) fn damaged(&self, number: u64) -> anyhow::Result<Case> {
        self.changed(number, true)
    }

    fn changed(&self, number: u64, damaged: bool) -> anyhow::Result<Case> {
        let seed = self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number;
        let mut random = StdRng::seed_from_u64(seed);
        let kind = KINDS.choose(&mut random).copied().unwrap_or(Kind::P256);
        let mut plan = Plan::new(random.random_range(0..=2), kind, self.now);
        // Each twist gets its turn, alone and with another one.
        let position = usize::try_from(number)? % TWISTS.len();
        let mut chosen = vec![TWISTS[position]];
        if damaged {
            chosen.extend(DAMAGE.choose(&mut random));
        } else if random.random_bool(0.4) {
            chosen.extend(TWISTS.choose(&mut random));
        }
        for twist in &chosen {
            (twist.apply)(&mut plan, &mut random);
        }
        let names: Vec<_> = chosen.iter().map(|twist| twist.name).collect();
        let prefix = if damaged { "fuzz" } else { "own" };
        let name = format!("{prefix}-{}-{number}-{}", self.seed, names.join("+"));
        plan.render(name, &self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_number_describe_a_bundle() {
        let made = |seed, number| Generator::new(seed).case(number).unwrap();
        assert_eq!(made(1, 5).name, made(1, 5).name);
        assert_ne!(made(1, 5).name, made(2, 5).name);
    }
}
