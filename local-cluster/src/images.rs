//! Container images, made here from Debian packages and from single files: no registry, no daemon.
//!
//! Each image is an archive in the cache, named by a hash of what it was made from.

mod archive;
mod layer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cache::{Cache, Inputs, Key};
use crate::command::{self, PATH, run_logged};
use crate::node::settings::PAUSE;
use crate::progress::Progress;

/// The archive in the cache entry of an image.
const ARCHIVE: &str = "image.tar";

/// A root file system made of Debian packages.
pub struct DebianImage {
    /// The name in the cache.
    pub entry: &'static str,
    /// What making it is called on the display.
    pub title: &'static str,
    /// The release of Debian.
    pub suite: &'static str,
    /// Packages, with commas between them.
    pub packages: &'static str,
    /// Patterns of files that are not unpacked.
    pub left_out: &'static [&'static str],
    /// The shell script that runs before the packages are configured, on the root that it gets as an argument.
    pub before: &'static str,
    /// The script that runs when all packages are there.
    pub after: &'static str,
    /// The names of the image.
    pub names: &'static [&'static str],
}

/// One image in the cache.
#[derive(Clone, Debug)]
pub struct Image {
    /// The names it is imported under.
    pub names: Vec<String>,
    /// The archive, an OCI layout in a tar file.
    pub archive: PathBuf,
    /// Changes whenever the content does.
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

/// The image that holds a pod's namespaces.
pub fn pause(cache: &Cache) -> anyhow::Result<Image> {
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

/// An image of single files: `(source, target)` each, executable and owned by root. A `name` without a tag gets a hash
/// of the content for one.
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
    /// Makes the image unless the cache has it. `config` is that of the OCI specification.
    pub fn make(&self, config: &Value, cache: &Cache, progress: &Progress) -> anyhow::Result<Image> {
        let key = Inputs::default()
            .text("packages", self.packages)
            .text("suite", self.suite)
            .text("left out", &self.left_out.join(" "))
            .text("before", self.before)
            .text("after", self.after)
            .text("names", &self.names.join(" "))
            .text("config", &config.to_string())
            .key();
        let made = cache.entry(self.entry, &key, |draft| {
            let step = progress.step(self.title);
            let layer = draft.join("layer");
            run_logged(&mut self.bootstrap(&layer), &cache.log(self.entry)?, |line| {
                step.note(line)
            })?;
            archive::write(&draft.join(ARCHIVE), &layer, config, self.names)?;
            step.done();
            Ok(())
        })?;
        Ok(Image::new(
            self.names.iter().map(|name| (*name).to_owned()).collect(),
            &made,
            &key,
        ))
    }

    /// The packages come with the signatures of Debian's archive, which apt insists on: the keys of both releases are in
    /// Debian's `debian-archive-keyring`.
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

/// The libraries that the dynamic linker would load for `program`, itself included, each at its own place.
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

/// Opens a file, naming it in the error.
fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("opening {}", path.display()))
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
