//! psql in a pod of its own, as an application would be: it has a password, a CA that it trusts, and
//! nothing but the pool's Service to connect to.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{bail, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::{Value, json};

use super::TestNamespace;
use super::database::Database;
use super::fixtures::Manifest;
use crate::images;

const LIMIT: Duration = Duration::from_mins(5);

/// Begins the line with the exit status of an attempt.
const END: &str = "psql ended with ";

/// The folder of the CAs in the pod.
const CA_FOLDER: &str = "/cas";

/// The folder of the client certificate in the pod, where there is one.
const CLIENT: &str = "/client";

/// The Secret with the certificate of another client, where there is one, and its folder in the pod.
pub(crate) const OTHER_CLIENT: &str = "other-client";
const OTHER: &str = "/other";

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) title: &'static str,
    /// The options of the connection beside address and user.
    pub(crate) options: String,
}

impl Attempt {
    /// TLS, with the chain and the name verified against the pool's own CA.
    pub(crate) fn verify_full() -> Self {
        Self {
            title: "sslmode=verify-full",
            options: format!("sslmode=verify-full sslrootcert={CA_FOLDER}/pool"),
        }
    }

    pub(crate) fn plain() -> Self {
        Self {
            title: "plain text",
            options: "sslmode=disable".to_owned(),
        }
    }

    /// TLS, with any server.
    pub(crate) fn encrypted() -> Self {
        Self {
            title: "encrypted",
            options: "sslmode=require".to_owned(),
        }
    }

    /// TLS with a password that is not the right one.
    pub(crate) fn wrong_password() -> Self {
        Self {
            title: "a wrong password",
            options: format!("{} password=wrong", Self::verify_full().options),
        }
    }

    /// TLS with the client certificate of the pool, and no password.
    pub(crate) fn certificate() -> Self {
        let files = format!("sslcert={CLIENT}/tls.crt sslkey={CLIENT}/tls.key");
        Self {
            title: "a client certificate",
            options: format!(
                "{} {files} passfile=/dev/null password=",
                Self::verify_full().options
            ),
        }
    }

    /// TLS with the certificate in the Secret [`OTHER_CLIENT`], and no password.
    pub(crate) fn other_certificate() -> Self {
        let options = Self::certificate().options.replace(CLIENT, OTHER);
        Self {
            title: "the certificate of another client",
            options,
        }
    }

