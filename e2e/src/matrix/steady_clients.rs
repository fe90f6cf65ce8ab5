//! Clients that connect again and again while a pool is changed: each of them is one that both modes admit, so that
//! none may ever be refused.
//!
//! All are in one pod that stays, in one shell for each pool.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use local_cluster::wait;
use serde_json::json;

use super::cells::Question;
use super::pools::USER;
use super::script::{CA_FOLDER, CERTIFICATES, options};
use crate::namespace::fixtures::Manifest;
use crate::namespace::shell::Shell;
use crate::namespace::test_ca::Pair;
use crate::namespace::{SOON, TestNamespace, psql};

/// The pod, its script's container, and what belongs to it.
const NAME: &str = "faithful";
const CONTAINER: &str = "psql";

/// Seconds between two rounds of one pool's clients: this machine has two processors.
const PAUSE: &str = "0.3";

const ALL: &str = "all ended";

/// What came of the clients of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    pub(crate) attempts: u32,
    /// psql's words, each time that one was refused.
    pub(crate) failures: Vec<String>,
}

pub(crate) struct Load {
    ns: TestNamespace,
    round: u32,
}

pub(crate) struct Working<'a> {
    load: &'a Load,
    shell: Shell,
}

impl Load {
    /// Starts the pod. `pair` is what each client shows who shows a certificate.
    pub(crate) async fn start(
        ns: &TestNamespace,
        pools: &[String],
        ca: &str,
        password: &str,
        pair: &Pair,
    ) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        for name in pools {
            files.insert(format!("{name}.crt"), &pair.certificate);
            files.insert(format!("{name}.key"), &pair.key);
        }
        for manifest in [
            Manifest::config_map(&format!("{NAME}-cas"), json!({"own": ca})),
            Manifest::secret(&format!("{NAME}-certificates"), files),
            Manifest::secret(&format!("{NAME}-password"), json!({"password": password})),
        ] {
            ns.put(&manifest).await?;
        }
        let certificates =
            json!({"secret": {"secretName": format!("{NAME}-certificates"), "defaultMode": 0o440}});
        let volumes = [
            (
                "cas",
                CA_FOLDER,
                json!({"configMap": {"name": format!("{NAME}-cas")}}),
            ),
            ("certificates", CERTIFICATES, certificates),
            ("tmp", "/tmp", json!({"emptyDir": {}})),
        ];
        // The trap ends the pod at once; without it, a shell does not end while it waits.
        let stay = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done";
        let pod = psql::pod(NAME, stay, &format!("{NAME}-password"), &volumes);
        ns.put(&pod).await?;
        wait::object(&ns.api::<Pod>(), NAME, SOON, "runs", |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            ensure!(phase == Some("Running"), "it is {phase:?}");
            Ok(())
        })
        .await?;
        Ok(Self {
            ns: ns.clone(),
            round: 0,
        })
    }

    /// Lets the clients of these pools connect, and returns when each has been let in by its pool.
    pub(crate) async fn begin(&mut self, faithful: &[Question]) -> anyhow::Result<Working<'_>> {
        self.round += 1;
        let script = self.script(faithful);
        let shell = self.ns.begin(NAME, CONTAINER, &script).await?;
        let working = Working { load: self, shell };
        wait::until("the clients are let in before the change", SOON, async || {
            let lines = working.shell.lines();
            for question in faithful {
                let line = format!("began {}", question.name);
                ensure!(lines.contains(&line), "not yet {line}: {lines:?}");
            }
            Ok(())
        })
        .await?;
        Ok(working)
    }

    fn script(&self, faithful: &[Question]) -> String {
        let stop = self.stop();
        let mut script = format!(
            "once() {{\n  made=$((made + 1))\n  \
             output=$(psql \"connect_timeout=20 port=9999 user={USER} dbname=postgres $2\" -wXAtc 'select 1' 2>&1) && return\n  \
             all=; printf 'failed %s: %s\\n' \"$1\" \"$(echo \"$output\" | tr '\\n' ' ')\"\n}}\n"
        );
        for question in faithful {
            let (name, host) = (&question.name, question.host(self.ns.name()));
            // Writing to a String cannot fail.
            let _ = writeln!(script, "( made=0 began=; while :; do all=1");
            for cell in &question.cells {
                let options = options(name, *cell, &format!("host={host}"));
                let _ = writeln!(script, "once '{name}' \"{options}\"");
            }
            // Only a round after the one in which all is well is known to have begun in time.
            let _ = writeln!(
                script,
                "if [ ! \"$began\" ] && [ \"$all\" ]; then began=1; echo 'began {name}'; fi\n\
                 [ ! -e {stop} ] || break; sleep {PAUSE}; done; echo \"made $made {name}\" ) &"
            );
        }
        let _ = writeln!(script, "wait; echo '{ALL}'; exit 0");
        script
    }

    fn stop(&self) -> String {
        format!("/tmp/stop-{}", self.round)
    }
}

impl Working<'_> {
    /// Stops the clients, and returns what came of those of each pool, by its name.
    pub(crate) async fn end(self) -> anyhow::Result<BTreeMap<String, Connections>> {
        let stop = format!("touch {}; exit 0\n", self.load.stop());
        self.load.ns.shell(NAME, CONTAINER, &stop).await?;
        let lines = self.shell.end().await?;
        ensure!(
            lines.last().map(String::as_str) == Some(ALL),
            "the clients ended early: {lines:?}"
        );
        read(&lines)
    }
}

fn read(lines: &[String]) -> anyhow::Result<BTreeMap<String, Connections>> {
    let mut all: BTreeMap<String, Connections> = BTreeMap::new();
    for line in lines {
        if let Some((name, output)) = line.strip_prefix("failed ").and_then(|it| it.split_once(": ")) {
            let of_pool = all.entry(name.to_owned()).or_default();
            of_pool.failures.push(output.trim().to_owned());
        } else if let Some((made, name)) = line.strip_prefix("made ").and_then(|it| it.split_once(' ')) {
            let made = made.parse().with_context(|| format!("reading {line:?}"))?;
            all.entry(name.to_owned()).or_default().attempts = made;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_clients_tell_is_counted_by_pool() {
        let lines = [
            "began a",
            "failed a: psql: error: no ",
            "made 3 a",
            "made 2 b",
            ALL,
        ]
        .map(str::to_owned);
        let read = read(&lines).unwrap();
        assert_eq!(read["a"].attempts, 3);
        assert_eq!(read["a"].failures, ["psql: error: no"]);
        assert_eq!(
            read["b"],
            Connections {
                attempts: 2,
                failures: Vec::new()
            }
        );
    }
}
