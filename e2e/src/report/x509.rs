//! Certificate chains of public suites and of our own: does `tls-bundle` say what OpenSSL says?

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use crate::images;
use crate::workspace::Workspace;
use crate::x509::{Case, Example, Generator, Oracle, Programs, Summary, compare, examples, read_suite};

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

    /// Serve so many bundles of our own with a real pgpool, and connect with a real psql, to see whether OpenSSL says here
    /// what it says there. Needs root.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["suite", "fuzz", "cases"])]
    real: Option<usize>,
}

/// The most processor time for one bundle, when it is verified again.
const GOAL: Duration = Duration::from_millis(50);

/// How many bundles are verified again.
const RERUN: usize = 5;

pub(super) fn report(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(count) = options.real {
        return real(workspace, options.seed, count);
    }
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

/// Compares the oracle with programs.
fn real(workspace: &Workspace, seed: u64, count: usize) -> anyhow::Result<ExitCode> {
    let images = images::databases(&workspace.builder)?;
    let image = images.first().context("there is an image of pgpool")?;
    let now = Timestamp::try_from(SystemTime::now())?;
    let examples = examples(&Generator::at(seed, now), &Oracle::new()?, count)?;
    let mut programs = Programs::start(&image.archive)?;
    let folder = workspace.results().join("x509-real");
    let (mut differing, mut good) = (0, 0);
    for Example { case, truth } in &examples {
        let found = programs
            .connect(case)
            .with_context(|| format!("serving {}", case.name))?;
        let (said, expected) = (
            found.as_ref().err().map_or("connects", String::as_str),
            truth.result().err().unwrap_or("connects"),
        );
        let differs = found.is_ok() != truth.result().is_ok();
        let word = if differs { "DIFFERS" } else { "agrees" };
        println!("{word}: {}; psql: {said}; OpenSSL: {expected}", case.name);
        if differs {
            case.keep(&folder, said)?;
        }
        differing += usize::from(differs);
        good += usize::from(found.is_ok());
    }
    println!("{count} examples, {good} connect, {differing} differ from what the oracle says");
    Ok(exit_code(differing))
}

struct Run {
    oracle: Oracle,
    summary: Summary,
    /// The cases that took longest, the slowest first.
    slowest: Vec<(Duration, Case)>,
}

impl Run {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            oracle: Oracle::new()?,
            summary: Summary::default(),
            slowest: Vec::new(),
        })
    }

    fn add(&mut self, case: Case) -> anyhow::Result<()> {
        let comparison = compare(&self.oracle, &case).with_context(|| format!("verifying {}", case.name))?;
        let took = comparison.took;
        self.summary.add(&case, comparison);
        if self.slowest.len() < RERUN || self.slowest.last().is_some_and(|(least, _)| took > *least) {
            self.slowest.push((took, case));
            self.slowest.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
            self.slowest.truncate(RERUN);
        }
        Ok(())
    }

    /// Verifies the slowest cases again, and returns how many are too slow also then.
    fn slow(&self) -> anyhow::Result<usize> {
        let mut slow = 0;
        for (took, case) in &self.slowest {
            let mut least = *took;
            for _ in 0..5 {
                least = least.min(compare(&self.oracle, case)?.took);
            }
            let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
            println!(
                "among the slowest: {:.1} ms, and {:.1} ms again: {}",
                milliseconds(*took),
                milliseconds(least),
                case.name
            );
            slow += usize::from(least > GOAL);
        }
        Ok(slow)
    }
}
