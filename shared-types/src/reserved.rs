//! What a user may not name in `spec.podTemplate`, since the generated pods have it already: one home
//! for the rules of the CRD and for the operator, which meets objects that are older than the rules.

/// The container that the operator generates; users shape it, and may not replace what it runs.
pub const CONTAINER: &str = "pgpool";

/// Containers that other parts of the spec bring along. A template without an image only shapes them.
pub const GENERATED_CONTAINERS: [&str; 2] = [EXPORTER, "git-sync"];

/// Fields of container `pgpool` that follow from `spec.version`.
pub const CONTAINER_FIELDS: [&str; 3] = ["image", "command", "args"];

/// The container that `spec.monitor` brings along.
pub const EXPORTER: &str = "exporter";

/// Environment of container `exporter`: how it reaches pgpool follows from the spec.
pub const EXPORTER_ENV: [&str; 4] = [
    "DATA_SOURCE_NAME",
    "DATA_SOURCE_USER",
    "DATA_SOURCE_PASS",
    "DATA_SOURCE_URI",
];

/// Flags of the exporter that the spec decides: where it listens, and the path that is scraped.
pub const EXPORTER_FLAGS: [&str; 2] = ["--web.listen-address", "--web.telemetry-path"];

/// Environment of container `pgpool`: a user's value would be at odds with the generated configuration.
pub const ENV: [&str; 7] = [
    "POSTGRES_USERNAME",
    "POSTGRES_PASSWORD",
    "PGPOOL_PCP_USER",
    "PGPOOL_PCP_PASSWORD",
    "PGPOOL_PASSWORD_ENCRYPTION_METHOD",
    "PGPOOL_ENABLE_POOL_PASSWD",
    "PGPOOL_SKIP_PASSWORD_ENCRYPTION",
];

/// The volume with the configuration.
pub const VOLUME_CONFIG: &str = "pgpool-config";
/// The volume with the certificates.
pub const VOLUME_CERTS: &str = "certs";
/// The volume that pgpool writes to.
pub const VOLUME_RUN: &str = "pgpool-run";
/// The volume for temporary files.
pub const VOLUME_TMP: &str = "pgpool-tmp";

/// The volume with the scripts of `spec.init`.
pub const VOLUME_SCRIPTS: &str = "init-scripts";
/// The volume with what the exporter shows to pgpool and judges it by.
pub const VOLUME_EXPORTER_CERTS: &str = "exporter-certs";
/// The volume with the login of the exporter.
pub const VOLUME_EXPORTER_LOGIN: &str = "exporter-login";
/// The volume that the exporter writes to.
pub const VOLUME_EXPORTER_RUN: &str = "exporter-run";

/// Names of volumes, in use or kept free for what `KubeDB` has there.
pub const VOLUMES: [&str; 9] = [
    VOLUME_CONFIG,
    VOLUME_CERTS,
    VOLUME_RUN,
    VOLUME_TMP,
    "pgpool-pcp-config",
    VOLUME_SCRIPTS,
    VOLUME_EXPORTER_CERTS,
    VOLUME_EXPORTER_LOGIN,
    VOLUME_EXPORTER_RUN,
];

/// Paths at and below which no container mounts anything of a user.
pub const MOUNT_PATHS: [&str; 3] = ["/config", "/tls/certs", "/init-scripts"];

/// Paths at and below which container `pgpool` mounts nothing of a user; `/var/run` is a link to `/run`.
pub const CONTAINER_MOUNT_PATHS: [&str; 4] = [
    "/opt/pgpool-II/etc",
    "/opt/pgpool-II/tls",
    "/run/pgpool",
    "/var/run/pgpool",
];

/// Paths at and below which container `exporter` mounts nothing of a user.
pub const EXPORTER_MOUNT_PATHS: [&str; 2] = ["/etc/pgpool-exporter", "/run/pgpool-exporter"];

/// Whether a path is a reserved one or below it, however it is written: `/config/`, `//config/./tls`, `/x/../config`.
#[must_use]
pub fn is_at_or_below(path: &str, reserved: &str) -> bool {
    parts(path).starts_with(&parts(reserved))
}

fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::is_at_or_below;

    #[test]
    fn a_path_is_read_as_the_kernel_reads_it() {
        for path in [
            "/config",
            "/config/",
            "/config/tls",
            "//config/./tls/x",
            "/x/../config",
        ] {
            assert!(is_at_or_below(path, "/config"), "{path}");
        }
        for path in ["/", "/configuration", "/etc/config", "/conf", "/config/../x"] {
            assert!(!is_at_or_below(path, "/config"), "{path}");
        }
    }
}
