//! Clients of a pool that keep working while things change: some connect for every query, some hold a session and work
//! in transactions. Failures are distinguished: a connection that could not be made, a session that broke.
//!
//! They are pgbench, in a pod, through the pool's Service, verifying chain and name of what they talk to.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use local_cluster::wait;
use serde_json::json;

use super::database::Database;
use super::fixtures::Manifest;
use super::{TestNamespace, psql};

/// The pod, and its folder of scripts and CAs.
const NAME: &str = "load";
const START: Duration = Duration::from_mins(4);
const NEWCOMERS: usize = 2;
/// Connections that each of them makes in a second.
const RATE: usize = 8;
const HOLDERS: usize = 2;
/// Transactions that each of them begins in a second; one takes a tenth of it.
const PACE: usize = 4;
/// Time after which the clients count what they did, and begin again.
const STINT: u64 = 5;
/// The same for those that hold a session.
const LONG_STINT: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Password,
    /// By the pool's client certificate, as the kubelet has it in their pod: it changes there a while after the Secret.
    Certificate,
}

pub(crate) struct Load {
    ns: TestNamespace,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// New connections that were made and counted so far.
    pub(crate) connections: usize,
    pub(crate) failed: usize,
    pub(crate) broken_queries: usize,
    pub(crate) broken_idle: usize,
    pub(crate) broken_busy: usize,
    pub(crate) output: Vec<String>,
}

impl Counts {
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            failed: self.failed + other.failed,
            broken_queries: self.broken_queries + other.broken_queries,
            broken_idle: self.broken_idle + other.broken_idle,
            broken_busy: self.broken_busy + other.broken_busy,
            output: [self.output.clone(), other.output.clone()].concat(),
        }
    }

    pub(crate) fn broken(&self) -> usize {
        self.broken_queries + self.broken_idle + self.broken_busy
    }
}

impl Load {
    /// Starts them against a pool whose certificates may come from any of the CAs, PEM; returns once they are
    /// connected.
    pub(crate) async fn start(
        ns: &TestNamespace,
        pool: &str,
        database: &Database,
        cas: &str,
        proof: Login,
    ) -> anyhow::Result<Self> {
        let files = json!({
            "cas": cas,
            "query.sql": "select 1;\n",
            "transaction.sql": "begin;\nselect pg_sleep(0.1);\ncommit;\n",
        });
        let files = Manifest::config_map(NAME, files);
        ns.put(&files).await?;
        ns.put(&database.credentials(ns.name())).await?;
        let client = json!({"secret": {
            "secretName": format!("{pool}-client-cert"), "optional": true, "defaultMode": 0o440,
        }});
        let volumes = [
            (NAME, "/load", json!({"configMap": {"name": NAME}})),
            ("client", "/client", client),
        ];
        let host = format!("{pool}.{}.svc", ns.name());
        ns.put(&psql::pod(NAME, &script(&host, proof), "postgres-auth", &volumes))
            .await?;
        let load = Self { ns: ns.clone() };
        wait::until("clients are connected", START, async || {
            let counts = load.counts().await?;
            ensure!(counts.connections > 0, "no client is: {:?}", counts.output);
            Ok(())
        })
        .await?;
        Ok(load)
    }

    /// What they saw so far. What succeeded in the last seconds is not counted yet.
    pub(crate) async fn counts(&self) -> anyhow::Result<Counts> {
        Ok(read(&self.ns.log(NAME).await?))
    }

    pub(crate) async fn stop(self) -> anyhow::Result<Counts> {
        let counts = self.counts().await?;
        self.ns.delete::<Pod>(NAME).await?;
        Ok(counts)
    }
}

fn script(host: &str, proof: Login) -> String {
    let proof = match proof {
        Login::Password => "",
        Login::Certificate => " sslcert=/client/tls.crt sslkey=/client/tls.key passfile=/dev/null password=",
    };
    let connection = format!(
        "host={host} port=9999 user=postgres dbname=postgres connect_timeout=10 sslmode=verify-full \
         sslrootcert=/load/cas{proof}"
    );
    let newcomer = format!("-C -R {RATE} -T {STINT} -f /load/query.sql");
    let holder = format!("-R {PACE} -T {LONG_STINT} -f /load/transaction.sql");
    // A node learns a moment later than the rest of the cluster that the Service has a pod.
    format!(
        "until psql '{connection}' -wXqc 'select 1' >/dev/null 2>&1; do sleep 0.5; done\n\
         work() {{ kind=$1; shift\n\
           while :; do pgbench -n -c 1 \"$@\" '{connection}' 2>&1 | while IFS= read -r line; do\n\
             case $line in *aborted*|*'could not create'*|*failed:*|*'actually processed'*) \
               echo \"$(date +%s.%N) $kind $line\";; esac\n\
           done; sleep 0.05; done; }}\n\
         for _ in $(seq {NEWCOMERS}); do work new {newcomer} & done\n\
         for _ in $(seq {HOLDERS}); do work held {holder} & done\n\
         wait\n"
    )
}

/// Counts what is in the log: time, kind of client, a line of pgbench.
fn read(log: &str) -> Counts {
    let mut counts = Counts::default();
    for line in log.lines() {
        let mut parts = line.splitn(3, ' ');
        let (Some(_), Some(kind), Some(reported)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let is_new = kind == "new";
        if let Some((_, number)) = reported.split_once("actually processed: ") {
            let processed: usize = number.trim().parse().unwrap_or_default();
            // Beside the connections of the queries, pgbench makes one to begin with.
            counts.connections += if is_new { processed + 1 } else { 1 };
            continue;
        }
        if reported.contains("aborted in command 0") && !is_new {
            counts.broken_idle += 1;
        } else if reported.contains("aborted in command") {
            let broken = if is_new {
                &mut counts.broken_queries
            } else {
                &mut counts.broken_busy
            };
            *broken += 1;
        } else if reported.contains("aborted while establishing connection")
            || reported.contains("could not create connection")
        {
            counts.failed += 1;
        }
        if !reported.contains("Run was aborted") {
            counts.output.push(line.to_owned());
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let log = "\
1.5 new number of transactions actually processed: 39
1.6 new pgbench: error: connection to server at \"pool\" (10.0.0.1), port 9999 failed: Connection refused
1.6 new pgbench: error: client 0 aborted while establishing connection
1.6 new number of transactions actually processed: 4
1.6 new pgbench: error: Run was aborted; the above results are incomplete.
1.7 new pgbench: error: could not create connection for setup
1.8 new pgbench: error: client 0 script 0 aborted in command 0 query 0: FATAL:  terminating connection
1.9 held pgbench: error: client 0 script 0 aborted in command 0 query 0: FATAL:  terminating connection
1.9 held pgbench: error: client 0 aborted in command 1 (SQL) of script 0; perhaps the backend died while processing
2.0 held number of transactions actually processed: 12
half";
        let counts = read(log);
        assert_eq!(counts.connections, 46);
        assert_eq!(counts.failed, 2);
        assert_eq!(
            (counts.broken_queries, counts.broken_idle, counts.broken_busy),
            (1, 1, 1)
        );
        assert_eq!(counts.broken(), 3);
        assert_eq!(counts.output.len(), 6);
        let twice = counts.plus(&counts);
        assert_eq!((twice.connections, twice.failed, twice.broken()), (92, 4, 6));
    }
}
