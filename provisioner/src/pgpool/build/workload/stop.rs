//! How a pod terminates: the Services drop it, transactions finish, and pgpool stops fast.
//!
//! pgpool's own smart stop waits for every client, even for idle ones, while new clients hang. So the pod itself finds the
//! sessions that are active: each process of pgpool shows the state of its session in its title, as those of PostgreSQL do
//! (`src/utils/ps_status.c`, verified with 4.3 to 4.7: `pgpool: user database host(port) idle`, `… idle in transaction`,
//! `… SELECT`).

use k8s_openapi::api::core::v1::{Lifecycle, LifecycleHandler};

use super::super::paths;
use super::probes::shell;

/// Termination grace period where the user sets none.
pub(super) const GRACE_SECONDS: i64 = 30;
/// Seconds of the grace period that are not for transactions: the Services drop the pod, and pgpool stops in under a second.
const RESERVED_SECONDS: i64 = 5;
/// Checks per second.
const LOOKS: i64 = 5;

/// What the kubelet runs before it terminates the container. `grace`: the termination grace period in seconds.
///
/// A `preStop` of the user replaces this one.
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

/// Waits only for sessions that were active when the Services had dropped the pod, and for each until it was seen idle once, or
/// ending its transaction and then (`e`) in another state. A session that never pauses must not block the pod until the grace
/// period is over. Without active sessions it does not wait at all.
///
/// Not every kernel lists the children of a process; then all processes of the container are checked. Not every `sleep` accepts
/// fractions of a second.
fn script(grace: i64) -> String {
    let run = paths::RUN;
    let looks = grace
        .saturating_sub(RESERVED_SECONDS)
        .max(0)
        .saturating_mul(LOOKS);
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
