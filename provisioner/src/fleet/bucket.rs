//! A bucket of tokens and a queue before it. Pure: time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;

use super::{Admission, Ask, Limits};

#[cfg(test)]
mod tests;

/// Whoever has been at it for so long is stuck, and holds up nobody else.
const STUCK: Duration = Duration::from_mins(15);
/// The soonest and the latest that somebody who waits asks again.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(1);
/// Thousandths of a token: pods are counted in them, so that a part of a second counts too.
const WHOLE: i64 = 1000;

/// Tokens, who is at it since when, and who waits.
#[derive(Debug, Default)]
pub(super) struct Bucket<K> {
    limits: Limits,
    /// Thousandths. Below zero when somebody with many pods was let in.
    tokens: i64,
    filled: Option<Timestamp>,
    rolling: HashMap<K, Timestamp>,
    waiting: HashMap<K, Ask>,
}

impl<K: Hash + Eq + Ord + Clone> Bucket<K> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            tokens: capacity(limits),
            filled: None,
            rolling: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    pub(super) fn admit(&mut self, key: &K, ask: Ask, now: Timestamp) -> Admission {
        self.fill(now);
        if self.rolling.contains_key(key) {
            return Admission::Granted;
        }
        let before = self
            .waiting
            .iter()
            .filter(|(other, theirs)| *other != key && (theirs.ends, *other) < (ask.ends, key));
        let (ahead, pods) = before.fold((0, 0), |(ahead, pods), (_, theirs)| {
            (ahead + 1, pods + i64::from(theirs.pods) * WHOLE)
        });
        let is_free = self.free().is_none_or(|free| ahead < free);
        let enough = self.limits.per_minute == 0 || self.tokens > pods;
        if (is_free && enough) || ask.urgent {
            self.waiting.remove(key);
            self.rolling.insert(key.clone(), now);
            self.tokens -= i64::from(ask.pods) * WHOLE;
            return if is_free && enough {
                Admission::Granted
            } else {
                Admission::Overdue
            };
        }
        self.waiting.insert(key.clone(), ask);
        let missing = u64::try_from(pods - self.tokens + 1).unwrap_or_default();
        let filled = match self.limits.per_minute {
            0 => Duration::ZERO,
            rate => Duration::from_millis(missing * 60 / u64::from(rate)),
        };
        // A place that becomes free is told.
        let after = if is_free { filled } else { LATEST };
        Admission::Queued {
            after: after.clamp(SOONEST, LATEST),
        }
    }

    /// Notes whether somebody is at it and whether they still ask; gives those whose turn may have come by it.
    pub(super) fn note(&mut self, key: &K, rolls: Option<Timestamp>, asks: bool) -> Vec<K> {
        if !asks {
            self.waiting.remove(key);
        }
        if let Some(now) = rolls {
            self.rolling.entry(key.clone()).or_insert(now);
            return Vec::new();
        }
        if self.rolling.remove(key).is_none() {
            return Vec::new();
        }
        let mut waiting: Vec<_> = self.waiting.iter().map(|(key, ask)| (ask.ends, key)).collect();
        waiting.sort_unstable();
        let free = self.free().unwrap_or(waiting.len());
        waiting
            .into_iter()
            .take(free)
            .map(|(_, key)| key.clone())
            .collect()
    }

    fn free(&self) -> Option<usize> {
        let most = usize::try_from(self.limits.at_once).unwrap_or(usize::MAX);
        (most > 0).then(|| most.saturating_sub(self.rolling.len()))
    }

    fn fill(&mut self, now: Timestamp) {
        let age = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or_default();
        self.rolling.retain(|_, since| age(*since) < STUCK);
        let passed = self.filled.map_or(Duration::ZERO, age);
        let millis = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX / WHOLE);
        let drops = millis.saturating_mul(i64::from(self.limits.per_minute)) / 60;
        // The rest of a drop is not lost: time counts from when there was a whole one.
        if drops > 0 || self.filled.is_none() {
            self.tokens = self.tokens.saturating_add(drops).min(capacity(self.limits));
            self.filled = Some(now);
        }
    }
}

/// What may go at once after a quiet time: what a quarter of a minute brings.
fn capacity(limits: Limits) -> i64 {
    i64::from(limits.per_minute.div_ceil(4).max(1)) * WHOLE
}
