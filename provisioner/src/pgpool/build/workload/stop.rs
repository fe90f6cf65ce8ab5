//! How a pod terminates: the Services drop it, transactions finish, and pgpool stops fast.
//!
//! When the Services have dropped it is not known in the pod: each node learns it in its own time, later on a busy one. What a
//! pod can see is whether new connections still arrive. So pgpool goes on accepting them until none has come for two seconds.
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
/// Seconds of the grace period that are left for pgpool, which stops in under a second.
const RESERVED_SECONDS: i64 = 3;
/// Checks per second.
const LOOKS: i64 = 5;
/// Seconds without a new connection after which the Services are taken to have dropped the pod.
const QUIET_SECONDS: i64 = 2;
/// Seconds after which pgpool stops although new connections arrive: they are from clients that know the address of the pod.
const ARRIVING_SECONDS: i64 = 15;

/// What the kubelet runs before it terminates the container. `grace`: the termination grace period in seconds.
///
/// A `preStop` hook set by the user replaces this one.
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

/// Waits until no new connection arrives, then only for sessions that are active at that time, and for each until it was seen
/// idle once, or ending its transaction and then (`e`) in another state. A session that never pauses must not block the pod
/// until the grace period is over. Without active sessions it does not wait for any.
///
/// New connections are counted by the kernel (`PassiveOpens` of RFC 4022, the sixth value of the line `Tcp:`), for the pod alone,
/// since a pod has its own network namespace. Where that cannot be read, none is seen.
///
/// Not every kernel lists the children of a process; then all processes of the container are checked. Not every `sleep` accepts
/// fractions of a second.
fn script(grace: i64) -> String {
    let run = paths::RUN;
    let in_looks = |seconds: i64| seconds.max(0).saturating_mul(LOOKS);
    let looks = in_looks(grace.saturating_sub(RESERVED_SECONDS));
    let quiet = in_looks(QUIET_SECONDS);
    let arriving = looks.min(in_looks(ARRIVING_SECONDS)).max(quiet);
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
count() {{
  while read -r protocol _ _ _ _ _ opened _; do [ "$protocol" != Tcp: ] || opens=$opened; done
}}
look=0 quiet=0 opens=
pause() {{
  sleep 0.2 2>/dev/null || {{ sleep 1; look=$((look + {rest})) quiet=$((quiet + {rest})); }}
  look=$((look + 1)) quiet=$((quiet + 1))
}}
{{ count </proc/net/snmp; }} 2>/dev/null
while [ $quiet -lt {quiet} ] && [ $look -lt {arriving} ]; do
  before=$opens
  pause
  {{ count </proc/net/snmp; }} 2>/dev/null
  [ "$opens" = "$before" ] || quiet=0
done
read -r pgpool <{run}/pgpool.pid
children=; {{ read -r children </proc/$pgpool/task/$pgpool/children; }} 2>/dev/null
[ "$children" ] || children=$(cd /proc && echo [0-9]*)
busy=$(busy $children)
while [ "$busy" ] && [ $look -lt {looks} ]; do
  pause
  busy=$(busy $busy)
done
kill -INT "$pgpool"
"#,
        rest = LOOKS - 1
    )
}
