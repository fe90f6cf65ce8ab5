//! Paths inside the pod, shared by the configuration files and the workload that mounts them.

/// Configuration files, read-only.
pub(super) const ETC: &str = "/opt/pgpool-II/etc";
/// Certificates, read-only.
pub(super) const TLS: &str = "/opt/pgpool-II/tls";
/// Sockets, PID file, status: the only directory that pgpool writes to.
pub(super) const RUN: &str = "/run/pgpool";

/// Keys of Secrets, and names of files.
pub(super) const PGPOOL_CONF: &str = "pgpool.conf";
pub(super) const POOL_HBA: &str = "pool_hba.conf";
pub(super) const PCP_CONF: &str = "pcp.conf";
/// The revision of the settings: changes only when a restart is needed.
pub(super) const REVISION: &str = "revision";
pub(super) const POOL_PASSWD: &str = "pool_passwd";
/// Only the password of the user that scripts log in as; no pod of the pool mounts it.
pub(super) const INIT_PASSWORD: &str = "init-password";
/// CAs of PostgreSQL, where the pool has no TLS.
pub(super) const BACKEND_CA: &str = "backend-ca.pem";
/// Certificates of the exporter, read-only.
pub(super) const EXPORTER_CERTS: &str = "/tls/certs";
/// The login of the exporter, read-only.
pub(super) const LOGIN: &str = "/etc/pgpool-exporter";
/// The only directory that the exporter writes to.
pub(super) const EXPORTER_RUN: &str = "/run/pgpool-exporter";
pub(super) const LOGIN_USER: &str = "username";
pub(super) const LOGIN_PASSWORD: &str = "password";
/// The key pair of the exporter, in the TLS copy.
pub(super) const EXPORTER_CERTIFICATE: &str = "exporter.crt";
pub(super) const EXPORTER_KEY: &str = "exporter.key";

pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";
/// Every CA that pgpool verifies clients and PostgreSQL against. Empty if there is none.
pub(super) const CA: &str = "ca.pem";
/// What the certificate of the server is verified with: `ca.crt` of its Secret. Empty if its issuer publishes no CA.
pub(super) const SERVER_CA: &str = "server-ca.pem";
