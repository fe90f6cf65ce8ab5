//! The probes of a pod without a connection, run by a real shell.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use k8s_openapi::api::core::v1::Probe;
use shared_types::ports;

use super::container::pgpool;
use super::support::{World, listed_sockets, until};

/// What the pod has.
struct Pod {
    home: tempfile::TempDir,
}

impl Pod {
    /// One whose pgpool has PID 12, this state, and these sockets.
    fn new(state: &str, sockets: &[(&str, &str, &str)]) -> Self {
        let pod = Self {
            home: tempfile::tempdir().expect("a folder"),
        };
        // As pgpool writes it.
        pod.write("run/pgpool.pid", "12\0");
        pod.write(
            "proc/12/stat",
            &format!("12 (a) T (pgpool) {state} 1 12 12 0 -1\n"),
        );
        // Of a process with an empty PID.
        pod.write("proc/stat", "cpu  1 2 3\n");
        for (list, address, state) in sockets {
            pod.write(
                &format!("proc/net/{list}"),
                &listed_sockets(&[(address, state, "24601")]),
            );
        }
        pod
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.home.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn without(self, path: &str) -> Self {
        fs::remove_file(self.home.path().join(path)).expect("a file");
        self
    }

    /// Whether the probe succeeds, and what it prints.
    fn answers(&self, probe: Option<Probe>) -> (bool, String) {
        let home = self.home.path().display().to_string();
        run(&script(probe).replace("/proc/", &format!("{home}/proc/")), &home)
    }
}

fn script(probe: Option<Probe>) -> String {
    let command = probe.and_then(|it| it.exec).and_then(|it| it.command);
    let [sh, option, script] = <[String; 3]>::try_from(command.expect("a command")).expect("three words");
    assert_eq!((sh.as_str(), option.as_str()), ("sh", "-c"));
    script
}

/// Without any program.
fn run(script: &str, home: &str) -> (bool, String) {
    let output = Command::new("/bin/sh")
        .args(["-c", &script.replace("/run/pgpool", &format!("{home}/run"))])
        .env("PATH", "/nowhere")
        .output()
        .expect("a shell");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    (output.status.success(), said)
}

#[test]
fn a_pgpool_works_while_its_process_runs_and_a_socket_listens() {
    let everywhere = [("tcp", "00000000:270F", "0A")];
    let stopped = "the main process of pgpool, 12, is stopped or dead";
    let deaf = "nothing listens on port 9999";
    let table = [
        (Pod::new("S", &everywhere), true, ""),
        (Pod::new("R", &everywhere), true, ""),
        (Pod::new("D", &everywhere), true, ""),
        // Somebody is looking for a fault with a debugger.
        (Pod::new("t", &everywhere), true, ""),
        (Pod::new("T", &everywhere), false, stopped),
        (Pod::new("Z", &everywhere), false, stopped),
        (
            Pod::new("S", &[("tcp6", "00000000000000000000000000000000:270F", "0A")]),
            true,
            "",
        ),
        (
            Pod::new(
                "S",
                &[
                    ("tcp", "0100007F:257B", "0A"),
                    ("tcp6", "00000000000000000000000000000000:270F", "0A"),
                ],
            ),
            true,
            "",
        ),
        (Pod::new("S", &[("tcp", "00000000:270F", "01")]), false, deaf),
        (Pod::new("S", &[("tcp", "00000000:257B", "0A")]), false, deaf),
        (
            Pod::new(
                "S",
                &[("tcp", "0A00000A:270F", "08"), ("tcp6", "0A00000A:270F", "08")],
            ),
            false,
            deaf,
        ),
        // Where sockets are not listed, nothing is known about them.
        (Pod::new("S", &[]), true, ""),
        (Pod::new("T", &[]), false, stopped),
        (
            Pod::new("S", &everywhere).without("proc/12/stat"),
            false,
            "the main process of pgpool does not run",
        ),
        (
            Pod::new("S", &everywhere).without("run/pgpool.pid"),
            false,
            "the main process of pgpool does not run",
        ),
    ];
    let container = pgpool(&World::plain());
    let probes = [
        container.startup_probe,
        container.liveness_probe,
        container.readiness_probe,
    ];
    for (row, (pod, works, says)) in table.into_iter().enumerate() {
        for probe in probes.clone() {
            assert_eq!(pod.answers(probe), (works, says.to_owned()), "row {row}");
        }
    }
}

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_reads_what_the_kernel_writes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let child = Command::new("sleep").arg("1000").process_group(0).spawn();
    let child = Ended(child.expect("a process"));
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("run")).expect("a folder");
    fs::write(home.path().join("run/pgpool.pid"), child.0.id().to_string()).expect("a file");
    let home = home.path().display().to_string();
    let script = script(pgpool(&World::plain()).liveness_probe);
    let script = script.replace(&format!("{:04X}", ports::PGPOOL), &format!("{port:04X}"));
    let signal = |signal: &str| {
        let pid = child.0.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill");
        assert!(sent.success());
    };
    assert_eq!(run(&script, &home), (true, String::new()));
    signal("-STOP");
    until("the stop", || !run(&script, &home).0);
    signal("-CONT");
    until("the end of the stop", || run(&script, &home).0);
    drop(listener);
    assert_eq!(
        run(&script, &home),
        (false, format!("nothing listens on port {}", ports::PGPOOL))
    );
}

#[test]
fn with_tls_it_works_too_and_has_proven_its_certificate() {
    let readiness = pgpool(&World::tls()).readiness_probe;
    let proven = |pod: Pod| {
        pod.write("run/tls-proven", "");
        pod.answers(readiness.clone())
    };
    let everywhere = [("tcp", "00000000:270F", "0A")];
    assert_eq!(proven(Pod::new("S", &everywhere)), (true, String::new()));
    assert!(!proven(Pod::new("T", &everywhere)).0);
    assert!(!proven(Pod::new("S", &[("tcp", "00000000:270F", "01")])).0);
    let asked = script(readiness);
    let handshake = asked.find("s_client").expect("a handshake");
    let works = asked.find("/proc/net/tcp").expect("the list of sockets");
    assert!(handshake < works, "{asked}");
}

#[test]
fn no_probe_takes_a_place_in_the_queue() {
    for world in [World::plain(), World::tls()] {
        let container = pgpool(&world);
        for probe in [
            container.startup_probe,
            container.liveness_probe,
            container.readiness_probe,
        ] {
            let probe = probe.expect("a probe");
            assert!(probe.tcp_socket.is_none() && probe.http_get.is_none() && probe.grpc.is_none());
        }
    }
}
