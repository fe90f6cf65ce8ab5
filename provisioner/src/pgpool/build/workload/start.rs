//! How pgpool is started, stopped, and notified of changed files.
//!
//! pgpool runs under a shell. The shell translates the signal to terminate into the one for a fast stop, since pgpool itself
//! would wait for every client. And it checks once a second whether the kubelet has replaced the files in the volume, which
//! compares one link and starts no process except `sleep`; it then signals pgpool to reload. pgpool cannot be the parent of
//! such a watcher: when it stops, it waits for all of its children, so a watcher would keep it from exiting.

use super::super::paths;
use super::{heal, probes};

/// The script, for any POSIX shell with `-ef`; all have it.
///
/// A PID file that outlives a crash could name the new process, which would then believe that another pgpool runs. The proof of
/// TLS belongs to the previous process. `-D`: a node that was marked down must not stay so after a restart.
///
/// A container of an earlier revision that restarts while TLS is being enabled finds settings that name a certificate, but has
/// none. pgpool would start without TLS and reject clients that need it, yet the pod would become ready. So it waits, is not
/// ready, and receives no client, until the rollout replaces it. The same applies to the CAs of PostgreSQL, without which
/// pgpool would connect to it in clear text.
///
/// Files of another revision are not for this pod: it will be replaced. SIGHUP would kill pgpool before it has installed its
/// handler, so the script asks the kernel first.
pub(super) fn script() -> String {
    let (run, etc) = (paths::RUN, paths::ETC);
    let (conf, hba, pcp, revision) = (
        paths::PGPOOL_CONF,
        paths::POOL_HBA,
        paths::PCP_CONF,
        paths::REVISION,
    );
    let proof = probes::PROOF;
    let heal = heal::function();
    format!(
        r#"rm -f {run}/pgpool.pid {run}/{proof}
PATH="$PATH:/opt/pgpool-II/bin"
cd -P {etc}/..data; due=
lacks_file() {{
  file={conf}; [ -r {conf} ] || return 0
  while read -r name is file; do
    case $name in ssl_cert|ssl_key|ssl_ca_cert)
      file=${{file#\'}}; file=${{file%\'}}
      [ -e "${{file:-/}}" ] || return 0;;
    esac
  done <{conf}
  return 1
}}
if lacks_file; then
  trap 'exit 143' TERM INT QUIT
  echo "pgpool is not started: {conf} names $file, which this pod does not have. The pod is of an earlier revision, from\
 before the current TLS settings, and will be replaced." >&2
  while lacks_file; do
    sleep 1 & wait $!
    cd -P {etc}/..data
  done
fi
until cd -P {etc}/..data && read -r started <{revision}; do sleep 1; done
pgpool -n -D -f {etc}/{conf} -a {etc}/{hba} -F {etc}/{pcp} & pgpool=$!
trap 'kill -INT $pgpool' TERM INT QUIT
listens() {{
  while read -r name mask; do
    [ "$name" != SigCgt: ] || case $mask in *[13579bdf]) return 0;; esac
  done </proc/$pgpool/status
  return 1
}}
{heal}while kill -0 $pgpool 2>/dev/null; do
  sleep 1 & wait $!
  [ . -ef {etc}/..data ] || {{ cd -P {etc}/..data && due=1; }}
  [ "$due" ] && read -r now <{revision} && [ "$now" = "$started" ] && listens && kill -HUP $pgpool && due=
  heal
done
wait $pgpool
"#
    )
}
