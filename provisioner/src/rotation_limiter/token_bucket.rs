//! A token bucket with a queue in front of it. Pure: time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;

use super::{Admission, Limits, Request};

#[cfg(test)]
mod tests;

/// A rotation that is in flight for longer is stuck, and no longer counts.
const STUCK_AFTER: Duration = Duration::from_mins(15);
/// The soonest and the latest that a waiting Pgpool requests again.
const MIN_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_mins(1);
/// One pod costs so many tokens: at a few pods per minute, a second brings a fraction of a pod.
const TOKENS_PER_POD: i64 = 1000;

#[derive(Debug, Default)]
pub(super) struct TokenBucket<K> {
    limits: Limits,
    /// Negative after a Pgpool with many pods was admitted.
    tokens: i64,
    filled: Option<Timestamp>,
    in_flight: HashMap<K, Timestamp>,
    waiting: HashMap<K, Request>,
}

impl<K: Hash + Eq + Ord + Clone> TokenBucket<K> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            tokens: capacity(limits),
            filled: None,
            in_flight: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    pub(super) fn admit(&mut self, key: &K, request: Request, now: Timestamp) -> Admission {
        self.advance(now);
        if self.in_flight.contains_key(key) {
            return Admission::Granted;
        }
        let (pools_ahead, tokens_ahead) = self.ahead_of(key, request);
        let has_slot = self.free_slots().is_none_or(|free| pools_ahead < free);
        let has_tokens = self.limits.per_minute == 0 || self.tokens > tokens_ahead;
        let within_limits = has_slot && has_tokens;
        if within_limits || request.urgent {
            self.waiting.remove(key);
            self.in_flight.insert(key.clone(), now);
            self.tokens -= cost(request);
            return if within_limits {
                Admission::Granted
            } else {
                Admission::Overdue
            };
        }
        self.waiting.insert(key.clone(), request);
        // A slot that becomes free triggers a reconcile; tokens do not.
        let after = if has_slot {
            self.time_until(tokens_ahead + 1)
        } else {
            MAX_RETRY
        };
        Admission::Queued {
            after: after.clamp(MIN_RETRY, MAX_RETRY),
        }
    }

    /// Records whether a rotation is in flight and whether its Pgpool still waits; returns the waiting Pgpools that may
    /// be admitted because of the change.
    pub(super) fn update(&mut self, key: &K, in_flight: Option<Timestamp>, waiting: bool) -> Vec<K> {
        if !waiting {
            self.waiting.remove(key);
        }
        if let Some(now) = in_flight {
            self.in_flight.entry(key.clone()).or_insert(now);
            return Vec::new();
        }
        if self.in_flight.remove(key).is_none() {
            return Vec::new();
        }
        let mut queue: Vec<_> = self
            .waiting
            .iter()
            .map(|(key, request)| (request.expires, key))
            .collect();
        queue.sort_unstable();
        queue.truncate(self.free_slots().unwrap_or(queue.len()));
        queue.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// How many waiting Pgpools go before this request, and how many tokens they need.
    fn ahead_of(&self, key: &K, request: Request) -> (usize, i64) {
        let mut pools = 0;
        let mut tokens = 0;
        for (other, theirs) in &self.waiting {
            if other != key && (theirs.expires, other) < (request.expires, key) {
                pools += 1;
                tokens += cost(*theirs);
            }
        }
        (pools, tokens)
    }

    /// `None` without a limit.
    fn free_slots(&self) -> Option<usize> {
        let most = usize::try_from(self.limits.at_once).unwrap_or(usize::MAX);
        (most > 0).then(|| most.saturating_sub(self.in_flight.len()))
    }

    /// Drops stuck rotations, and adds the tokens of the time that has passed.
    fn advance(&mut self, now: Timestamp) {
        let age = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or_default();
        self.in_flight.retain(|_, since| age(*since) < STUCK_AFTER);
        let passed = self.filled.map_or(Duration::ZERO, age);
        let millis = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX / TOKENS_PER_POD);
        let added = millis.saturating_mul(i64::from(self.limits.per_minute)) / 60;
        // The remainder of a token is not lost: time counts from the last whole one.
        if added > 0 || self.filled.is_none() {
            self.tokens = self.tokens.saturating_add(added).min(capacity(self.limits));
            self.filled = Some(now);
        }
    }

    fn time_until(&self, tokens: i64) -> Duration {
        let missing = u64::try_from(tokens - self.tokens).unwrap_or_default();
        match self.limits.per_minute {
            0 => Duration::ZERO,
            rate => Duration::from_millis(missing * 60 / u64::from(rate)),
        }
    }
}

fn cost(request: Request) -> i64 {
    i64::from(request.pods) * TOKENS_PER_POD
}

/// The burst after an idle time: the tokens of a quarter of a minute.
fn capacity(limits: Limits) -> i64 {
    i64::from(limits.per_minute.div_ceil(4).max(1)) * TOKENS_PER_POD
}
