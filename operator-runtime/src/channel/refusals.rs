//! Logs refused clients without letting them fill the log.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

/// At most one line in this time.
const PAUSE: Duration = Duration::from_secs(30);

/// Counts what was not logged.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    last: Option<Instant>,
    unlogged: u64,
}

impl Refusals {
    /// Logs a refusal, or counts it if another was logged a moment ago.
    pub(super) fn log(&mut self, peer: IpAddr, why: &str) {
        let now = Instant::now();
        if let Some(unlogged) = self.admit(now) {
            info!(%peer, why, since_last_line = unlogged, "a client of the channel was refused");
        }
    }

    /// Returns how many refusals were not logged since the last log line; `None` while it is too early for the next.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            self.unlogged = self.unlogged.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refusals_is_one_line_in_half_a_minute() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.admit(Instant::now()), Some(0));
        for _ in 0..1000 {
            assert_eq!(refusals.admit(Instant::now()), None);
        }
        tokio::time::advance(PAUSE).await;
        assert_eq!(refusals.admit(Instant::now()), Some(1000));
        assert_eq!(refusals.admit(Instant::now()), None);
    }
}
