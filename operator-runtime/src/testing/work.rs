//! How long pure code works: for `cargo e2e bench bounds`, which reads what is printed here.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::apply::compare::contains;

/// Runs that count, after one that warms caches up.
const RUNS: usize = 5;

/// The time that the processor spends on this thread for one run of `work`: the least of several, so that other processes
/// do not count.
#[must_use]
pub fn cpu_time<T>(mut work: impl FnMut() -> T) -> Duration {
    black_box(work());
    let runs = (0..RUNS).map(|_| {
        let start = spent();
        black_box(work());
        spent().saturating_sub(start)
    });
    runs.min().unwrap_or_default()
}

fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(
        u64::try_from(time.tv_nsec).unwrap_or_default(),
    ))
}

/// Whether a live object has every field of a desired one, as an apply compares them.
#[must_use]
pub fn has_every_field(desired: &Value, live: &Value) -> bool {
    contains(desired, live)
}

/// The steps of one object: their names and times.
pub type Steps = Vec<(&'static str, Duration)>;

/// Prints what the steps take for a small and for the largest admitted object.
#[expect(clippy::print_stdout, reason = "the benchmark reads it")]
pub fn print_steps(program: &str, input: &str, small: &Steps, large: &Steps) {
    let milliseconds =
        |steps: &Steps| -> f64 { steps.iter().map(|(_, time)| time.as_secs_f64() * 1e3).sum() };
    let each: serde_json::Map<_, _> = large
        .iter()
        .map(|(step, time)| ((*step).to_owned(), json!(time.as_secs_f64() * 1e3)))
        .collect();
    let line = json!({
        "bounds": program,
        "input": input,
        "small": milliseconds(small),
        "large": milliseconds(large),
        "steps": each,
    });
    println!("{line}");
}
