//! Is the oracle right? A real pgpool serves the files of a bundle, and a real psql connects to it with
//! `sslmode=verify-full`. Both, and a PostgreSQL behind them, run from the image of the cluster tests, on loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use local_cluster::command;
use local_cluster::process::Child;
use serde_json::Value;
use tempfile::TempDir;

use super::case::Case;

/// The user of the image.
const USER: u32 = 70;
/// The folder in the image with the files of a bundle, the database and the sockets.
const FOLDER: &str = "/work";
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const READY: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const GRACE: Duration = Duration::from_secs(5);

/// The unpacked image, and its database server.
pub(crate) struct Programs {
    root: TempDir,
    database: Child,
}

impl Programs {
    /// Unpacks an archive with an OCI image layout, and starts PostgreSQL, which trusts everybody.
    pub(crate) fn start(archive: &Path) -> anyhow::Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "only root can run the programs of an image"
        );
        let root = tempfile::tempdir().context("creating a temporary folder")?;
        unpack(archive, root.path())?;
        let work = inside(root.path(), FOLDER);
        fs::create_dir(&work)?;
        chown(&work, Some(USER), Some(USER))?;
        let database = format!("{FOLDER}/database");
        let mut initialize = chrooted(root.path(), &format!("{PROGRAMS}/initdb"));
        initialize.args([
            "--auth=trust",
            "--no-sync",
            "--username=postgres",
            "-D",
            &database,
        ]);
        command::output(&mut initialize)?;
        let mut server = chrooted(root.path(), &format!("{PROGRAMS}/postgres"));
        server.args(["-D", &database, "-k", FOLDER, "-c", "listen_addresses="]);
        server.args(["-c", "fsync=off", "-c", "dynamic_shared_memory_type=mmap"]);
        let mut database = Child::spawn("postgres", &mut server, root.path())?;
        until_ready(&mut database, || work.join(".s.PGSQL.5432").exists())?;
        Ok(Self { root, database })
    }

    /// Whether psql connects under each name of the case, and otherwise what it says.
    pub(crate) fn connect(&mut self, case: &Case) -> anyhow::Result<Result<(), String>> {
        self.database.check()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        self.file("tls.crt", &case.certificate)?;
        self.file("tls.key", case.key.as_deref().unwrap_or_default())?;
        self.file("ca.crt", &case.ca)?;
        self.file("pgpool.conf", configuration(port).as_bytes())?;
        for name in ["pcp.conf", "pool_hba.conf"] {
            self.file(name, b"")?;
        }
        // A key with a passphrase must not be asked for at a terminal.
        let mut pgpool = chrooted(self.root.path(), "/usr/bin/setsid");
        pgpool.args(["/usr/sbin/pgpool", "-n", "-D"]);
        for (option, name) in [("-f", "pgpool.conf"), ("-F", "pcp.conf"), ("-a", "pool_hba.conf")] {
            pgpool.args([option, &format!("{FOLDER}/{name}")]);
        }
        let mut pgpool = Child::spawn("pgpool", &mut pgpool, self.root.path())?;
        until_ready(&mut pgpool, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        let mut hosts: Vec<_> = case.hosts().collect();
        let mode = if hosts.is_empty() {
            "verify-ca"
        } else {
            "verify-full"
        };
        if hosts.is_empty() {
            hosts.push("localhost".to_owned());
        }
        let mut result = Ok(());
        for host in hosts {
            result = result.and(self.psql(&host, port, mode)?);
        }
        pgpool.stop(GRACE)?;
        Ok(result)
    }

    fn psql(&self, host: &str, port: u16, mode: &str) -> anyhow::Result<Result<(), String>> {
        let mut psql = chrooted(self.root.path(), &format!("{PROGRAMS}/psql"));
        psql.args(["-XAtc", "select 1"]);
        psql.env("PGHOST", host).env("PGHOSTADDR", "127.0.0.1");
        psql.env("PGPORT", port.to_string()).env("PGUSER", "postgres");
        psql.env("PGSSLMODE", mode).env("PGCONNECT_TIMEOUT", "20");
        psql.env("PGSSLROOTCERT", format!("{FOLDER}/ca.crt"));
        let output = psql.output().context("starting psql")?;
        if output.status.success() && output.stdout == b"1\n" {
            return Ok(Ok(()));
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        // Anything else would say nothing about the bundle.
        let is_about_tls = ["certificate", "SSL", "ssl", "host name"];
        if !is_about_tls.iter().any(|word| said.contains(word)) {
            bail!("psql fails for another reason: {said}");
        }
        Ok(Err(said))
    }

    fn file(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = inside(self.root.path(), FOLDER).join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(chown(&path, Some(USER), Some(USER))?)
    }
}

/// The settings that matter for TLS are those of the operators, and the defaults.
fn configuration(port: u16) -> String {
    format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nsocket_dir = '{FOLDER}'\n\
         pcp_listen_addresses = ''\npcp_port = 9898\npcp_socket_dir = '{FOLDER}'\n\
         pid_file_name = '{FOLDER}/pgpool.pid'\nlogdir = '{FOLDER}'\nwork_dir = '{FOLDER}'\n\
         num_init_children = 4\nconnection_cache = off\nsr_check_period = 0\nhealth_check_period = 0\n\
         backend_clustering_mode = 'raw'\nbackend_hostname0 = '{FOLDER}'\nbackend_port0 = 5432\n\
         ssl = on\nssl_cert = '{FOLDER}/tls.crt'\nssl_key = '{FOLDER}/tls.key'\n"
    )
}

fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// A program of the image, as its user, without the environment of this process.
fn chrooted(root: &Path, program: &str) -> Command {
    let mut command = Command::new("chroot");
    command.arg(format!("--userspec={USER}:{USER}"));
    command.arg(root).arg(program);
    command.env_clear().env("PATH", command::PATH).env("LC_ALL", "C");
    command
}

fn until_ready(child: &mut Child, is_ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let start = Instant::now();
    while !is_ready() {
        child.check()?;
        ensure!(start.elapsed() < READY, "a program is not ready after {READY:?}");
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Unpacks the one layer of an image.
fn unpack(archive: &Path, root: &Path) -> anyhow::Result<()> {
    let layout = tempfile::tempdir().context("creating a temporary folder")?;
    extract(archive, layout.path())?;
    let read = |path: &Path| -> anyhow::Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"]
            .as_str()
            .context("an image without digests")?;
        anyhow::Ok(layout.path().join("blobs").join(digest.replace(':', "/")))
    };
    let index = read(&layout.path().join("index.json"))?;
    let manifest = read(&blob(&index["manifests"][0])?)?;
    extract(&blob(&manifest["layers"][0])?, root)
}

fn extract(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(folder);
    command::output(&mut tar).map(drop)
}
