//! Container images, made here from Debian packages and from our own programs: no registry, no daemon.
//!
//! Each image is an archive in the cache, named by a hash of what it was made from.

mod archive;
mod layer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::json;

use crate::cache::{Cache, Inputs};
use crate::command::{self, PATH, run_logged};
use crate::node::settings::PAUSE;
use crate::progress::Progress;

/// The image with pgpool. Fully qualified, as the kubelet asks for it.
pub const PGPOOL: &str = "docker.io/local/pgpool:4.3.5";

/// The image with a newer pgpool, some of whose settings have other names.
pub const PGPOOL_NEWER: &str = "docker.io/local/pgpool:4.6.1";

/// The image with PostgreSQL: the same files as [`PGPOOL`] under another name.
pub const POSTGRES: &str = "docker.io/local/postgres:15";

/// What users call an image, and the image that a pod of the local cluster then gets: guides are written with
/// names that work anywhere.
pub const ALIASES: [(&str, &str); 1] = [("docker.io/library/postgres:15", POSTGRES)];

/// The image with the exporter of metrics.
pub const EXPORTER: &str = "docker.io/local/pgpool2-exporter:1.2.2";

/// What the exporter runs below: all that is asked of its image beside the exporter itself.
const TOOLS: [&str; 3] = ["/bin/sh", "/bin/sleep", "/bin/cat"];

/// What a root file system is made of. Every Debian release has one pgpool; `openssl` is for readiness probes.
struct Recipe {
    /// The name in the cache.
    entry: &'static str,
    title: &'static str,
    suite: &'static str,
    packages: &'static str,
    /// Where programs of PostgreSQL are; Debian keeps them off the usual path.
    programs: &'static str,
    names: &'static [&'static str],
}

const DATABASE: Recipe = Recipe {
    entry: "database",
    title: "make the root file system with pgpool and PostgreSQL",
    suite: "bookworm",
    packages: "pgpool2,postgresql-15,openssl",
    programs: "/usr/lib/postgresql/15/bin",
    names: &[PGPOOL, POSTGRES],
};

/// No server in it, as PostgreSQL runs from the other one; a client, to look at pgpool from inside its pod.
const NEWER: Recipe = Recipe {
    entry: "pgpool-newer",
    title: "make the root file system with a newer pgpool",
    suite: "trixie",
    packages: "pgpool2,postgresql-client,openssl",
    programs: "/usr/lib/postgresql/17/bin",
    names: &[PGPOOL_NEWER],
};

/// Files of packages that nothing in a container reads. The compiler behind PostgreSQL's JIT alone is half of
/// the image, and PostgreSQL does without when its plugin is absent.
const LEFT_OUT: [&str; 9] = [
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/lib/*/libLLVM*",
    "/usr/lib/*/libz3*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
    "/usr/lib/postgresql/*/lib/llvmjit*",
];

/// Runs before the packages are configured: the user gets the number that pods run with, and no database is
/// made inside the image.
const BEFORE: &str = r#"set -e
echo "postgres:x:70:70:PostgreSQL:/var/lib/postgresql:/bin/sh" >> "$1/etc/passwd"
echo "postgres:x:70:" >> "$1/etc/group"
mkdir -p "$1/etc/postgresql-common"
echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf""#;

/// Runs when all packages are there.
const AFTER: &str = r#"set -e
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* "$1"/usr/share/zoneinfo/right
mkdir -p "$1/opt/pgpool-II/etc" "$1/opt/pgpool-II/tls" "$1/run/pgpool"
chown 70:70 "$1/run/pgpool""#;

/// The user that the operators run as.
const OPERATOR_USER: &str = "65532:65532";

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

/// The image that holds a pod's namespaces.
pub fn pause(cache: &Cache) -> anyhow::Result<Image> {
    let program = command::find("catatonit").context("catatonit is not installed")?;
    let key = Inputs::default()
        .text("name", PAUSE)
        .file("program", &program)?
        .key();
    let entry = cache.entry("pause", &key, |draft| {
        let layer = draft.join("layer");
        layer::write(&layer, &[(program.clone(), "/catatonit".into())])?;
        let config = json!({"Entrypoint": ["/catatonit", "-P"]});
        archive::write(&draft.join("image.tar"), &layer, &config, &[PAUSE])
    })?;
    Ok(Image {
        names: vec![PAUSE.to_owned()],
        archive: entry.join("image.tar"),
        key: key.to_string(),
    })
}

/// The image with pgpool and PostgreSQL.
pub fn database(cache: &Cache, progress: &Progress) -> anyhow::Result<Image> {
    debian(&DATABASE, cache, progress)
}

/// The image with a newer pgpool.
pub fn newer(cache: &Cache, progress: &Progress) -> anyhow::Result<Image> {
    debian(&NEWER, cache, progress)
}

