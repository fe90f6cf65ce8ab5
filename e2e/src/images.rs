//! The images of pgpool, PostgreSQL, the exporter and the operators.

use std::path::Path;

use local_cluster::builder::Builder;
use local_cluster::cache::Cache;
use local_cluster::command::PATH;
use local_cluster::components::Component;
use local_cluster::images::{self, DebianImage, Image};
use serde_json::json;

/// The image of pgpool. Fully qualified, as the kubelet looks it up.
pub(crate) const PGPOOL: &str = "docker.io/local/pgpool:4.3.5";

/// The image of a newer pgpool, some of whose settings have other names.
pub(crate) const PGPOOL_NEWER: &str = "docker.io/local/pgpool:4.6.1";

/// The image of PostgreSQL: the same files as [`PGPOOL`] under another name.
pub(crate) const POSTGRES: &str = "docker.io/local/postgres:15";

/// The same image by the name that the guides use, which works in any cluster.
const POSTGRES_UPSTREAM: &str = "docker.io/library/postgres:15";

pub(crate) const EXPORTER: &str = "docker.io/local/pgpool2-exporter:1.2.2";

/// The user that the operators run as.
const OPERATOR_USER: &str = "65532:65532";

/// Each Debian release has one version of pgpool; `openssl` is for readiness probes.
const DATABASE: DebianImage = DebianImage {
    entry: "database",
    title: "build the image of pgpool and PostgreSQL",
    suite: "bookworm",
    packages: "pgpool2,postgresql-15,openssl",
    left_out: &LEFT_OUT,
    before: BEFORE,
    after: AFTER,
    names: &[PGPOOL, POSTGRES, POSTGRES_UPSTREAM],
};

/// Without the server of PostgreSQL, which runs from the other image; with its client, to inspect pgpool from inside its pod.
const NEWER: DebianImage = DebianImage {
    entry: "pgpool-newer",
    title: "build the image of a newer pgpool",
    suite: "trixie",
    packages: "pgpool2,postgresql-client,openssl",
    names: &[PGPOOL_NEWER],
    ..DATABASE
};

/// Files that nothing in a container reads. The JIT compiler of PostgreSQL alone is half of the image, and PostgreSQL
/// works without it.
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

/// Runs before the packages are configured: the user gets the UID that pods run with, and no database is created in the
/// image.
const BEFORE: &str = r#"set -e
echo "postgres:x:70:70:PostgreSQL:/var/lib/postgresql:/bin/sh" >> "$1/etc/passwd"
echo "postgres:x:70:" >> "$1/etc/group"
mkdir -p "$1/etc/postgresql-common"
echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf""#;

/// Runs when all packages are installed.
const AFTER: &str = r#"set -e
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* "$1"/usr/share/zoneinfo/right
mkdir -p "$1/opt/pgpool-II/etc" "$1/opt/pgpool-II/tls" "$1/run/pgpool"
chown 70:70 "$1/run/pgpool""#;

/// A stand-in for the exporter of pgpool's metrics; see the README.
const EXPORTER_PROGRAM: Component = Component {
    name: "exporter",
    packages: &["."],
    programs: &["pgpool2_exporter"],
    // Pure Go: its image has no libraries.
    cgo: false,
};

/// The image of pgpool and PostgreSQL, and the one of a newer pgpool.
pub(crate) fn databases(builder: &Builder) -> anyhow::Result<Vec<Image>> {
    // Debian keeps the programs of PostgreSQL outside the usual path.
    let config = |version: u8| {
        json!({
            "User": "70:70",
            "Env": [format!("PATH=/usr/lib/postgresql/{version}/bin:{PATH}"), "LANG=C.UTF-8"],
        })
    };
    std::thread::scope(|scope| {
        let newer = scope.spawn(|| NEWER.make(&config(17), builder));
        let database = DATABASE.make(&config(15), builder);
        let newer = newer
            .join()
            .unwrap_or_else(|_| anyhow::bail!("building an image panicked"));
        Ok(vec![database?, newer?])
    })
}

/// The image of an operator: its program and the libraries that it is linked with. The tag is a hash of the content.
pub(crate) fn operator(name: &str, program: &Path, cache: &Cache) -> anyhow::Result<Image> {
    let target = format!("/usr/local/bin/{name}");
    let config = json!({"User": OPERATOR_USER, "Entrypoint": [&target]});
    let mut files = images::libraries(program)?;
    files.push((program.to_owned(), target));
    images::of_files(name, &format!("docker.io/local/{name}"), &files, &config, cache)
}

/// The image of the exporter. The program has the same path as in the image of the real one; the tools are those that the
/// provisioner runs around it.
pub(crate) fn exporter(builder: &Builder) -> anyhow::Result<Image> {
    let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/components"));
    let programs = local_cluster::components::build(&[&EXPORTER_PROGRAM], sources, builder)?;
    let program = programs.path("pgpool2_exporter")?.to_owned();
    let mut files = vec![(program, "/bin/pgpool2_exporter/pgpool2_exporter".to_owned())];
    for tool in ["/bin/sh", "/bin/sleep", "/bin/cat"] {
        files.push((tool.into(), tool.to_owned()));
        files.extend(images::libraries(Path::new(tool))?);
    }
    files.sort();
    files.dedup();
    let config = json!({"User": "70:70", "Env": [format!("PATH={PATH}")]});
    images::of_files("exporter-image", EXPORTER, &files, &config, &builder.cache)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_module_of_the_exporter_has_its_sums() {
        for file in ["go.mod", "go.sum"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("components/exporter")
                .join(file);
            assert!(path.exists(), "{} is missing", path.display());
        }
    }
}
