//! What came of an attack. Pure.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::Usage;

/// Longest time without an answer of `/livez`. The kubelet kills a container after three probes in vain, twenty seconds apart.
const SILENCE: Duration = Duration::from_secs(20);

/// What came of one attack. It got through if anything is in `through`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(super) name: String,
    pub(super) by: &'static str,
    /// Who refused it, or the condition that resulted.
    pub(super) outcome: String,
    /// Everything that must not have come of it.
    pub(super) through: Vec<String>,
    /// From the change of the neighbor's pool until it was carried out.
    pub(super) served: Option<Duration>,
    /// What each operator used.
    pub(super) usage: Vec<(&'static str, Usage)>,
}

impl Verdict {
    pub(crate) fn got_through(&self) -> bool {
        !self.through.is_empty()
    }

    /// Adds what is forbidden to every attack: an operator that uses too much or is silent.
    pub(super) fn check_usage(
        &mut self,
        operator: &'static str,
        usage: Usage,
        limit: u64,
        silence: Duration,
    ) {
        if usage.peak > limit {
            let (used, limit) = (mebibytes(usage.peak), mebibytes(limit));
            self.through.push(format!(
                "{operator} uses {used:.0} MiB, and its chart allows {limit:.0}"
            ));
        }
        if silence > SILENCE {
            self.through.push(format!(
                "/livez of {operator} does not answer for {:.0} s",
                silence.as_secs_f64()
            ));
        }
        self.usage.push((operator, usage));
    }

    pub(super) fn check_processor(&mut self, limit: u32) {
        let seconds = self.processor_seconds();
        if seconds > f64::from(limit) {
            self.through
                .push(format!("the operators use {seconds:.0} s of processor time"));
        }
    }

    fn processor_seconds(&self) -> f64 {
        self.usage.iter().map(|(_, usage)| usage.processor_seconds).sum()
    }

    /// Adds what is not there yet.
    pub(super) fn add(&mut self, through: impl IntoIterator<Item = String>) {
        for text in through {
            if !self.through.contains(&text) {
                self.through.push(text);
            }
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let usage = self.usage.iter().map(|(operator, usage)| {
            json!({
                "operator": operator,
                "peakMebibytes": mebibytes(usage.peak),
                "processorSeconds": usage.processor_seconds,
                "openFiles": usage.open_files,
            })
        });
        json!({
            "attack": self.name,
            "as": self.by,
            "outcome": self.outcome,
            "through": self.through,
            "neighborServedSeconds": self.served.map(|served| served.as_secs_f64()),
            "usage": usage.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, outcome, .. } = self;
        let result = if self.got_through() { "THROUGH" } else { "held   " };
        write!(formatter, "{result} {name}: {outcome}")?;
        if let Some(served) = self.served {
            write!(formatter, "; neighbor served in {:.1} s", served.as_secs_f64())?;
        }
        for (operator, usage) in &self.usage {
            let (memory, seconds) = (mebibytes(usage.peak), usage.processor_seconds);
            write!(formatter, "; {operator} {memory:.0} MiB {seconds:.1} s")?;
        }
        for text in &self.through {
            write!(formatter, "\n        {text}")?;
        }
        Ok(())
    }
}

/// The last line of a report.
pub(crate) fn summary(verdicts: &[Verdict]) -> String {
    let through = verdicts.iter().filter(|verdict| verdict.got_through()).count();
    format!("{} attacks, {through} got through", verdicts.len())
}

#[expect(clippy::cast_precision_loss, reason = "printed without decimals")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1 << 20;

    #[test]
    fn an_operator_may_use_what_its_chart_allows() {
        let mut verdict = Verdict::default();
        let usage = |peak, processor_seconds| Usage {
            peak,
            processor_seconds,
            open_files: 0,
        };
        verdict.check_usage(
            "provisioner",
            usage(100 * MEBIBYTE, 5.0),
            128 * MEBIBYTE,
            Duration::ZERO,
        );
        verdict.check_processor(40);
        assert!(!verdict.got_through());
        verdict.check_usage(
            "ops-manager",
            usage(129 * MEBIBYTE, 36.0),
            128 * MEBIBYTE,
            Duration::from_mins(1),
        );
        verdict.check_processor(40);
        assert_eq!(
            verdict.through,
            [
                "ops-manager uses 129 MiB, and its chart allows 128",
                "/livez of ops-manager does not answer for 60 s",
                "the operators use 41 s of processor time",
            ]
        );
        assert_eq!(
            summary(&[verdict, Verdict::default()]),
            "2 attacks, 1 got through"
        );
    }

    #[test]
    fn nothing_is_reported_twice() {
        let mut verdict = Verdict::default();
        verdict.add(["a".to_owned(), "a".to_owned()]);
        verdict.add(["a".to_owned()]);
        assert_eq!(verdict.through, ["a"]);
    }
}
