//! How the kubelet probes a pod.
//!
//! No probe opens a connection to a pgpool that has clients: while all children of pgpool are taken, a connection waits in the
//! queue of the listening socket, which holds twice as many as there are children. Probes that wait there would fail, and
//! keep clients out.

use k8s_openapi::api::core::v1::{ExecAction, Probe};
use shared_types::ports;

use super::super::paths;
use crate::pgpool::validate::Validated;

/// This file exists once the running pgpool has proven that it serves TLS.
pub(super) const PROOF: &str = "tls-proven";
/// Two minutes for a first start on a slow node.
const START_SECONDS: i32 = 120;

/// Waits for pgpool to listen.
pub(in super::super) fn startup() -> Probe {
    Probe {
        exec: Some(shell(&works())),
        period_seconds: Some(1),
        timeout_seconds: Some(5),
        failure_threshold: Some(START_SECONDS),
        ..Probe::default()
    }
}

/// Whether pgpool works, see [`works`]. A pool that is full or has lost its PostgreSQL must not be killed.
pub(super) fn liveness() -> Probe {
    Probe {
        exec: Some(shell(&works())),
        period_seconds: Some(10),
        timeout_seconds: Some(10),
        failure_threshold: Some(3),
        ..Probe::default()
    }
}

/// Whether pgpool works, so that a full pool stays in its Service: the clients that it has must not be the reason for the others
/// to be turned away.
///
/// With TLS also one handshake in which pgpool shows the mounted certificate and proves that it has its key. When pgpool cannot
/// use its key pair, it starts without TLS and reports no error. What it serves never changes while it runs, so one proof is
/// enough. The chain is not verified here: that was done before the certificate was mounted, and not every issuer publishes its
/// CA.
pub(in super::super) fn readiness(validated: &Validated) -> Probe {
    let script = if validated.serves_tls() {
        // After the handshake was proven, which happens before the pod has clients, only this is checked.
        format!("{} || exit; {}", handshake(), works())
    } else {
        works()
    };
    Probe {
        exec: Some(shell(&script)),
        period_seconds: Some(5),
        timeout_seconds: Some(5),
        failure_threshold: Some(2),
        ..Probe::default()
    }
}

/// Whether the main process of pgpool is neither stopped nor dead, and a socket listens on its port. It needs no program but
/// the shell. Linux lists sockets that listen first, so the list is short however many clients there are. Where the list
/// cannot be read, nothing is known about sockets, and a pod is not killed for it.
///
/// pgpool ends the PID in its file with a NUL and no line break, which `read` reports as a failure.
fn works() -> String {
    let (run, port) = (paths::RUN, ports::PGPOOL);
    format!(
        r#"pgpool='' stat='' read=''
{{ read -r pgpool <{run}/pgpool.pid; read -r stat </proc/${{pgpool:-none}}/stat; }} 2>/dev/null
case ${{stat##*) }} in
  '') echo 'the main process of pgpool does not run'; exit 1;;
  [TZX]*) echo "the main process of pgpool, $pgpool, is stopped or dead"; exit 1;;
esac
for list in /proc/net/tcp /proc/net/tcp6; do
  [ -r $list ] || continue
  while read -r _ local _ state _; do
    read=1
    case $local/$state in *:{port:04X}/0A) exit 0;; esac
  done <$list
done
[ ! "$read" ] || {{ echo 'nothing listens on port {port}'; exit 1; }}
"#
    )
}

fn handshake() -> String {
    let (run, tls, port, file) = (paths::RUN, paths::TLS, ports::PGPOOL, paths::CERTIFICATE);
    let leaf = "openssl x509 -noout -fingerprint -sha256";
    format!(
        "[ -e {run}/{PROOF} ] || {{ served=$(openssl s_client -starttls postgres -connect 127.0.0.1:{port} </dev/null | {leaf}) \
         && [ \"$served\" = \"$({leaf} -in {tls}/{file})\" ] && touch {run}/{PROOF}; }}"
    )
}

/// The user's probe. If it sets only timing, it probes what ours probes.
pub(super) fn merged(asked: Option<Probe>, ours: Probe) -> Probe {
    let Some(asked) = asked else { return ours };
    let is_whole = asked.exec.is_some()
        || asked.grpc.is_some()
        || asked.http_get.is_some()
        || asked.tcp_socket.is_some();
    if is_whole {
        return asked;
    }
    Probe {
        exec: ours.exec,
        failure_threshold: asked.failure_threshold.or(ours.failure_threshold),
        period_seconds: asked.period_seconds.or(ours.period_seconds),
        timeout_seconds: asked.timeout_seconds.or(ours.timeout_seconds),
        ..asked
    }
}

pub(super) fn shell(script: &str) -> ExecAction {
    ExecAction {
        command: Some(["sh", "-c", script].map(str::to_owned).into()),
    }
}
