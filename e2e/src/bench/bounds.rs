//! How long the operators take for the largest objects that are admitted. Needs no cluster: `#[ignore]`d tests of both
//! programs measure the steps of a reconcile and print a line for each input.

use std::process::Command;

use anyhow::{Context as _, bail};
use local_cluster::command;
use serde::Deserialize;
use serde_json::Value;

use super::figures::Figure;
use crate::workspace::Workspace;

/// The most for one object, in milliseconds.
const GOAL: f64 = 50.0;

/// A line of the measurement.
#[derive(Debug, Deserialize)]
struct Measured {
    #[serde(rename = "bounds")]
    program: String,
    input: String,
    /// Milliseconds, of all steps.
    small: f64,
    large: f64,
    steps: serde_json::Map<String, Value>,
}

/// Measures, and fails if one object takes too long.
pub(super) fn measure(workspace: &Workspace) -> anyhow::Result<(Vec<Figure>, bool)> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&workspace.root).args([
        "test",
        "--locked",
        "--profile",
        "bounds",
        "--package",
        "provisioner",
        "--package",
        "ops-manager",
        "bounds::bounds",
        "--",
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    workspace.progress.line(format_args!(
        "compiling the operators as for a release, which takes minutes"
    ));
    let output = command::output(&mut cargo)?;
    let mut figures = Vec::new();
    for measured in read(&output)? {
        println!("{}", line(&measured));
        let title = format!("{}: {}", measured.program, measured.input);
        figures.push(Figure::new(title, Some(measured.large), "ms").at_most(GOAL));
    }
    if figures.is_empty() {
        bail!("the tests measured nothing: {output}");
    }
    let all_met = figures.iter().all(|figure| figure.met == Some(true));
    Ok((figures, all_met))
}

/// One line with the time of each step.
fn line(measured: &Measured) -> String {
    let steps = measured.steps.iter();
    let steps: Vec<_> = steps
        .map(|(name, time)| format!("{name} {:.2}", time.as_f64().unwrap_or(f64::NAN)))
        .collect();
    format!(
        "{}, {}: {:.2} ms (a small one {:.2} ms): {}",
        measured.program,
        measured.input,
        measured.large,
        measured.small,
        steps.join(", ")
    )
}

fn read(output: &str) -> anyhow::Result<Vec<Measured>> {
    let lines = output
        .lines()
        .filter_map(|line| line.find("{\"bounds\"").map(|at| &line[at..]));
    lines
        .map(|line| serde_json::from_str(line).with_context(|| format!("not a measurement: {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_found_between_the_lines_of_the_test_runner() {
        let output = "running 1 test\ntest bounds::bounds ... {\"bounds\":\"provisioner\",\"input\":\"backends\",\"small\":1.0,\
                      \"large\":51.5,\"steps\":{\"decode\":0.5}}\nok\n";
        let measured = read(output).unwrap();
        assert_eq!(measured.len(), 1);
        assert_eq!(
            line(&measured[0]),
            "provisioner, backends: 51.50 ms (a small one 1.00 ms): decode 0.50"
        );
        assert!(read("{\"bounds\":1}").is_err());
    }
}
