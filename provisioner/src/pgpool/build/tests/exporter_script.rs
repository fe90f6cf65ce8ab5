//! The shell around the exporter, run: what it gives to the program, and that it outlives it.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::exporter::monitored;
use super::support::{self, World};

/// Says how it was called; with the password `die` it ends at once.
const PROGRAM: &str = "#!/bin/sh\nprintf '%s\\n' \"$DATA_SOURCE_USER:$DATA_SOURCE_PASS $*\"\n\
                       [ \"$DATA_SOURCE_PASS\" = die ] || exec sleep 1000\n";

struct Running {
    shell: Child,
    said: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

impl Running {
    /// Runs the container's command with its folders moved below one of the test's, and without the pause.
    fn start(world: &World, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (file, content) in [("bin/pgpool2_exporter", PROGRAM), ("run/x", "")]
            .iter()
            .chain(files)
        {
            write(root, file, content);
        }
        fs::set_permissions(
            root.join("bin/pgpool2_exporter"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let pod = support::stateful_set(&world.valid(), Some("x"))
            .spec
            .unwrap()
            .template
            .spec
            .unwrap();
        let container = pod
            .containers
            .into_iter()
            .find(|it| it.name == "exporter")
            .unwrap();
        let mut words = container.command.unwrap();
        let script = words[2]
            .replace("/etc/pgpool-exporter", &root.join("login").display().to_string())
            .replace("/tls/certs", &root.join("certs").display().to_string())
            .replace("/run/pgpool-exporter", &root.join("run").display().to_string())
            .replace("/bin/pgpool2_exporter", &root.join("bin").display().to_string())
            .replace("sleep 5", "sleep 0.05");
        words[2] = script;
        words.extend(container.args.unwrap());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for variable in container.env.into_iter().flatten() {
            command.env(variable.name, variable.value.unwrap());
        }
        let mut shell = command.spawn().unwrap();
        let said = BufReader::new(shell.stdout.take().unwrap()).lines();
        Self { shell, said, folder }
    }

    fn says(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    /// As the kubelet ends a container; the shell goes at once, and the program with it.
    fn ends(mut self) {
        assert_eq!(self.end(), Some(0));
        assert!(
            self.said.next().is_none(),
            "the program holds its output open no more"
        );
    }

    fn end(&mut self) -> Option<i32> {
        let id = self.shell.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        self.shell.wait().unwrap().code()
    }
}

impl Drop for Running {
    /// Leaves no shell behind a test that failed.
    fn drop(&mut self) {
        if matches!(self.shell.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

fn write(root: &Path, file: &str, content: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

const FLAGS: &str = "--web.listen-address=:9719 --web.telemetry-path=/metrics";

#[test]
fn a_changed_login_starts_the_exporter_anew_and_a_dead_one_too() {
    let world = monitored(World::plain(), "{agent: prometheus.io/builtin}");
    let mut running = Running::start(
        &world,
        &[("login/username", "postgres"), ("login/password", "a\\b 'c\"")],
    );
    assert_eq!(running.says(), format!("postgres:a\\b 'c\" {FLAGS}"));
    let root = running.folder.path().to_owned();
    write(&root, "login/password", "die");
    assert_eq!(running.says(), format!("postgres:die {FLAGS}"));
    assert_eq!(
        running.says(),
        format!("postgres:die {FLAGS}"),
        "it is started again and again"
    );
    write(&root, "login/password", "new");
    // It may be dying once more, with the password that it was started with.
    let mut last = running.says();
    while last.starts_with("postgres:die") {
        last = running.says();
    }
    assert_eq!(last, format!("postgres:new {FLAGS}"));
    running.ends();
}

#[test]
fn the_driver_gets_a_key_that_nobody_else_may_read() {
    let world = monitored(
        World::tls().spec("clientAuthMode: cert"),
        "{agent: prometheus.io/builtin, prometheus: {exporter: {args: ['--a b']}}}",
    );
    let mut running = Running::start(&world, &[("certs/tls.key", "the key\n")]);
    assert_eq!(running.says(), format!("postgres: {FLAGS} --a b"));
    let key = running.folder.path().join("run/tls.key");
    assert_eq!(fs::read_to_string(&key).unwrap(), "the key\n");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    running.ends();
}
