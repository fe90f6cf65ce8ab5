//! The one source of wall-clock time.
//!
//! Pure code takes `now` as an argument; its callers get it here. Leadership is measured with the monotonic
//! clock instead (see [`crate::lease`]).

/// Returns the current time.
#[must_use]
pub fn now() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
    jiff::Timestamp::now()
}
