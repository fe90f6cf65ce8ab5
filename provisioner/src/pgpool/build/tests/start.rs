//! The script in front of pgpool, run by a real shell over a folder as the kubelet makes it, with a pgpool that only
//! records the signals that it receives.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::support::{self, World, file, until};

/// Not a shell: one that was started in the background could not catch the signal for a fast stop.
const PGPOOL: &str = "#!/usr/bin/perl
$| = 1;
open(my $log, '>>', 'LOG'); $log->autoflush;
$SIG{HUP} = sub { print $log qq(reload\\n) };
$SIG{INT} = sub { print $log qq(fast stop\\n); exit 3 };
print $log qq(started\\n);
sleep 1 while 1;
";

struct Pod {
    home: tempfile::TempDir,
    shell: Child,
}

impl Pod {
    /// One without certificates, whose pgpool runs.
    fn start(revision: &str) -> Self {
        let pod = Self::with(revision, "");
        pod.has_written("started\n");
        pod
    }

    /// One without certificates and with these settings.
    fn with(revision: &str, settings: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let path = |name: &str| home.path().join(name);
        for folder in ["etc", "run", "bin"] {
            fs::create_dir(path(folder)).expect("a folder");
        }
        let pgpool = PGPOOL.replace("LOG", &path("log").display().to_string());
        fs::write(path("bin/pgpool"), pgpool).expect("pgpool");
        fs::write(path("run/pgpool.pid"), "1\n").expect("a PID file");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path("bin/pgpool"), executable).expect("may be run");
        let settings = settings.replace("/opt/pgpool-II/tls", &path("tls").display().to_string());
        project(&path("etc"), "1", revision, &settings);
        let workload = support::stateful_set(&World::plain().valid(), None);
        let pod = workload.spec.expect("a spec").template.spec.expect("a pod");
        let script = pod.containers[0].args.clone().expect("arguments").remove(0);
        let script = script
            .replace("/opt/pgpool-II/etc", &path("etc").display().to_string())
            .replace("/opt/pgpool-II/tls", &path("tls").display().to_string())
            .replace("/run/pgpool", &path("run").display().to_string());
        let said = fs::File::create(path("said")).expect("a file");
        let shell = Command::new("sh")
            .args(["-c", &script])
            .env("PATH", format!("{}:/usr/bin:/bin", path("bin").display()))
            .process_group(0)
            .stderr(said)
            .spawn()
            .expect("a shell");
        Self { home, shell }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// What the shell printed.
    fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    /// How it ended.
    fn ends(&mut self) -> Option<i32> {
        let mut status = None;
        until("the end", || {
            status = self.shell.try_wait().expect("a child");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    fn has_written(&self, expected: &str) {
        until(expected, || self.log() == expected);
    }

    fn send(&self, signal: &str) {
        let pid = self.shell.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .expect("kill")
                .success()
        );
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // The shell and what it left: its process group is its own.
        let group = format!("-{}", self.shell.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.shell.wait();
    }
}

/// As the kubelet does it: a new folder, then the link to it in one step, then the old one goes.
fn project(etc: &Path, name: &str, revision: &str, settings: &str) {
    let before = fs::canonicalize(etc.join("..data"));
    let folder = format!("..{name}");
    fs::create_dir(etc.join(&folder)).expect("a folder");
    fs::write(etc.join(&folder).join("revision"), format!("{revision}\n")).expect("a file");
    fs::write(etc.join(&folder).join("pgpool.conf"), settings).expect("a file");
    symlink(&folder, etc.join("..data_tmp")).expect("a link");
    fs::rename(etc.join("..data_tmp"), etc.join("..data")).expect("moves");
    if let Ok(before) = before {
        fs::remove_dir_all(before).expect("goes");
    }
}

#[test]
fn pgpool_is_told_to_read_what_is_new_and_stopped_fast() {
    let mut pod = Pod::start("a");
    let etc = pod.path("etc");
    assert!(!pod.path("run/pgpool.pid").exists(), "of the process before");
    project(&etc, "2", "a", "");
    pod.has_written("started\nreload\n");
    project(&etc, "3", "a", "");
    pod.has_written("started\nreload\nreload\n");

    // Files of another revision: the pod waits to be replaced. Later files of its own revision are notified.
    project(&etc, "4", "b", "");
    let seen = || {
        let cwd = fs::read_link(format!("/proc/{}/cwd", pod.shell.id())).expect("its folder");
        cwd.ends_with("..4")
    };
    until("the look at the files of another revision", seen);
    project(&etc, "5", "a", "");
    pod.has_written("started\nreload\nreload\nreload\n");

    pod.send("-TERM");
    assert_eq!(pod.ends(), Some(3), "as pgpool ended");
    pod.has_written("started\nreload\nreload\nreload\nfast stop\n");
}

/// As they are written for a pool that serves TLS.
fn settings_with_tls() -> String {
    let config = support::foundation(&World::tls().valid()).config_secret.unwrap();
    file(&config, "pgpool.conf")
}

#[test]
fn pgpool_does_not_start_without_the_certificate_that_its_settings_name() {
    let settings = settings_with_tls();
    let pod = Pod::with("b", &settings);
    until("what the shell says", || !pod.said().is_empty());
    project(&pod.path("etc"), "2", "b", &settings);
    let looks = || {
        let cwd = fs::read_link(format!("/proc/{}/cwd", pod.shell.id())).expect("its folder");
        cwd.ends_with("..2")
    };
    until("another look", looks);
    assert_eq!(pod.log(), "", "nothing was started");
    let said = pod.said();
    assert_eq!(said.lines().count(), 1, "said once: {said}");
    assert!(said.contains("which this pod does not have"), "{said}");
    // TLS was not meant after all.
    project(&pod.path("etc"), "3", "a", "ssl = off\n");
    pod.has_written("started\n");
    // From now on this is the revision that counts.
    project(&pod.path("etc"), "4", "a", "ssl = off\n");
    pod.has_written("started\nreload\n");
}

#[test]
fn who_waits_for_a_certificate_ends_when_asked_to() {
    let mut pod = Pod::with("b", &settings_with_tls());
    until("what the shell says", || !pod.said().is_empty());
    pod.send("-TERM");
    assert_eq!(pod.ends(), Some(143));
    assert_eq!(pod.log(), "");
}

#[test]
fn with_the_certificate_it_starts() {
    let pod = Pod::with("b", &settings_with_tls());
    until("what the shell says", || !pod.said().is_empty());
    fs::create_dir(pod.path("tls")).expect("a folder");
    fs::write(pod.path("tls/tls.key"), "").expect("a file");
    fs::write(pod.path("tls/tls.crt"), "").expect("a file");
    pod.has_written("started\n");
}
