//! Shows running steps on standard error. On a terminal each one is a line with a spinner; elsewhere every step writes
//! a line when it starts, when it ends and every half minute in between, so that the log of a CI job never looks stuck.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};

/// Time between two lines about a running step where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The display. Clones show on the same one.
#[derive(Clone)]
pub struct Progress {
    /// Absent where there is no terminal.
    bars: Option<MultiProgress>,
}

impl Default for Progress {
    fn default() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            bars: terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
        }
    }
}

impl Progress {
    /// Starts a step. It ends with [`Step::done`]; dropping it before means that it failed.
    pub fn step(&self, title: impl Into<String>) -> Step {
        let bar = match &self.bars {
            Some(bars) => bars.add(ProgressBar::new_spinner()),
            None => ProgressBar::hidden(),
        };
        bar.set_prefix(title.into());
        if self.bars.is_some() {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            self.line(format_args!("...    {}", bar.prefix()));
            let running = bar.downgrade();
            std::thread::spawn(move || report_while_running(&running));
        }
        Step {
            progress: self.clone(),
            bar,
        }
    }

    /// Prints a line that the progress display does not overwrite.
    pub fn line(&self, text: impl fmt::Display) {
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

/// A running step.
pub struct Step {
    progress: Progress,
    /// Also holds title, note and start where it is not shown.
    bar: ProgressBar,
}

impl Step {
    /// Shows what the step is doing right now.
    pub fn note(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Prints a line that the progress display does not overwrite, about a finished part of the step.
    pub fn line(&self, text: impl fmt::Display) {
        self.progress.line(text);
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// Ends the step successfully.
    pub fn done(self) {
        self.finish("ok    ");
    }

    fn finish(&self, outcome: &str) {
        let elapsed = Elapsed(self.elapsed());
        self.bar.finish_and_clear();
        self.progress
            .line(format_args!("{outcome} {} ({elapsed})", self.bar.prefix()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.finish("FAILED");
        }
    }
}

fn report_while_running(bar: &WeakProgressBar) {
    loop {
        std::thread::sleep(HEARTBEAT);
        let Some(bar) = bar.upgrade().filter(|bar| !bar.is_finished()) else {
            return;
        };
        let note = bar.message();
        let colon = if note.is_empty() { "" } else { ": " };
        eprintln!(
            "...    {} ({}){colon}{note}",
            bar.prefix(),
            Elapsed(bar.elapsed())
        );
    }
}

/// A duration as people write it: `0.4 s`, `12 s`, `3 min 5 s`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        let written = |millis| Elapsed(Duration::from_millis(millis)).to_string();
        assert_eq!(written(440), "0.4 s");
        assert_eq!(written(12_900), "12 s");
        assert_eq!(written(185_000), "3 min 5 s");
    }

    #[test]
    fn a_step_without_a_terminal_keeps_its_note_and_ends_once() {
        let progress = Progress { bars: None };
        let step = progress.step("one");
        step.note("halfway");
        let bar = step.bar.clone();
        assert_eq!(
            (bar.prefix().as_str(), bar.message().as_str()),
            ("one", "halfway")
        );
        assert!(!bar.is_finished());
        step.done();
        assert!(bar.is_finished());
    }
}
