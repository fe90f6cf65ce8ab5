//! What counts as stuck, with paused time.

use std::future::ready;

use tokio::time::{advance, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_runtime_that_runs_tasks_is_alive() {
    let liveness = Liveness::default();
    let beating = tokio::spawn(liveness.clone().beat());
    for _ in 0..20 {
        sleep(Duration::from_secs(7)).await;
        assert_eq!(liveness.stuck(), None);
    }
    // As when the runtime polls nothing any more.
    beating.abort();
    advance(BEAT_MISSED + BEAT).await;
    assert!(liveness.stuck().unwrap().starts_with("no task was run"));
}

#[tokio::test(start_paused = true)]
async fn a_task_may_wait_for_long_but_not_run_for_long() {
    let liveness = Liveness::default();
    let waits = liveness.observe("waits", sleep(Duration::from_hours(1)));
    let waiting = tokio::spawn(waits);
    sleep(Duration::from_mins(50)).await;
    assert_eq!(liveness.stuck(), None);
    waiting.await.unwrap();
    let seen = liveness.clone();
    let runs = liveness.observe("the reconcile of a", async move {
        advance(LONGEST_STEP).await;
        seen.stuck()
    });
    assert_eq!(runs.await, None);
    let blocks = std::future::poll_fn(|cx| {
        // As a computation without end: time passes within one step.
        let passing = std::pin::pin!(advance(LONGEST_STEP + Duration::from_secs(1)));
        let _ = passing.poll(cx);
        Poll::Ready(liveness.stuck())
    });
    let seen = liveness.observe("the reconcile of b", blocks).await;
    assert!(seen.unwrap().starts_with("the reconcile of b runs for"));
    assert_eq!(liveness.stuck(), None, "it ended");
    drop(liveness.observe("never polled", ready(())));
    assert!(
        lock(&liveness.0.steps).is_empty(),
        "nothing is kept of what ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_queue_from_which_nothing_starts_is_stuck() {
    let liveness = Liveness::default();
    let queue = liveness.queue("pgpool");
    let almost = LONGEST_WAIT.saturating_sub(Duration::from_secs(1));
    for (started, waits) in [
        (false, true),
        (true, true),
        (false, false),
        (false, true),
        (true, true),
    ] {
        queue.looked_at(started, waits);
        advance(almost).await;
        assert_eq!(liveness.stuck(), None, "{started} {waits}");
    }
    queue.looked_at(false, true);
    advance(Duration::from_secs(2)).await;
    assert!(liveness.stuck().unwrap().contains("controller pgpool"));
    queue.looked_at(true, false);
    assert_eq!(liveness.stuck(), None, "nothing waits any more");
}
