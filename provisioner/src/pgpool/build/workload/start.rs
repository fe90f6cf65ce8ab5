//! How pgpool is started, stopped, and told that its files have changed.
//!
//! A shell stays in front of it. It passes a signal to end on as the one for a fast stop, since pgpool's answer to the
//! kubelet's own is to wait for every client. And it looks once a second whether the kubelet has put new files into
//! the volume, which is one look at a link and starts no process but the pause; pgpool reads them when it is told to.
//! pgpool itself could not be in front: when it stops it waits for every child of its own, so that one which looks
//! after it would never let it end.

use super::super::paths;
use super::probes;

/// The script, for any POSIX shell that knows `-ef`, as all do.
///
/// A PID file that outlives a crash would name the new process itself, which then believes that another pgpool runs.
/// The proof of TLS is of the process before. `-D`: an old "down" of a node must not outlive a pod.
///
/// A pod of an earlier revision that starts anew while TLS is being added finds settings that name a certificate, and has
/// none: its turn to be replaced has not come. pgpool would start without TLS and refuse whoever has to come with it, and
/// the pod would be called ready. So it waits, is not ready, and no client is sent to it. The same with authorities of
/// PostgreSQL, without which pgpool would talk to it in clear.
///
/// Files of another revision are not for this pod: it will be replaced. Before pgpool catches the signal it would die
/// of it, so the kernel is asked first.
pub(super) fn script() -> String {
    let (run, etc) = (paths::RUN, paths::ETC);
    let (conf, hba, pcp, revision) = (
        paths::PGPOOL_CONF,
        paths::POOL_HBA,
        paths::PCP_CONF,
        paths::REVISION,
    );
    let proof = probes::PROOF;
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
 before TLS was set up like this, and will be replaced." >&2
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
while kill -0 $pgpool 2>/dev/null; do
  sleep 1 & wait $!
  [ . -ef {etc}/..data ] || {{ cd -P {etc}/..data && due=1; }}
  [ "$due" ] && read -r now <{revision} && [ "$now" = "$started" ] && listens && kill -HUP $pgpool && due=
done
wait $pgpool
"#
    )
}
