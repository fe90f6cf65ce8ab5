//! Certificate chains of public suites and of our own: does `tls-bundle` say what OpenSSL says?

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use crate::workspace::Workspace;
use crate::x509::{Case, Generator, Oracle, Summary, compare, read_suite};

use super::{exit_code, keep};

#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Options {
    /// A folder with limbo.json, or with vectors.json and certs/; may be given more than once.
    #[arg(long, value_name = "FOLDER")]
    suite: Vec<PathBuf>,

    /// How many bundles of our own, if there is no suite.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    cases: u64,

    /// Which bundles of our own.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Damage bundles of our own at random places for so long, instead of comparing a number of them.
    #[arg(long, value_name = "SECONDS", conflicts_with = "suite")]
    fuzz: Option<u64>,
}

/// The most for one bundle, when it is verified again alone.
const GOAL: Duration = Duration::from_millis(50);

pub(super) fn report(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    let mut run = Run::new()?;
    let generator = Generator::new(options.seed);
    if let Some(seconds) = options.fuzz {
        let start = Instant::now();
        for number in 0.. {
            if start.elapsed().as_secs() >= seconds {
                break;
            }
            run.add(generator.damaged(number)?)?;
        }
    } else if options.suite.is_empty() {
        for number in 0..options.cases {
            run.add(generator.case(number)?)?;
        }
    }
    let now = Timestamp::try_from(SystemTime::now())?;
    for folder in &options.suite {
        for case in read_suite(folder, now)? {
            run.add(case)?;
        }
    }
    let slow = run.slow()?;
    let Run { summary, .. } = run;
    let folder = workspace.results().join("x509");
    for (case, about) in summary.examples() {
        case.keep(&folder, &about)?;
    }
    println!("{summary}");
    keep(workspace, "report-x509", &summary.json())?;
    Ok(exit_code(summary.wrong() + slow))
}

struct Run {
    oracle: Oracle,
    summary: Summary,
    /// The case that took longest, which may have been the fault of the machine.
    slowest: Option<(Duration, Case)>,
}

impl Run {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            oracle: Oracle::new()?,
            summary: Summary::default(),
            slowest: None,
        })
    }

    fn add(&mut self, case: Case) -> anyhow::Result<()> {
        let comparison = compare(&self.oracle, &case).with_context(|| format!("verifying {}", case.name))?;
        let took = comparison.took;
        self.summary.add(&case, comparison);
        if self.slowest.as_ref().is_none_or(|(most, _)| took > *most) {
            self.slowest = Some((took, case));
        }
        Ok(())
    }

    /// Verifies the slowest case again, and returns how many are too slow also then.
    fn slow(&self) -> anyhow::Result<usize> {
        let Some((took, case)) = &self.slowest else {
            return Ok(0);
        };
        let mut least = *took;
        for _ in 0..5 {
            least = least.min(compare(&self.oracle, case)?.took);
        }
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "the slowest took {:.1} ms, and {:.1} ms alone: {}",
            milliseconds(*took),
            milliseconds(least),
            case.name
        );
        Ok(usize::from(least > GOAL))
    }
}
