//! How a pod ends children of pgpool whose client has gone.
//!
//! Some sequences of messages make a child of pgpool wait for ever (4.3: those that pgjdbc up to 42.7.6 sends with
//! `autosave=always`), and it does not notice then that its client leaves. The place of that client is lost, and once all are,
//! nobody can log in. The kernel shows such a connection: the client has closed it, pgpool has not (`CLOSE-WAIT`).
//!
//! A child that waits for a long query of a client that has left is ended, too. PostgreSQL itself goes on with the query, as
//! it does when its own client leaves.

use shared_types::ports;

/// Seconds between two looks at the connections.
const PERIOD: i64 = 20;
/// A child is ended when it was seen like this in so many looks in a row, that is after two minutes.
const LOOKS: i64 = 7;

/// The function `heal`, to be called about once a second by the shell that runs pgpool, whose PID is in `$pgpool`.
///
/// Only `ls` shows which process has a socket. Where it is missing, nothing is ended. A connection without an inode waits to
/// be accepted, and no child has it yet. Only children of pgpool are ended: with shared process namespaces, the pod has others.
pub(super) fn function() -> String {
    format!(
        r#"ticks=0 left=
heal() {{
  ticks=$(((ticks + 1) % {PERIOD})); [ $ticks = 0 ] || return 0
  before=$left left='' ended=''
  for list in /proc/net/tcp /proc/net/tcp6; do
    [ -r $list ] || continue
    while read -r _ local _ state _ _ _ _ _ inode _; do
      case $local/$state/$inode in *:{port:04X}/08/0) continue;; *:{port:04X}/08/*) looks=1;; *) continue;; esac
      for it in $before; do [ ${{it%:*}} != $inode ] || looks=$((${{it#*:}} + 1)); done
      left="$left $inode:$looks"
      [ $looks -lt {LOOKS} ] || ended="$ended socket:[$inode]"
    done <$list
  done
  [ "$ended" ] || return 0
  ls -l /proc/[0-9]*/fd 2>/dev/null | while read -r line; do
    case $line in /proc/*/fd:) child=${{line#/proc/}}; child=${{child%/fd:}}; continue;; esac
    case "$ended " in *" ${{line##* }} "*) ;; *) continue;; esac
    stat=; {{ read -r stat </proc/$child/stat; }} 2>/dev/null
    case ${{stat##*) }} in ?' '$pgpool' '*) ;; *) continue;; esac
    echo "ended child $child of pgpool: its client left more than two minutes ago" >&2
    kill -INT $child
  done
}}
"#,
        port = ports::PGPOOL
    )
}
