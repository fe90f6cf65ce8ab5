//! The script of a page, and the check of its output. Pure.
//!
//! All blocks run in one shell, one after the other, so that a variable set in one is there in the next. Lines
//! with a mark that no command prints by accident show where one block ends and the next begins.

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};

use super::expected;
use super::page::{Commands, Step};

/// The subfolder of the reader's folder with the files that make up the steps.
pub(crate) const STEPS: &str = ".steps";

/// The shell script that takes the steps, whose parts are in [`STEPS`] under their numbers.
///
/// It is in one piece with its environment: the first failure ends it, also in the middle of a pipe.
pub(crate) fn script(steps: &[Step], mark: &str) -> String {
    let mut script = format!(
        "exec 2>&1 </dev/null\nset -euo pipefail\n\
         guide_failed='printf \"\\n%s failed %s %s\\n\" {mark} \"$?\" \"${{BASH_COMMAND%%$'\\''\\n'\\''*}}\"'\n\
         trap \"$guide_failed\" ERR EXIT\n"
    );
    for (number, step) in steps.iter().enumerate() {
        // A failure within a function ends the shell and is no ERR outside of it: the trap on EXIT reports it.
        // Writing to a String cannot fail.
        let _ = match step {
            Step::File { name, .. } => writeln!(script, "cp {STEPS}/{number} '{name}'"),
            Step::Commands(commands) if commands.fails => writeln!(
                script,
                "printf '\\n%s begin %s\\n' {mark} {number}\n\
                 set +e; trap - ERR\n(trap - EXIT; set -euo pipefail; source {STEPS}/{number}); guide_status=$?\n\
                 set -e; trap \"$guide_failed\" ERR\n\
                 printf '\\n%s end %s\\n' {mark} \"$guide_status\""
            ),
            Step::Commands(_) => writeln!(
                script,
                "printf '\\n%s begin %s\\n' {mark} {number}\nsource {STEPS}/{number}\nprintf '\\n%s end 0\\n' {mark}"
            ),
        };
    }
    script
}

/// Checks what a script printed.
///
/// # Errors
/// The first step that differs from the page: its line, the command, what it printed.
pub(crate) fn check(steps: &[Step], mark: &str, printed: &str) -> anyhow::Result<()> {
    let seen = read(mark, printed);
    for (number, step) in steps.iter().enumerate() {
        let Step::Commands(commands) = step else { continue };
        let line = commands.line;
        let run = seen.iter().find(|run| run.step == number);
        let run = run.with_context(|| format!("line {line}: it did not come to these commands"))?;
        verdict(commands, run).with_context(|| format!("line {line}"))?;
        if let Some(promised) = &commands.output
            && let Err(difference) = expected::compare(&promised.text, &run.output)
        {
            bail!(
                "line {}: {}; the output of the commands of line {line} is\n{}",
                promised.line + difference.line,
                difference.text,
                indented(&run.output)
            );
        }
    }
    Ok(())
}

fn verdict(commands: &Commands, run: &Run) -> anyhow::Result<()> {
    let output = indented(&run.output);
    match (commands.fails, run.status) {
        (_, None) => match &run.failed {
            Some((status, command)) => bail!("`{command}` ended with {status} and printed\n{output}"),
            None => bail!("the commands did not end in time; they printed\n{output}"),
        },
        (true, Some(0)) => bail!("it is to fail, and did not; it printed\n{output}"),
        _ => Ok(()),
    }
}

/// What became of the commands of one step.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    step: usize,
    output: String,
    /// How the last command ended; `None` when it did not come to the end.
    status: Option<i32>,
    /// How the command ended that failed, and that command; of a pipe, its last.
    failed: Option<(String, String)>,
}

fn read(mark: &str, printed: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut within = false;
    for line in printed.lines() {
        let reported = line.strip_prefix(mark).map(str::trim_start);
        match reported.map(|reported| reported.split_once(' ').unwrap_or((reported, ""))) {
            Some(("begin", number)) => {
                runs.push(Run {
                    step: number.parse().unwrap_or(usize::MAX),
                    ..Run::default()
                });
                within = true;
            }
            Some((what, rest)) => {
                within = false;
                if let Some(run) = runs.last_mut() {
                    if what == "end" {
                        run.status = rest.parse().ok();
                    } else {
                        // The first one is the cause; the shell reports it again when it exits.
                        let (status, command) = rest.split_once(' ').unwrap_or((rest, ""));
                        run.failed
                            .get_or_insert_with(|| (status.to_owned(), command.to_owned()));
                    }
                }
            }
            None if within => {
                if let Some(run) = runs.last_mut() {
                    run.output.push_str(line);
                    run.output.push('\n');
                }
            }
            None => {}
        }
    }
    runs
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("    {line}"))
        .collect();
    if lines.is_empty() {
        "    nothing".to_owned()
    } else {
        lines.join("\n")
    }
}

/// Fails when a step would hide another by its name.
pub(crate) fn ensure_plain(steps: &[Step]) -> anyhow::Result<()> {
    for step in steps {
        if let Step::File { name, line, .. } = step {
            ensure!(
                name.chars()
                    .all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character)),
                "line {line}: {name:?} is no plain name of a file"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::guides::page;

    const MARK: &str = "@mark@";

    fn run(text: &str) -> anyhow::Result<()> {
        let steps = page::steps(text)?;
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join(STEPS))?;
        for (number, step) in steps.iter().enumerate() {
            let (Step::File { text, .. } | Step::Commands(Commands { text, .. })) = step;
            fs::write(folder.path().join(STEPS).join(number.to_string()), text)?;
        }
        let output = Command::new("bash")
            .args(["-c", &script(&steps, MARK)])
            .current_dir(folder.path())
            .output()?;
        check(&steps, MARK, &String::from_utf8_lossy(&output.stdout))
    }

    #[test]
    fn a_page_that_is_right_passes() {
        run("Write `a.txt`:\n```text file=a.txt\nhello\n```\n```sh\nname=you\ncat a.txt\nprintf 'no newline'\n```\n\
             ```text\nhello\nno newline\n```\n```sh fails\necho to $name >&2\ncat nothing\n```\n\
             ```text\nto you\ncat: nothing: …\n```\n```sh\ntest ! -e nothing\n```\n")
        .unwrap();
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (page, words) in [
            (
                "```sh\necho a\nfalse | true\necho b\n```",
                "line 1: `true` ended with 1",
            ),
            (
                "```sh\necho a\ncat nothing\n```",
                "line 1: `cat nothing` ended with 1 and printed\n    a\n    cat: ",
            ),
            ("```sh\necho $nobody\n```", "line 1: "),
            ("```sh\necho 'open\n```", "line 1: "),
            ("```sh fails\ntrue\n```", "line 1: it is to fail, and did not"),
            (
                "```sh\necho b\n```\n```text\na\n```",
                "line 5: `a` is expected, and `b` came; the output of the commands of line 1 is\n    b",
            ),
            (
                "```sh\nexit 0\n```\n```sh\ntrue\n```",
                " ended with 0 and printed\n    nothing",
            ),
            (
                "```sh\nrun() { cat nothing; }\nrun\n```",
                " ended with 1 and printed\n    cat: nothing",
            ),
        ] {
            let error = format!("{:#}", run(page).unwrap_err());
            assert!(error.contains(words), "{page:?}: {error}");
        }
    }
}
