//! When a finished request is deleted. Pure.

use std::time::Duration;

use jiff::Timestamp;
use shared_types::{PgpoolOpsRequest, limits};

use crate::ops_requests::competing_request::finished;

/// What becomes of a finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Keep,
    /// It is deleted after this time.
    After(Duration),
    Now,
}

/// Of a request that has finished, beside the others that have.
pub(crate) fn expiry(request: &PgpoolOpsRequest, newer: usize, now: Timestamp) -> Expiry {
    let Some((end, _)) = finished(request) else {
        return Expiry::Keep;
    };
    if newer >= limits::FINISHED_REQUESTS {
        return Expiry::Now;
    }
    let Some(seconds) = request.spec.ttl_seconds_after_finished else {
        return Expiry::Keep;
    };
    let life = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let age = Duration::try_from(now.duration_since(end)).unwrap_or_default();
    match life.checked_sub(age) {
        None | Some(Duration::ZERO) => Expiry::Now,
        Some(left) => Expiry::After(left),
    }
}

#[cfg(test)]
mod tests {
    use shared_types::ops_request::OpsType;

    use super::*;
    use crate::fixtures::at;
    use crate::fixtures::ops::{finished_at, request};

    #[test]
    fn a_request_expires_after_its_time_or_when_a_hundred_newer_ones_have_finished() {
        let one = |spec| finished_at(request("one", OpsType::Restart, spec), "2026-06-01T12:00:00Z");
        let now = at("2026-06-01T12:01:00Z");
        let (kept, brief, long) = (
            one("{}"),
            one("{ttlSecondsAfterFinished: 60}"),
            one("{ttlSecondsAfterFinished: 90}"),
        );
        assert_eq!(expiry(&kept, 99, now), Expiry::Keep);
        assert_eq!(expiry(&kept, 100, now), Expiry::Now);
        assert_eq!(expiry(&brief, 0, now), Expiry::Now);
        assert_eq!(expiry(&long, 0, now), Expiry::After(Duration::from_secs(30)));
        let open = request("one", OpsType::Restart, "{ttlSecondsAfterFinished: 0}");
        assert_eq!(expiry(&open, 1000, now), Expiry::Keep, "it has not finished");
    }
}
