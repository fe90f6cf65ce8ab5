//! When the API server wants to be asked again: the header `Retry-After` of its responses 429 and 503.
//!
//! The client repeats nothing by itself. A request that was refused fails, its reconcile fails with it, and is retried
//! no earlier than the API server asked for. That is remembered for the one reconcile whose request was refused:
//! responses may come from an admission webhook, which must not slow down other objects.

use std::cell::Cell;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};

tokio::task_local! {
    static ASKED: Cell<Option<Duration>>;
}

/// Runs a task. Returns its result, and the longest delay that the API server asked for meanwhile.
pub(crate) async fn collect<F: Future>(task: F) -> (F::Output, Option<Duration>) {
    ASKED
        .scope(Cell::new(None), async {
            let result = task.await;
            (result, ASKED.with(Cell::get))
        })
        .await
}

/// Remembers what a response asks for.
pub(crate) fn read<B>(response: &Response<B>) {
    if let Some(delay) = delay(response) {
        // Requests outside of a reconcile, such as watches, have a backoff of their own.
        let _ = ASKED.try_with(|asked| asked.set(asked.get().max(Some(delay))));
    }
}

/// Returns how long to wait, in whole seconds; a date is not understood, since no API server sends one.
fn delay<B>(response: &Response<B>) -> Option<Duration> {
    let asks = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    if !asks.contains(&response.status()) {
        return None;
    }
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}