    /// TLS, verified against the CA of PostgreSQL, which has not signed the pool's certificate.
    pub(crate) fn wrong_ca() -> Self {
        Self {
            title: "a wrong CA",
            options: format!("sslmode=verify-full sslrootcert={CA_FOLDER}/other"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) output: String,
}

impl Outcome {
    /// The line in which psql prints how the connection is secured.
    pub(crate) fn security(&self) -> Option<&str> {
        self.output
            .lines()
            .find(|line| line.starts_with("SSL connection"))
    }

    /// Fails unless psql got a row over TLS.
    pub(crate) fn expect_row(&self) -> anyhow::Result<()> {
        ensure!(
            self.security().is_some(),
            "psql prints no line about TLS: {}",
            self.output
        );
        self.expect_any_row()
    }

    /// Fails unless psql got a row without TLS.
    pub(crate) fn expect_plain_row(&self) -> anyhow::Result<()> {
        ensure!(
            self.security().is_none(),
            "psql prints a line about TLS: {}",
            self.output
        );
        self.expect_any_row()
    }

    fn expect_any_row(&self) -> anyhow::Result<()> {
        ensure!(self.status == 0, "psql failed: {}", self.output);
        ensure!(
            self.output.lines().any(|line| line.starts_with("row ")),
            "psql got no row: {}",
            self.output
        );
        Ok(())
    }

    /// Fails unless psql was refused with these words.
    pub(crate) fn expect_refusal(&self, words: &str) -> anyhow::Result<()> {
        ensure!(self.status != 0, "psql got in: {}", self.output);
        ensure!(
            self.output.contains(words),
            "psql was not refused with {words:?}: {}",
            self.output
        );
        Ok(())
    }
}

impl TestNamespace {
    /// Runs psql in a pod, once for each attempt, against the Service of a pool.
    pub(crate) async fn psql(
        &self,
        pool: &str,
        database: &Database,
        attempts: &[Attempt],
    ) -> anyhow::Result<Vec<Outcome>> {
        let server = format!("{pool}-server-cert");
        let own = match self.api::<Secret>().get_opt(&server).await? {
            Some(_) => self.secret_text(&server, "ca.crt").await?,
            None => String::new(),
        };
        self.psql_trusting(pool, database, &own, attempts).await
    }

    /// The same with clients that have another CA of the pool.
    pub(crate) async fn psql_trusting(
        &self,
        pool: &str,
        database: &Database,
        own: &str,
        attempts: &[Attempt],
    ) -> anyhow::Result<Vec<Outcome>> {
        let cas = json!({"pool": own, "other": database.ca().await?});
        let cas = Manifest::config_map("cas", cas);
        self.put(&cas).await?;
        self.put(&database.credentials(self.name())).await?;
        let name = self.put(&self.pod(pool, attempts)).await?.name_any();
        let pods = self.api::<Pod>();
        wait::object(&pods, &name, LIMIT, "has run psql", ended).await?;
        let log = self.log(&name).await?;
        self.delete::<Pod>(&name).await?;
        let outcomes = read(&log);
        ensure!(
            outcomes.len() == attempts.len(),
            "psql did not end each time: {log}"
        );
        Ok(outcomes)
    }

    /// Connects once, and fails unless psql gets a row over TLS.
    pub(crate) async fn gets_row(
        &self,
        pool: &str,
        database: &Database,
        attempt: Attempt,
    ) -> anyhow::Result<()> {
        let outcomes = self.psql(pool, database, &[attempt]).await?;
        outcomes[0].expect_row()
    }

    /// Connects once in plain text, and fails unless psql gets a row.
    pub(crate) async fn gets_plain_row(&self, pool: &str, database: &Database) -> anyhow::Result<()> {
        let outcomes = self.psql(pool, database, &[Attempt::plain()]).await?;
        outcomes[0].expect_plain_row()
    }

    /// The calls of psql, after which the pod ends well whatever they came to.
    fn script(&self, pool: &str, attempts: &[Attempt]) -> String {
        let host = format!("{pool}.{}.svc", self.name());
        // A node learns a moment later than the rest of the cluster that the Service has a pod.
        let mut script = format!(
            "for _ in $(seq 30); do pg_isready -q -t 3 -h {host} -p 9999; test $? -lt 2 && break; sleep 0.3; done\n"
        );
        for attempt in attempts {
            let options = &attempt.options;
            let connection =
                format!("connect_timeout=10 host={host} port=9999 user=postgres dbname=postgres {options}");
            let query = "select 'row ' || current_user || ' on PostgreSQL ' || split_part(version(), ' ', 2)";
            // Writing to a String cannot fail.
            let _ = writeln!(
                script,
                "psql '{connection}' -wXAtc '\\conninfo' -c \"{query}\" 2>&1; echo \"{END}$?\""
            );
        }
        script
    }

    fn pod(&self, pool: &str, attempts: &[Attempt]) -> Manifest {
        let client = json!({"secret": {
            "secretName": format!("{pool}-client-cert"), "optional": true, "defaultMode": 0o440,
        }});
        let other = json!({"secret": {"secretName": OTHER_CLIENT, "optional": true, "defaultMode": 0o440}});
        let volumes = [
            ("cas", CA_FOLDER, json!({"configMap": {"name": "cas"}})),
            ("client", CLIENT, client),
            ("other", OTHER, other),
        ];
        pod(
            &format!("psql-{:08x}", rand::random::<u32>()),
            &self.script(pool, attempts),
            "postgres-auth",
            &volumes,
        )
    }
}

/// A pod that runs a script once, with psql and the password in the Secret `password`, as restricted as any. Each volume
/// has a name, a path and a source.
pub(crate) fn pod(name: &str, script: &str, password: &str, volumes: &[(&str, &str, Value)]) -> Manifest {
    let mounts = volumes
        .iter()
        .map(|(name, path, _)| json!({"name": name, "mountPath": path}));
    let sources = volumes.iter().map(|(name, _, source)| {
        let mut volume = source.clone();
        volume["name"] = json!(name);
        volume
    });
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 999, "fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "psql",
                "image": images::POSTGRES,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", script],
                "resources": {"requests": {"cpu": "100m"}},
                "env": [{"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {
                    "name": password, "key": "password",
                }}}],
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts.collect::<Vec<_>>(),
            }],
            "volumes": sources.collect::<Vec<_>>(),
        },
    }))
}

/// Fails while a pod that runs once still runs, or has failed.
pub(crate) fn ended(pod: &Pod) -> anyhow::Result<()> {
    let status = pod.status.clone().unwrap_or_default();
    match status.phase.as_deref() {
        Some("Succeeded") => Ok(()),
        phase => bail!(
            "it is {}: {:?}",
            phase.unwrap_or("unseen"),
            status.container_statuses
        ),
    }
}

/// Parses a pod's log into outcomes, one for each time that psql exited.
fn read(log: &str) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut output = Vec::new();
    for line in log.lines() {
        match line.strip_prefix(END).and_then(|status| status.parse().ok()) {
            Some(status) => {
                outcomes.push(Outcome {
                    status,
                    output: output.join("\n"),
                });
                output.clear();
            }
            None => output.push(line),
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_an_outcome() {
        let log = "You are connected to database \"postgres\"\nSSL connection (protocol: TLSv1.3)\nrow postgres PostgreSQL 15.1\n\
                   psql ended with 0\nFATAL: no\npsql ended with 2\nhalf";
        let outcomes = read(log);
        assert_eq!(outcomes.len(), 2);
        outcomes[0].expect_row().unwrap();
        outcomes[1].expect_refusal("no").unwrap();
        assert!(outcomes[0].expect_refusal("no").is_err());
        assert!(outcomes[1].expect_row().is_err());
        assert_eq!(outcomes[0].security(), Some("SSL connection (protocol: TLSv1.3)"));
    }
}
