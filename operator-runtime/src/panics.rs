//! A panic aborts the work on one object, or ends the process if it hits a task that the process cannot do without.
//!
//! The message of a panic may quote user input, such as a password, so it is never logged; only the location in the
//! code is logged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::error;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Logs panics by their location only, and counts them. Without it the standard library prints the message.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        error!(
            %location,
            thread = thread.name().unwrap_or_default(),
            "panicked, which is a bug; its message is left out, since it may quote a Secret"
        );
    }));
}

/// Returns the number of panics since the hook was installed.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Runs a function about one object. Returns `None` when it panicked, which the hook logs.
///
/// What the function changes elsewhere may be incomplete then, so it should change nothing but what it is given.
pub fn contained<T>(function: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(function)).ok()
}

#[cfg(test)]
mod tests {
    use super::contained;

    #[test]
    fn a_panic_is_contained() {
        assert_eq!(contained(|| 1), Some(1));
        let zero = std::hint::black_box(0_u32);
        assert_eq!(contained(|| [1][usize::from(zero == 0)]), None);
    }
}
