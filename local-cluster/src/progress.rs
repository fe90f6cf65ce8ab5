//! Shows what is going on. On a terminal each running step is a line with a spinner; elsewhere every step
//! writes a line when it starts and when it ends, and a sign of life in between, so that the log of a build
//! machine never looks hung. Touches standard error only.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two signs of life of a running step where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The display. Clones show on the same one.
#[derive(Clone)]
pub struct Progress {
    inner: Arc<Inner>,
}

struct Inner {
    bars: Option<MultiProgress>,
    running: Mutex<Vec<Arc<Running>>>,
}

struct Running {
    title: String,
    started: Instant,
    note: Mutex<String>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new(std::io::stderr().is_terminal())
    }
}

impl Progress {
    /// A display for a terminal, or for a log.
    #[must_use]
    pub fn new(terminal: bool) -> Self {
        let bars = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        let inner = Arc::new(Inner {
            bars,
            running: Mutex::default(),
        });
        if !terminal {
            let display = Arc::downgrade(&inner);
            std::thread::spawn(move || beat(&display));
        }
        Self { inner }
    }

    /// Starts a step. It ends with [`Step::done`]; dropping it without tells that it failed.
    #[must_use]
    pub fn step(&self, title: impl Into<String>) -> Step {
        let running = Arc::new(Running {
            title: title.into(),
            started: Instant::now(),
            note: Mutex::default(),
        });
        let bar = self.inner.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(running.title.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            self.line(format_args!("...    {}", running.title));
        }
        lock(&self.inner.running).push(Arc::clone(&running));
        Step {
            progress: self.clone(),
            running,
            bar,
            over: false,
        }
    }

    /// Writes one line that stays.
    pub fn line(&self, text: impl fmt::Display) {
        match &self.inner.bars {
            Some(bars) => bars.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

/// One thing that is going on.
pub struct Step {
    progress: Progress,
    running: Arc<Running>,
    bar: Option<ProgressBar>,
    over: bool,
}

impl Step {
    /// Shows what the step is at just now.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        if let Some(bar) = &self.bar {
            bar.set_message(text.clone());
        }
        *lock(&self.running.note) = text;
    }

    /// Writes one line that stays, about something that is over within the step.
    pub fn line(&self, text: impl fmt::Display) {
        self.progress.line(text);
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.running.started.elapsed()
    }

    /// Ends the step well.
    pub fn done(mut self) {
        self.finish("ok    ");
    }

    fn finish(&mut self, outcome: &str) {
        self.over = true;
        lock(&self.progress.inner.running).retain(|other| !Arc::ptr_eq(other, &self.running));
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let Running { title, .. } = &*self.running;
        self.progress
            .line(format_args!("{outcome} {title} ({})", Elapsed(self.elapsed())));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.over {
            self.finish("FAILED");
        }
    }
}

/// Writes the running steps from time to time, for as long as the display is there.
fn beat(display: &Weak<Inner>) {
    loop {
        std::thread::sleep(HEARTBEAT);
        let Some(inner) = display.upgrade() else { return };
        for running in lock(&inner.running).iter() {
            let elapsed = running.started.elapsed();
            if elapsed < HEARTBEAT / 2 {
                continue;
            }
            let note = lock(&running.note);
            let colon = if note.is_empty() { "" } else { ": " };
            eprintln!("...    {} ({}){colon}{note}", running.title, Elapsed(elapsed));
        }
    }
}

/// A time as people say it: `0.4 s`, `12 s`, `3 min 5 s`.
pub struct Elapsed(pub Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..=9 => write!(formatter, "{:.1} s", self.0.as_secs_f64()),
            10..=59 => write!(formatter, "{seconds} s"),
            _ => write!(formatter, "{} min {} s", seconds / 60, seconds % 60),
        }
    }
}

/// A display outlives a panic of one of its users.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        let told = |millis| Elapsed(Duration::from_millis(millis)).to_string();
        assert_eq!(told(440), "0.4 s");
        assert_eq!(told(12_900), "12 s");
        assert_eq!(told(185_000), "3 min 5 s");
    }

    #[test]
    fn an_ended_step_is_not_running() {
        let progress = Progress::new(false);
        let step = progress.step("one");
        let dropped = progress.step("two");
        assert_eq!(lock(&progress.inner.running).len(), 2);
        step.done();
        drop(dropped);
        assert!(lock(&progress.inner.running).is_empty());
    }
}
