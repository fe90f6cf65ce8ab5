//! The client: a script that writes when it is ready for a change, and when the change was in force in each pod. Pure.

use std::fmt::{self, Write as _};

use crate::namespace::fixtures::POOL;
use crate::namespace::pods::host;

pub(crate) const ROUNDS: usize = 5;
/// How often in a row a pod must go by a change.
const ROW: usize = 6;
pub(crate) const FIRST: &str = "open-sesame";
pub(crate) const SECOND: &str = "close-sesame";
pub(crate) const SETTING: &str = "client_idle_limit";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Added,
    Changed,
    Removed,
    Set,
}

impl Phase {
    pub(crate) const ALL: [Self; 4] = [Self::Added, Self::Changed, Self::Removed, Self::Set];

    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Set => "set",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Added => "labeled Secret added",
            Self::Changed => "labeled Secret with a new password",
            Self::Removed => "labeled Secret removed",
            Self::Set => "setting that needs no restart changed",
        })
    }
}

/// What the client writes when it is ready for a change.
pub(crate) fn ready(phase: Phase, round: usize) -> String {
    format!("ready {} {round}", phase.word())
}

/// The beginning of a line about a pod in which the change is in force; the rest is the time.
pub(crate) fn mark(phase: Phase, round: usize) -> String {
    format!("seen {} {round} ", phase.word())
}

/// The value of the setting in a round, in seconds. Below a minute pgpool shows it as it is.
pub(crate) fn setting(round: usize) -> usize {
    40 + round
}

/// Makes the role, then goes through the rounds.
pub(crate) fn script(namespace: &str, user: &str, pods: usize) -> String {
    let connection = |host: &str, user: &str| {
        format!("host={host} port=9999 dbname=postgres user={user} sslmode=require connect_timeout=5")
    };
    let service = connection(&format!("{POOL}.{namespace}.svc"), "postgres");
    let mut script = format!(
        "admin() {{ until psql '{service}' -wXqc \"$1\"; do sleep 0.5; done; }}\n\
         login() {{ PGPASSWORD=$1 psql \"$2\" -wXAtqc 'select 1'; }}\n\
         refused() {{ ! login \"$@\"; }}\n\
         shows() {{ test \"$(psql \"$2\" -wXAtqc 'pgpool show {SETTING}')\" = \"$1s\"; }}\n\
         row() {{ mark=$1; shift; n=0\n\
           while [ $n -lt {ROW} ]; do\n\
             if \"$@\" >/dev/null 2>&1; then\n\
               [ $n -gt 0 ] || first=$(date +%s.%N)\n\
               n=$((n + 1))\n\
             else n=0; sleep 0.05; fi\n\
           done; echo \"$mark $first\"; }}\n\
         admin \"create role {user} login\"\n"
    );
    for round in 1..=ROUNDS {
        for phase in Phase::ALL {
            let (role, check) = match phase {
                Phase::Added => (Some(FIRST), format!("login {FIRST}")),
                Phase::Changed => (Some(SECOND), format!("login {SECOND}")),
                Phase::Removed => (None, format!("refused {SECOND}")),
                Phase::Set => (None, format!("shows {}", setting(round))),
            };
            // Writing to a String cannot fail.
            if let Some(password) = role {
                let _ = writeln!(script, "admin \"alter role {user} password '{password}'\"");
            }
            let who = if phase == Phase::Set { "postgres" } else { user };
            let mark = mark(phase, round);
            for pod in 0..pods {
                let host = connection(&host(POOL, pod, namespace), who);
                let _ = writeln!(
                    script,
                    "( row '{}' {check} '{host}' ) & p{pod}=$!",
                    mark.trim_end()
                );
            }
            let _ = writeln!(script, "echo '{}'", ready(phase, round));
            let all: Vec<_> = (0..pods).map(|pod| format!("$p{pod}")).collect();
            let _ = writeln!(script, "wait {}", all.join(" "));
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_waited_for_in_every_pod() {
        let script = script("here", "ann", 2);
        for phase in Phase::ALL {
            for round in 1..=ROUNDS {
                assert_eq!(script.matches(&ready(phase, round)).count(), 1);
                assert_eq!(script.matches(mark(phase, round).trim_end()).count(), 2);
            }
        }
        assert!(script.contains("user=postgres") && script.contains("pool-1.pool-pods.here.svc"));
    }
}
