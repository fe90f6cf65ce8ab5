//! How the shell that runs pgpool ends children whose client has gone: run by a real shell, with real processes and sockets of
//! which the list shows what the test says.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use super::container::pgpool;
use super::support::{World, listed_sockets, until};

/// A main process whose children each have one connection. A child writes its PID, waits, and writes down how it is ended.
const PGPOOL: &str = r"
$| = 1;
my ($home, $port, @clients) = @ARGV;
use IO::Socket::INET;
for my $name (@clients) {
  next if fork;
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die;
  $SIG{INT} = sub { open(my $log, '>', qq($home/$name.ended)); exit };
  my $inode = (stat $socket)[1];
  open(my $file, '>', qq($home/$name.new)); print $file $inode; close $file;
  rename(qq($home/$name.new), qq($home/$name));
  while (getppid != 1) { select(undef, undef, undef, 0.05); }
  exit;
}
sleep 1 while 1;
";

struct Pod {
    home: tempfile::TempDir,
    processes: Vec<Child>,
    listener: TcpListener,
}

impl Drop for Pod {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Pod {
    /// One whose pgpool has a child for each of these clients, and whose shell looks every tenth of a second.
    fn start(clients: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = listener.local_addr().expect("an address").port().to_string();
        let mut pod = Self {
            home,
            processes: Vec::new(),
            listener,
        };
        let perl = Command::new("perl")
            .args(["-e", PGPOOL])
            .arg(pod.home.path())
            .arg(port)
            .args(clients)
            .process_group(0)
            .spawn();
        let perl = perl.expect("perl");
        let pid = perl.id();
        pod.processes.push(perl);
        for client in clients {
            until("the connection of a child", || {
                pod.home.path().join(client).exists()
            });
        }
        pod.look(pid);
        pod
    }

    fn look(&mut self, pgpool_pid: u32) {
        let script = pgpool(&World::plain()).args.expect("arguments").remove(0);
        let begin = script.find("ticks=0").expect("the function");
        let end = script.find("while kill -0").expect("the end of the function");
        let home = self.home.path().display().to_string();
        let function = script[begin..end]
            .replace("% 20", "% 1")
            .replace("/proc/net", &home);
        let looks =
            format!("pgpool={pgpool_pid}\n{function}\nwhile :; do sleep 0.1; heal; : >{home}/looked; done");
        let said = fs::File::create(self.home.path().join("said")).expect("a file");
        let shell = Command::new("sh")
            .args(["-c", &looks])
            .stderr(said)
            .process_group(0)
            .spawn();
        self.processes.push(shell.expect("a shell"));
    }

    /// The inode of a client's connection.
    fn inode(&self, client: &str) -> String {
        fs::read_to_string(self.home.path().join(client)).expect("an inode")
    }

    /// The kernel lists these connections: address, state, inode.
    fn lists(&self, rows: &[(&str, &str, &str)]) {
        let new = self.home.path().join("tcp.new");
        fs::write(&new, listed_sockets(rows)).expect("a file");
        fs::rename(new, self.home.path().join("tcp")).expect("a file");
    }

    /// Waits until it was looked so often.
    fn looks(&self, times: usize) {
        for _ in 0..times {
            let looked = self.home.path().join("looked");
            let _ = fs::remove_file(&looked);
            until("another look", || looked.exists());
        }
    }

    fn is_ended(&self, client: &str) -> bool {
        self.home.path().join(format!("{client}.ended")).exists()
    }
}

const PGPOOLS: &str = "0500F40A:270F";
const GONE: &str = "08";

#[test]
fn a_child_whose_client_has_gone_is_ended_and_no_other() {
    let pod = Pod::start(&["gone", "there", "elsewhere"]);
    let own = TcpStream::connect(pod.listener.local_addr().expect("an address")).expect("a connection");
    let mine = fs::read_link(format!("/proc/self/fd/{}", own.as_raw_fd())).expect("a link");
    let mine = mine.to_string_lossy().replace("socket:[", "").replace(']', "");
    let (gone, there, elsewhere) = (pod.inode("gone"), pod.inode("there"), pod.inode("elsewhere"));
    pod.lists(&[
        ("00000000:270F", "0A", "1"),
        // Not accepted yet.
        (PGPOOLS, GONE, "0"),
        (PGPOOLS, GONE, &gone),
        (PGPOOLS, "01", &there),
        // Towards PostgreSQL.
        ("0500F40A:D432", GONE, &elsewhere),
        // Of a process that is not a child of pgpool: this one.
        (PGPOOLS, GONE, &mine),
    ]);
    until("the end of the child", || pod.is_ended("gone"));
    pod.looks(3);
    assert!(!pod.is_ended("there") && !pod.is_ended("elsewhere"));
    let said = fs::read_to_string(pod.home.path().join("said")).expect("a file");
    assert!(
        said.starts_with("ended child ") && said.lines().all(|it| it.contains("of pgpool")),
        "{said}"
    );
}

#[test]
fn a_child_has_time_to_notice_that_its_client_left() {
    let pod = Pod::start(&["slow"]);
    let slow = pod.inode("slow");
    let gone = [(PGPOOLS, GONE, slow.as_str())];
    pod.lists(&gone);
    // The look that is under way may have seen the list, and one more may have begun.
    pod.looks(4);
    assert!(!pod.is_ended("slow"), "seen five times at most");
    // It has noticed; another client may get the same inode later.
    pod.lists(&[]);
    pod.looks(2);
    pod.lists(&gone);
    pod.looks(4);
    assert!(!pod.is_ended("slow"), "counted from the start");
    until("the end of the child", || pod.is_ended("slow"));
}
