//! The one source of wall-clock time.
//!
//! Pure code takes `now` as an argument; its callers get it from here. Leadership is timed by the monotonic
//! clock instead (see [`crate::lease`]).

use std::time::Duration;

use tokio::time::Instant;

/// How far a time may lie ahead; timers and the monotonic clock overflow at some point.
const FAR: Duration = Duration::from_hours(24 * 365);

/// Returns the moment after this time on the monotonic clock, a year from now at the latest.
#[must_use]
pub fn after(delay: Duration) -> Instant {
    later(Instant::now(), delay)
}

/// Returns the moment after `start` by this time, or by a year if that is sooner.
#[must_use]
pub fn later(start: Instant, delay: Duration) -> Instant {
    start.checked_add(delay.min(FAR)).unwrap_or(start)
}

/// Returns the current time.
#[must_use]
pub fn now() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
    jiff::Timestamp::now()
}
