//! A token bucket with a queue in front of it. Pure: time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;
use operator_runtime::fair::Tenant;

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

impl<K: Hash + Eq + Ord + Clone + Tenant> TokenBucket<K> {
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
            self.tokens = self.tokens.saturating_sub(cost(request));
            return if within_limits {
                Admission::Granted
            } else {
                Admission::Overdue
            };
        }
        self.waiting.insert(key.clone(), request);
        // A slot that becomes free triggers a reconcile; tokens do not.
        let after = if has_slot {
            self.time_until(tokens_ahead.saturating_add(1))
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
        let queue = self.queue(None);
        let first = queue.into_iter().take(self.free_slots().unwrap_or(usize::MAX));
        first.map(|(key, _)| key.clone()).collect()
    }

    /// How many waiting Pgpools go before this request, and how many tokens they need.
    fn ahead_of(&self, key: &K, request: Request) -> (usize, i64) {
        let queue = self.queue(Some((key, request)));
        let ahead = queue.into_iter().take_while(|(other, _)| *other != key);
        ahead.fold((0, 0), |(pools, tokens), (_, theirs)| {
            (
                usize::saturating_add(pools, 1),
                i64::saturating_add(tokens, cost(theirs)),
            )
        })
    }

    /// The waiting requests, with one more, in the order in which they are granted: namespaces take turns, beginning with
    /// those that rotate the fewest Pgpools, and of each the certificate that expires first goes first.
    fn queue<'a>(&'a self, more: Option<(&'a K, Request)>) -> Vec<(&'a K, Request)> {
        let known = self.waiting.iter().map(|(key, request)| (key, *request));
        let known = known.filter(|(key, _)| more.is_none_or(|(own, _)| own != *key));
        let mut requests: Vec<_> = known.chain(more).collect();
        requests.sort_unstable_by_key(|(key, request)| (request.expires, *key));
        let mut turns: HashMap<&str, usize> = HashMap::new();
        for key in self.in_flight.keys() {
            let turn = turns.entry(key.tenant()).or_default();
            *turn = turn.saturating_add(1);
        }
        let in_turn = requests.into_iter().map(|(key, request)| {
            let next = turns.entry(key.tenant()).or_default();
            let turn = *next;
            *next = turn.saturating_add(1);
            (turn, key, request)
        });
        let mut queue: Vec<_> = in_turn.collect();
        queue.sort_by_key(|(turn, _, request)| (*turn, request.expires));
        queue
            .into_iter()
            .map(|(_, key, request)| (key, request))
            .collect()
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
        let missing = u64::try_from(tokens.saturating_sub(self.tokens)).unwrap_or_default();
        let millis = missing
            .saturating_mul(60)
            .checked_div(u64::from(self.limits.per_minute));
        Duration::from_millis(millis.unwrap_or_default())
    }
}

fn cost(request: Request) -> i64 {
    i64::from(request.pods).saturating_mul(TOKENS_PER_POD)
}

/// The burst after an idle time: the tokens of a quarter of a minute.
fn capacity(limits: Limits) -> i64 {
    i64::from(limits.per_minute.div_ceil(4).max(1)).saturating_mul(TOKENS_PER_POD)
}
