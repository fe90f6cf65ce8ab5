//! How a pod goes: it leaves the Services, lets transactions end, and stops pgpool fast.
//!
//! pgpool's own way to wait, the smart stop, waits for every client, those that only hold a connection included, while
//! new ones hang. So the pod looks for itself who is in the middle of something: each process of pgpool shows what its
//! session does in its title, as PostgreSQL's do (`src/utils/ps_status.c`, seen in 4.3 to 4.7: `pgpool: user database
//! host(port) idle`, `… idle in transaction`, `… SELECT`).

use k8s_openapi::api::core::v1::{Lifecycle, LifecycleHandler};

use super::super::paths;
use super::probes::shell;

/// How long a pod may take to go where the user says nothing about it.
pub(super) const GRACE_SECONDS: i64 = 30;
/// What of that is not for transactions: the Services forget the pod, and pgpool stops, which takes less than a second.
const RESERVED_SECONDS: i64 = 5;
/// Looks in a second.
const LOOKS: i64 = 5;

/// What the kubelet does before it ends the container. `grace`: seconds that the pod may take to go.
///
/// A user's own `preStop` takes the place of this one.
pub(super) fn lifecycle(asked: Option<Lifecycle>, grace: i64) -> Lifecycle {
    let asked = asked.unwrap_or_default();
    let ours = || LifecycleHandler {
        exec: Some(shell(&script(grace))),
        ..LifecycleHandler::default()
    };
    Lifecycle {
        pre_stop: Some(asked.pre_stop.unwrap_or_else(ours)),
        ..asked
    }
}

/// Waits for those sessions alone that were in the middle of something when the Services had forgotten the pod, and for
/// each until that has ended: until it was seen idle once, or at the end of a transaction and then (`e`) at something
/// else. A session that never pauses must not hold the pod for ever. Nobody in the middle of anything: not a moment.
///
/// Not every kernel tells the children of a process; then all processes of the container are looked at. Not every
/// `sleep` knows parts of a second.
fn script(grace: i64) -> String {
    let (run, looks) = (paths::RUN, (grace - RESERVED_SECONDS).max(0) * LOOKS);
    format!(
        r#"busy() {{
  for it; do
    child=${{it%e}} title=
    {{ read -r title </proc/$child/cmdline; }} 2>/dev/null
    case $title in
      *' idle') continue ;;
      'pgpool: '*') '*|'pgpool: '*'[local] '*) ;;
      *) continue ;;
    esac
    case $title in
      *' COMMIT'*|*' END'*|*' ROLLBACK'*|*' ABORT'*) printf '%se ' $child ;;
      *) [ $it != $child ] || printf '%s ' $child ;;
    esac
  done
}}
sleep 2
read -r pgpool <{run}/pgpool.pid
children=; {{ read -r children </proc/$pgpool/task/$pgpool/children; }} 2>/dev/null
[ "$children" ] || children=$(cd /proc && echo [0-9]*)
busy=$(busy $children) look=0
while [ "$busy" ] && [ $look -lt {looks} ]; do
  sleep 0.2 2>/dev/null || {{ sleep 1; look=$((look + {rest})); }}
  look=$((look + 1)) busy=$(busy $busy)
done
kill -INT "$pgpool"
"#,
        rest = LOOKS - 1
    )
}
