//! The one source of wall-clock time.
//!
//! Pure code takes `now` as an argument; whoever calls it asks here. Durations that decide about
//! leadership are measured with the monotonic clock instead (see [`crate::lease`]).

/// Returns the present time.
#[must_use]
pub fn now() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
    jiff::Timestamp::now()
}
