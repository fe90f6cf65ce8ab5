//! Builds container images from Debian packages and from single files, without a registry or a daemon.
//!
//! Each image is an archive in the cache, named by a hash of its inputs.

mod archive;
mod layer;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::builder::Builder;
use crate::cache::{Cache, Inputs, Key};
use crate::command::{self, PATH};
use crate::node::settings::PAUSE;

/// The archive in the cache entry of an image.
const ARCHIVE: &str = "image.tar";

/// An image made of Debian packages.
pub struct DebianImage {
    /// The name in the cache.
    pub entry: &'static str,
    /// The title of the step that builds it.
    pub title: &'static str,
    /// The release of Debian.
    pub suite: &'static str,
    /// Names of packages, separated by commas.
    pub packages: &'static str,
    /// Patterns of files that are not unpacked.
    pub left_out: &'static [&'static str],
    /// A shell script that runs before the packages are configured; `$1` is the root.
    pub before: &'static str,
    /// A shell script that runs when all packages are installed; `$1` is the root.
    pub after: &'static str,
    pub names: &'static [&'static str],
}

/// An image in the cache.
#[derive(Clone, Debug)]
pub struct Image {
    /// The names it is imported under.
    pub names: Vec<String>,
    /// A tar file with an OCI image layout.
    pub archive: PathBuf,
    /// Changes when the content does.
    pub key: String,
}

impl Image {
    fn new(names: Vec<String>, entry: &Path, key: &Key) -> Self {
        Self {
            names,
            archive: entry.join(ARCHIVE),
            key: key.to_string(),
        }
    }
}

/// The image of the containers that hold the namespaces of pods.
pub(crate) fn pause(cache: &Cache) -> anyhow::Result<Image> {
    let program = command::find("catatonit").context("catatonit is not installed")?;
    let files = [(program, "/catatonit".to_owned())];
    of_files(
        "pause",
        PAUSE,
        &files,
        &json!({"Entrypoint": ["/catatonit", "-P"]}),
        cache,
    )
}

/// An image of single files, each `(source, target)`, executable and owned by root. If `name` has no tag, the tag is a
/// hash of the content.
pub fn of_files(
    entry: &str,
    name: &str,
    files: &[(PathBuf, String)],
    config: &Value,
    cache: &Cache,
) -> anyhow::Result<Image> {
    let mut inputs = Inputs::default()
        .text("name", name)
        .text("config", &config.to_string());
    for (source, target) in files {
        inputs = inputs.file(target, source)?;
    }
    let key = inputs.key();
    let name = if name.contains(':') {
        name.to_owned()
    } else {
        format!("{name}:{key}")
    };
    let made = cache.entry(entry, &key, |draft| {
        let layer = draft.join("layer");
        layer::write(&layer, files)?;
        archive::write(&draft.join(ARCHIVE), &layer, config, &[&name])
    })?;
    Ok(Image::new(vec![name], &made, &key))
}

impl DebianImage {
    /// Builds the image unless the cache has it. `config` is the `config` of the OCI image specification.
    pub fn make(&self, config: &Value, builder: &Builder) -> anyhow::Result<Image> {
        let key = Inputs::default()
            .text("packages", self.packages)
            .text("suite", self.suite)
            .text("left out", &self.left_out.join(" "))
            .text("before", self.before)
            .text("after", self.after)
            .text("names", &self.names.join(" "))
            .text("config", &config.to_string())
            .key();
        let made = builder.cache.entry(self.entry, &key, |draft| {
            let layer = draft.join("layer");
            builder.run(self.title, self.entry, &mut self.bootstrap(&layer))?;
            archive::write(&draft.join(ARCHIVE), &layer, config, self.names)
        })?;
        Ok(Image::new(
            self.names.iter().map(|name| (*name).to_owned()).collect(),
            &made,
            &key,
        ))
    }

    /// apt verifies the signatures of Debian's archive; the keys of all releases are in `debian-archive-keyring`.
    fn bootstrap(&self, layer: &Path) -> Command {
        let mut command = Command::new("mmdebstrap");
        command.env("PATH", PATH).env("SOURCE_DATE_EPOCH", "0");
        command.args([
            "--variant=minbase",
            "--format=tar",
            &format!("--include={}", self.packages),
        ]);
        command.arg("--aptopt=Apt::Install-Recommends \"false\"");
        for path in self.left_out {
            command.arg(format!("--dpkgopt=path-exclude={path}"));
        }
        command
            .arg(format!("--essential-hook={}", self.before))
            .arg(format!("--customize-hook={}", self.after));
        command.arg(self.suite).arg(layer);
        command
    }
}

/// The dynamic linker and the libraries that it loads for `program`, as `(source, target)`.
pub fn libraries(program: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let text = command::output(Command::new("ldd").arg(program).env("PATH", PATH))?;
    Ok(parse_ldd(&text)
        .into_iter()
        .map(|path| (path.clone(), path.display().to_string()))
        .collect())
}

fn parse_ldd(text: &str) -> Vec<PathBuf> {
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found = parse_ldd(text);
        assert_eq!(
            found,
            [
                Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
        assert!(parse_ldd("\tstatically linked\n").is_empty());
    }
}
