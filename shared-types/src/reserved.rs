//! Names and paths that a user may not use in `spec.podTemplate`, because the generated pods use them. Shared by the
//! rules of the definition and the operator, which also reads objects that are older than the rules.

/// The generated main container. Users may change it, but not its image.
pub const CONTAINER: &str = "pgpool";

/// Containers that other parts of the spec generate. Templates for them need no image.
pub const GENERATED_CONTAINERS: [&str; 2] = [EXPORTER, "git-sync"];

/// Fields of container `pgpool` that follow from `spec.version`.
pub const CONTAINER_FIELDS: [&str; 3] = ["image", "command", "args"];

/// The container that `spec.monitor` generates.
pub const EXPORTER: &str = "exporter";

/// Environment variables of container `exporter` that the operator derives from the spec.
pub const EXPORTER_ENV: [&str; 4] = [
    "DATA_SOURCE_NAME",
    "DATA_SOURCE_USER",
    "DATA_SOURCE_PASS",
    "DATA_SOURCE_URI",
];

/// Flags of the exporter that follow from the spec: its address and the path of the metrics.
pub const EXPORTER_FLAGS: [&str; 2] = ["--web.listen-address", "--web.telemetry-path"];

/// Environment of container `pgpool` that would contradict the generated configuration.
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
/// The volume with the client certificate of the exporter, and the CA that it verifies pgpool with.
pub const VOLUME_EXPORTER_CERTS: &str = "exporter-certs";
/// The volume with the login of the exporter.
pub const VOLUME_EXPORTER_LOGIN: &str = "exporter-login";
/// The volume that the exporter writes to.
pub const VOLUME_EXPORTER_RUN: &str = "exporter-run";

/// Names of volumes, in use or reserved for compatibility with `KubeDB`.
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

/// Paths at and below which a user may not mount anything in any container.
pub const MOUNT_PATHS: [&str; 3] = ["/config", "/tls/certs", "/init-scripts"];

/// Paths at and below which a user may not mount anything in container `pgpool`. `/var/run` is a link to `/run`.
pub const CONTAINER_MOUNT_PATHS: [&str; 4] = [
    "/opt/pgpool-II/etc",
    "/opt/pgpool-II/tls",
    "/run/pgpool",
    "/var/run/pgpool",
];

/// Paths at and below which a user may not mount anything in container `exporter`.
pub const EXPORTER_MOUNT_PATHS: [&str; 2] = ["/etc/pgpool-exporter", "/run/pgpool-exporter"];

/// Whether a path is at or below a reserved one, in any spelling: `/config/`, `//config/./tls`, `/x/../config`.
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