fn debian(recipe: &Recipe, cache: &Cache, progress: &Progress) -> anyhow::Result<Image> {
    let Recipe {
        entry,
        title,
        suite,
        packages,
        programs,
        names,
    } = recipe;
    let config = json!({
        "User": "70:70",
        "Env": [format!("PATH={programs}:{PATH}"), "LANG=C.UTF-8"],
    });
    let key = Inputs::default()
        .text("packages", packages)
        .text("suite", suite)
        .text("left out", &LEFT_OUT.join(" "))
        .text("before", BEFORE)
        .text("after", AFTER)
        .text("names", &names.join(" "))
        .text("config", &config.to_string())
        .key();
    let made = cache.entry(entry, &key, |draft| {
        let step = progress.step(*title);
        let layer = draft.join("layer");
        let mut command = bootstrap(&layer, suite, packages);
        run_logged(&mut command, &cache.log(entry)?, |line| step.note(line))?;
        archive::write(&draft.join("image.tar"), &layer, &config, names)?;
        step.done();
        Ok(())
    })?;
    Ok(Image {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        archive: made.join("image.tar"),
        key: key.to_string(),
    })
}

/// The image of an operator: its program and the libraries that it is linked with, nothing else.
///
/// The tag is a hash of the content, so that a changed program is another image and an unchanged one is not.
pub fn operator(name: &str, program: &Path, cache: &Cache) -> anyhow::Result<Image> {
    let mut files = vec![(program.to_owned(), format!("/usr/local/bin/{name}"))];
    files.extend(
        libraries(program)?
            .into_iter()
            .map(|path| (path.clone(), path.display().to_string())),
    );
    let mut inputs = Inputs::default().text("name", name).text("user", OPERATOR_USER);
    for (source, target) in &files {
        inputs = inputs.file(target, source)?;
    }
    let key = inputs.key();
    let image = format!("docker.io/local/{name}:{key}");
    let entry = cache.entry(name, &key, |draft| {
        let layer = draft.join("layer");
        layer::write(&layer, &files)?;
        let config = json!({"User": OPERATOR_USER, "Entrypoint": [format!("/usr/local/bin/{name}")]});
        archive::write(&draft.join("image.tar"), &layer, &config, &[&image])
    })?;
    Ok(Image {
        names: vec![image],
        archive: entry.join("image.tar"),
        key: key.to_string(),
    })
}

/// The image of the exporter. The program has the place that it has in the image of the real one, in a folder of its
/// own name.
pub fn exporter(program: &Path, cache: &Cache) -> anyhow::Result<Image> {
    let target = "/bin/pgpool2_exporter/pgpool2_exporter";
    let mut files = vec![(program.to_owned(), target.to_owned())];
    for tool in TOOLS {
        let with_libraries = libraries(Path::new(tool))?;
        let all = with_libraries.into_iter().chain([PathBuf::from(tool)]);
        files.extend(all.map(|path| (path.clone(), path.display().to_string())));
    }
    files.sort();
    files.dedup();
    let mut inputs = Inputs::default().text("name", EXPORTER);
    for (source, target) in &files {
        inputs = inputs.file(target, source)?;
    }
    let key = inputs.key();
    let entry = cache.entry("exporter-image", &key, |draft| {
        let layer = draft.join("layer");
        layer::write(&layer, &files)?;
        let config = json!({"User": "70:70", "Env": [format!("PATH={PATH}")]});
        archive::write(&draft.join("image.tar"), &layer, &config, &[EXPORTER])
    })?;
    Ok(Image {
        names: vec![EXPORTER.to_owned()],
        archive: entry.join("image.tar"),
        key: key.to_string(),
    })
}

/// The packages come with the signatures of Debian's archive, which apt insists on: the keys of both releases are in
/// Debian's `debian-archive-keyring`.
fn bootstrap(layer: &Path, suite: &str, packages: &str) -> Command {
    let mut command = Command::new("mmdebstrap");
    command.env("PATH", PATH).env("SOURCE_DATE_EPOCH", "0");
    command.args([
        "--variant=minbase",
        "--format=tar",
        &format!("--include={packages}"),
    ]);
    command.arg("--aptopt=Apt::Install-Recommends \"false\"");
    for path in LEFT_OUT {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command
        .arg(format!("--essential-hook={BEFORE}"))
        .arg(format!("--customize-hook={AFTER}"));
    command.arg(suite).arg(layer);
    command
}

/// The libraries that the dynamic linker would load for `program`, itself included.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let text = command::output(Command::new("ldd").arg(program).env("PATH", PATH))?;
    Ok(parse_ldd(&text))
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

    #[test]
    fn an_operator_image_is_named_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::locate(Some(folder.path()), None).unwrap();
        let program = Path::new("/bin/sh");
        let image = operator("thing", program, &cache).unwrap();
        assert_eq!(image.names, [format!("docker.io/local/thing:{}", image.key)]);
        assert!(image.archive.exists());
        assert_eq!(operator("thing", program, &cache).unwrap().key, image.key);
    }
}
