//! What each verb runs, and how: one list of steps for each.

use std::{
    ffi::OsStr,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    advisories, generate, imports, permissions, scripts,
    tools::{BUF, CARGO_DENY, CARGO_SHEAR, HADOLINT, LYCHEE, SHELLCHECK, TYPOS, Tool},
    workspace, writes,
};

pub(crate) struct Step {
    what: &'static str,
    run: Run,
}

enum Run {
    /// A program and its arguments.
    Program(&'static [&'static str]),
    /// A checker with its arguments; it is installed when it is missing.
    Tool(&'static Tool, &'static [&'static str]),
    /// Something in this crate, which says whether it passed.
    Check(fn() -> anyhow::Result<bool>),
}

use Run::{Check, Program, Tool as Checker};

pub(crate) const FMT: &[Step] = &[Step {
    what: "format",
    run: Program(&["cargo", "fmt", "--all"]),
}];

pub(crate) const TEST: &[Step] = &[Step {
    what: "tests",
    run: Program(&["cargo", "e2e", "test"]),
}];

pub(crate) const DEMO: &[Step] = &[Step {
    what: "demo",
    run: Program(&["cargo", "e2e", "demo"]),
}];

pub(crate) const CI: &[Step] = &[Step {
    what: "all that CI runs",
    run: Program(&[".ci/run"]),
}];

/// The cheapest first.
pub(crate) const LINT: &[Step] = &[
    Step {
        what: "format",
        run: Program(&["cargo", "fmt", "--all", "--check"]),
    },
    Step {
        what: "imports, steps, layers, sizes of files",
        run: Check(imports::run),
    },
    Step {
        what: "writes to the API server pass the ownership check",
        run: Check(writes::run),
    },
    Step {
        what: "generated files",
        run: Check(|| generate::run(true)),
    },
    Step {
        what: "permissions in the book",
        run: Check(permissions::run),
    },
    Step {
        what: "spelling",
        run: Checker(&TYPOS, &[]),
    },
    Step {
        what: "scripts of this repository",
        run: Checker(
            &SHELLCHECK,
            &[
                ".ci/run",
                "release/images",
                "tls-reload/start.sh",
                "tls-reload/tests/start",
                "tls-reload/tests/pgpool",
            ],
        ),
    },
    Step {
        what: "scripts in generated objects",
        run: Check(scripts::run),
    },
    Step {
        what: "Dockerfile",
        run: Checker(&HADOLINT, &["Dockerfile"]),
    },
    Step {
        what: "protocol",
        run: Checker(&BUF, &["lint"]),
    },
    Step {
        what: "links between pages",
        run: Checker(
            &LYCHEE,
            &["--offline", "--include-fragments", "--no-progress", "**/*.md"],
        ),
    },
    Step {
        what: "module that reloads certificates: its cases",
        run: Program(&["make", "--no-print-directory", "-C", "tls-reload", "check"]),
    },
    Step {
        what: "unused dependencies",
        run: Checker(&CARGO_SHEAR, &[]),
    },
    Step {
        what: "licenses, sources and duplicates of dependencies",
        run: Checker(
            &CARGO_DENY,
            &[
                "--locked",
                "check",
                "--hide-inclusion-graph",
                "bans",
                "licenses",
                "sources",
            ],
        ),
    },
    Step {
        what: "known vulnerabilities of dependencies",
        run: Check(advisories::run),
    },
    Step {
        what: "Clippy",
        run: Program(&[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    },
    Step {
        what: "documentation of the code",
        run: Program(&[
            "cargo",
            // Private items are documented too, so that a link to one resolves.
            "--config=build.rustdocflags=['-D', 'warnings', '-A', 'rustdoc::private_intra_doc_links']",
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
        ]),
    },
];

/// Runs every step, also after one failed, and says how long each took.
pub(crate) fn run(steps: &[Step]) -> bool {
    let mut times: Vec<(&Step, bool, Duration)> = Vec::new();
    for step in steps {
        println!("\n== {}", step.what);
        let start = Instant::now();
        let passed = step.run().unwrap_or_else(|error| {
            println!("{error:#}");
            false
        });
        times.push((step, passed, start.elapsed()));
    }
    println!();
    for (step, passed, time) in &times {
        let passed = if *passed { "passed" } else { "FAILED" };
        println!("{passed} {:6.1} s  {}", time.as_secs_f64(), step.what);
    }
    times.iter().all(|(_, passed, _)| *passed)
}

impl Step {
    fn run(&self) -> anyhow::Result<bool> {
        match self.run {
            Program(words) => execute(words[0], &words[1..]),
            Checker(tool, arguments) => execute(tool.installed()?, arguments),
            Check(check) => check(),
        }
    }
}

fn execute(program: impl AsRef<OsStr>, arguments: &[&str]) -> anyhow::Result<bool> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace::root());
    println!("{} {}", command.get_program().display(), arguments.join(" "));
    Ok(command.status()?.success())
}
