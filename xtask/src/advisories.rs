//! Known vulnerabilities of dependencies, and dependencies that nobody maintains.
//!
//! The `RustSec` database comes from the network. Where it cannot be fetched, the check says that it was not made: a
//! machine without network can still decide about a change, and nobody takes silence for an answer.

use std::process::Command;

use crate::{tools::CARGO_DENY, workspace};

/// Fetches the database and compares `Cargo.lock` with it. Passes, and says so, if there is no database.
pub(crate) fn run() -> anyhow::Result<bool> {
    let cargo_deny = CARGO_DENY.installed()?;
    let fetched = Command::new(&cargo_deny)
        .args(["--locked", "fetch", "db"])
        .current_dir(workspace::root())
        .output()?;
    if !fetched.status.success() {
        let output = String::from_utf8_lossy(&fetched.stderr);
        let reason = output.lines().rfind(|line| !line.trim().is_empty());
        println!(
            "advisories: not checked ({})",
            reason.unwrap_or("no database").trim()
        );
        return Ok(true);
    }
    let status = Command::new(&cargo_deny)
        .args(["--locked", "check", "--disable-fetch", "advisories"])
        .current_dir(workspace::root())
        .status()?;
    Ok(status.success())
}
