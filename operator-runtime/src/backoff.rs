//! How long to wait after failures. Pure.
//!
//! Not `backon`: its backoff is an iterator that holds the state of one sequence of retries; here the number of
//! failures is kept by the caller, and the delay is a function of it.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Exponential delay by the number of consecutive failures, with jitter.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The delay after the first failure.
    pub first: Duration,
    /// The longest delay.
    pub cap: Duration,
}

/// For watches: short enough that a granted right, or an installed CRD, is noticed within 30 s.
pub(crate) const WATCHES: Backoff = Backoff {
    first: Duration::from_millis(500),
    cap: Duration::from_secs(10),
};

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            cap: Duration::from_mins(1),
        }
    }
}

impl Backoff {
    /// Returns the delay after `failures` consecutive failures (1 is the first).
    ///
    /// The result lies between half of the exponential value and the value itself, so that objects
    /// that failed together are not retried together.
    #[must_use]
    pub fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::Backoff;

    proptest! {
        #[test]
        fn grows_to_its_cap_and_stays_there(failures in 0_u32.., seed: u64) {
            let backoff = Backoff::default();
            let delay = backoff.delay(failures, &mut SmallRng::seed_from_u64(seed));
            let doublings = failures.saturating_sub(1).min(20);
            let full = (backoff.first * 2_u32.pow(doublings)).min(backoff.cap);
            prop_assert!(delay <= full && delay >= full / 2, "{delay:?} of {full:?}");
        }
    }
}
