//! The script that ends a pod, run by a real shell beside processes that bear the titles of pgpool's.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{self, World, until};

/// A main process with sessions. What a session shows is in a file; the main process writes down how it is stopped.
const PGPOOL: &str = r"
$| = 1;
my ($home, @sessions) = @ARGV;
$0 = 'pgpool';
for my $name (@sessions) {
  next if fork;
  while (getppid != 1) {
    open(my $file, '<', qq($home/$name));
    $0 = qq(pgpool: postgres shop 10.0.0.9(4711) ) . <$file>;
    select(undef, undef, undef, 0.01);
  }
  exit;
}
$SIG{INT} = sub { open(my $log, '>', qq($home/stopped)); exit };
open(my $pid, '>', qq($home/pgpool.pid)); print $pid qq($$\n); close $pid;
sleep 1 while 1;
";

struct Pod {
    home: tempfile::TempDir,
    children: Vec<Child>,
}

impl Pod {
    /// A pod with sessions that do this.
    fn new(sessions: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        for (name, does) in sessions {
            fs::write(home.path().join(name), does).expect("a file");
        }
        let mut pod = Self {
            home,
            children: Vec::new(),
        };
        let pgpool = Command::new("perl")
            .args(["-e", PGPOOL])
            .arg(pod.home.path())
            .args(sessions.iter().map(|(name, _)| name))
            .process_group(0)
            .spawn();
        pod.children.push(pgpool.expect("perl"));
        until("the PID file", || pod.home.path().join("pgpool.pid").exists());
        pod
    }

    /// The kubelet ends it. The Services are given no time.
    fn ends(&mut self, grace: Option<i64>) {
        self.end_with(grace, |script| {
            let quiet = "[ $quiet -lt 10 ]";
            assert!(script.contains(quiet), "{script}");
            script.replace(quiet, "[ $quiet -lt 0 ]")
        });
    }

    /// The kubelet ends it.
    fn end(&mut self, grace: Option<i64>) {
        self.end_with(grace, |script| script);
    }

    /// So many connections have been accepted in the network namespace of the pod.
    fn has_accepted(&self, connections: u32) {
        let lines = format!(
            "Ip: Forwarding DefaultTTL\nIp: 1 64\n\
             Tcp: Algorithm Min Max MaxConn ActiveOpens PassiveOpens AttemptFails\n\
             Tcp: 1 200 120000 -1 11 {connections} 0\nUdp: InDatagrams\nUdp: 3\n"
        );
        self.write("snmp", &lines);
    }

    /// In one step, since processes of the test read the file at any time.
    fn write(&self, name: &str, text: &str) {
        let new = self.home.path().join(format!("{name}.new"));
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.home.path().join(name)).expect("a file");
    }

    fn end_with(&mut self, grace: Option<i64>, edited: impl Fn(String) -> String) {
        let mut world = World::plain();
        if let Some(grace) = grace {
            let template = serde_json::json!({ "spec": { "terminationGracePeriodSeconds": grace } });
            world.pgpool.spec.pod_template = Some(serde_json::from_value(template).expect("a template"));
        }
        let workload = support::stateful_set(&world.valid(), None);
        let pod = workload.spec.expect("a spec").template.spec.expect("a pod");
        let lifecycle = pod.containers[0].lifecycle.clone().expect("a lifecycle");
        let exec = lifecycle.pre_stop.and_then(|hook| hook.exec).expect("a command");
        let command = exec.command.expect("a command");
        let home = self.home.path().display().to_string();
        assert!(command[2].contains("/proc/net/snmp"), "{}", command[2]);
        let script = command[2]
            .replace("/run/pgpool", &home)
            .replace("/proc/net", &home);
        let hook = Command::new(&command[0])
            .args([&command[1], &edited(script)])
            .stdout(Stdio::null())
            .spawn();
        self.children.push(hook.expect("a shell"));
    }

    fn does(&self, session: &str, what: &str) {
        self.write(session, what);
    }

    fn is_stopped(&self) -> bool {
        self.home.path().join("stopped").exists()
    }

    fn stops(&self, why: &str) {
        until(why, || self.is_stopped());
    }

    fn goes_on(&self, why: &str) {
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            assert!(!self.is_stopped(), "stopped: {why}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn new_connections_are_accepted_while_they_arrive() {
    let mut pod = Pod::new(&[("one", "idle")]);
    pod.has_accepted(7);
    pod.end(None);
    let end = Instant::now() + Duration::from_secs(4);
    for connections in 8.. {
        if Instant::now() > end {
            break;
        }
        pod.has_accepted(connections);
        pod.goes_on("a Service still leads to it");
    }
    pod.stops("no more connections arrive");
}

#[test]
fn new_connections_are_accepted_no_longer_than_the_pod_may_take() {
    let mut pod = Pod::new(&[("one", "idle")]);
    pod.has_accepted(7);
    pod.end(Some(6));
    for connections in 8..12 {
        pod.has_accepted(connections);
        std::thread::park_timeout(Duration::from_secs(1));
    }
    pod.stops("the grace period is nearly over");
}

#[test]
fn a_pod_that_cannot_count_connections_ends() {
    let mut pod = Pod::new(&[("one", "idle")]);
    pod.end(None);
    pod.stops("nothing is known about connections");
}

#[test]
fn who_only_holds_a_connection_is_not_waited_for() {
    let mut pod = Pod::new(&[("one", "idle"), ("two", "idle")]);
    pod.ends(None);
    pod.stops("nobody is in a transaction");
}

#[test]
fn transactions_that_run_may_end() {
    let mut pod = Pod::new(&[
        ("one", "SELECT"),
        ("two", "idle in transaction"),
        ("three", "idle"),
    ]);
    pod.ends(None);
    pod.goes_on("two are in a transaction");
    pod.does("one", "idle");
    // Somebody who begins now is not waited for.
    pod.does("three", "UPDATE");
    pod.goes_on("one is in a transaction");
    pod.does("two", "idle");
    pod.stops("those are over that ran");
}

#[test]
fn a_session_that_never_pauses_is_waited_for_until_its_transaction_ends() {
    let mut pod = Pod::new(&[("one", "UPDATE")]);
    pod.ends(None);
    pod.goes_on("it is in a transaction");
    pod.does("one", "COMMIT");
    pod.goes_on("it is at the end of one");
    pod.does("one", "UPDATE");
    pod.stops("that one is over");
}

#[test]
fn the_time_is_bounded_by_what_the_pod_may_take() {
    let mut pod = Pod::new(&[("one", "SELECT")]);
    pod.ends(Some(5));
    pod.stops("no time is left for transactions");
    let mut pod = Pod::new(&[("one", "SELECT")]);
    pod.ends(Some(7));
    pod.stops("it is over");
}
