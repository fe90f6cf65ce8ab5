//! Runs programs of the host, with their output captured or in a log file. An error shows the command and the end of its
//! output.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The search path for programs of the system. Explicit, since a user's own often lacks the `sbin` folders, and the
/// daemons of the cluster must not depend on the user's profile.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Lines of a log shown with an error.
const TAIL: usize = 20;

pub fn find(name: &str) -> Option<PathBuf> {
    PATH.split(':')
        .map(|folder| Path::new(folder).join(name))
        .find(|candidate| executable(candidate))
}

fn executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Runs `command` to its end with both outputs in the file `log`, and passes each line to `note`. Any exit status but 0
/// is an error, which shows the end of the log.
pub fn run_logged(command: &mut Command, log: &Path, mut note: impl FnMut(&str)) -> anyhow::Result<()> {
    let shown = show(command);
    let (reader, writer) = std::io::pipe()?;
    let mut file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("starting {shown}"))?;
    // `command` holds copies of the pipe's writing end: the reader would never end while they exist.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        file.write_all(&line)?;
        file.write_all(b"\n")?;
        note(String::from_utf8_lossy(&line).trim_end());
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{shown}: {status}; the end of {}:\n{}", log.display(), tail(log));
    }
    Ok(())
}

/// Runs `command` to its end and returns its standard output. Any exit status but 0 is an error, which shows the standard
/// error.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {shown}"))?;
    if !output.status.success() {
        bail!(
            "{shown}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last lines of a log file, indented; empty if it cannot be read.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL);
    lines
        .iter()
        .skip(start)
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut lines = Vec::new();
        let error = run_logged(
            Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]),
            &log,
            |line| lines.push(line.to_owned()),
        )
        .unwrap_err()
        .to_string();
        assert_eq!(lines, ["one", "two"]);
        assert!(
            error.contains("exit status: 3") && error.ends_with("    one\n    two"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut Command::new("/nowhere/program")).unwrap_err();
        assert!(format!("{error:#}").contains("starting /nowhere/program"));
    }

    #[test]
    fn programs_of_the_system_are_found() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }
}
