//! The clients of the matrix: psql with every password and certificate, in a pod of its own and in the pods of the
//! pools.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{AttachParams, LogParams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::cells::{Cell, Certificate, Expects, From, Password};
use super::pools::Combination;
use super::reading::{self, Seen};
use super::table::USER;
use crate::scene::authority::{Authority, Pair, Wanted};
use crate::scene::database::Database;
use crate::scene::fixtures::{Manifest, PLATFORM_CA};
use crate::scene::{SOON, Scene, psql};
use crate::wait;

/// Time for all attempts on the pools of a wave.
const LIMIT: Duration = Duration::from_mins(5);

/// Shells that connect at once.
const SHELLS: usize = 2;

/// The last line of all.
const ALL: &str = "= all";

/// The folder of the authorities in the client's pod.
const AUTHORITIES: &str = "/authorities";

/// The folder of the client certificates there.
const CERTIFICATES: &str = "/certificates";

/// The folder of the socket in the pods of the pools.
const SOCKET: &str = "/run/pgpool";

/// What every attempt does: it tells how it is secured, who it is, and how pgpool's own connection is.
const QUERY: &str =
    "select 'row ' || current_user || ' ' || ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// Clients with everything that they may show.
pub struct Clients {
    scene: Scene,
    password: String,
    /// The authority of the pools, and another one that exists.
    authorities: [String; 2],
    certificates: BTreeMap<&'static str, Pair>,
}

/// The pools of a wave, with their cells.
pub type Asking = [(Combination, Vec<Cell>)];

impl Clients {
    /// Has all certificates issued in the namespace of the pools, where the issuer of the fixtures is.
    pub async fn prepare(scene: &Scene, database: &Database) -> anyhow::Result<Self> {
        let own = |certificate: Certificate, name: &str, usage: &str| {
            asked_for(certificate, name, usage, PLATFORM_CA)
        };
        for manifest in [
            own(Certificate::WrongName, "somebody", "client auth"),
            own(Certificate::OtherCase, &USER.to_uppercase(), "client auth"),
            own(Certificate::ServerOnly, USER, "server auth"),
        ] {
            scene.put(&manifest).await?;
        }
        let theirs = asked_for(Certificate::OfBackend, USER, "client auth", "postgres-ca");
        database.scene().put(&theirs).await?;

        let mut certificates = BTreeMap::new();
        for (certificate, place) in [
            (Certificate::WrongName, scene),
            (Certificate::OtherCase, scene),
            (Certificate::ServerOnly, scene),
            (Certificate::OfBackend, database.scene()),
        ] {
            let name = certificate.file().context("a certificate without a file")?;
            certificates.insert(name, issued(place, &format!("client-{name}")).await?);
        }
        let foreign = Authority::new("foreign")?.issue(&Wanted {
            common_name: Some(USER.to_owned()),
            client: true,
            ..Wanted::default()
        })?;
        certificates.insert(
            Certificate::Foreign.file().context("no file for the foreign")?,
            foreign,
        );
        Ok(Self {
            scene: scene.clone(),
            password: database.password().to_owned(),
            authorities: [
                scene.pem(PLATFORM_CA, "ca.crt").await?,
                database.authority().await?,
            ],
            certificates,
        })
    }

    /// Makes all attempts of a wave from a pod beside the pools, and returns what was seen, pool by pool.
    pub async fn outside(&self, asking: &Asking) -> anyhow::Result<Vec<Vec<(Cell, Seen)>>> {
        let scene = &self.scene;
        let mut files = BTreeMap::new();
        for (name, pair) in &self.certificates {
            add(&mut files, name, pair);
        }
        let serve_tls = |pool: &Combination| pool.mode.effective().enabled();
        for (pool, _) in asking.iter().filter(|(pool, _)| serve_tls(pool)) {
            add(
                &mut files,
                &pool.name(),
                &issued(scene, &format!("{}-client-cert", pool.name())).await?,
            );
        }
        let name = format!("clients-{:08x}", rand::random::<u32>());
        let [own, other] = &self.authorities;
        let shards: BTreeMap<_, _> = (0..SHELLS)
            .map(|shard| (format!("{shard}.sh"), self.shard(asking, shard)))
            .collect();
        for (kind, name, data) in [
            ("ConfigMap", format!("{name}-scripts"), ("data", json!(shards))),
            (
                "ConfigMap",
                format!("{name}-authorities"),
                ("data", json!({"own": own, "other": other})),
            ),
            (
                "Secret",
                format!("{name}-certificates"),
                ("stringData", json!(files)),
            ),
            (
                "Secret",
                format!("{name}-password"),
                ("stringData", json!({"password": self.password})),
            ),
        ] {
            let mut manifest = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
            manifest[data.0] = data.1;
            scene.put(&Manifest(manifest)).await?;
        }
        let log = self.run(&name).await?;
        sorted(asking, From::Service, &log)
    }

    /// Makes the attempts on one pool from inside its pod.
    pub async fn inside(&self, pool: &Combination, cells: &[Cell]) -> anyhow::Result<Vec<(Cell, Seen)>> {
        let mut script = preamble();
        // Neither an argument nor the environment of the container: both can be read by others.
        let _ = writeln!(script, "export PGPASSWORD={}", self.password);
        for (index, cell) in numbered(cells, |from| from != From::Service) {
            let host = if cell.from == From::Socket {
                SOCKET
            } else {
                "127.0.0.1"
            };
            script.push_str(&attempt(pool, index, *cell, &format!("host={host}")));
        }
        script.push_str("exit 0\n");
        let parameters = AttachParams::default()
            .container("pgpool")
            .stdin(true)
            .stderr(false);
        let pod = format!("{}-0", pool.name());
        let mut attached = self.scene.api::<Pod>().exec(&pod, ["sh"], &parameters).await?;
        let mut input = attached.stdin().context("no way into the shell")?;
        let mut output = attached.stdout().context("no way out of the shell")?;
        input.write_all(script.as_bytes()).await?;
        input.flush().await?;
        let mut log = String::new();
        output.read_to_string(&mut log).await?;
        attached
            .join()
            .await
            .with_context(|| format!("running psql in {pod}"))?;
        let asking = [(*pool, cells.to_vec())];
        let seen = sorted(&asking, From::Loopback, &log)?;
        Ok(seen.into_iter().flatten().collect())
    }

    async fn run(&self, name: &str) -> anyhow::Result<String> {
        let source = |kind: &str, key: &str, what: &str| {
            let mut source = json!({});
            source[kind][key] = json!(format!("{name}-{what}"));
            source
        };
        let mut certificates = source("secret", "secretName", "certificates");
        certificates["secret"]["defaultMode"] = json!(0o440);
        let volumes = [
            ("scripts", "/scripts", source("configMap", "name", "scripts")),
            (
                "authorities",
                AUTHORITIES,
                source("configMap", "name", "authorities"),
            ),
            ("certificates", CERTIFICATES, certificates),
            ("tmp", "/tmp", json!({"emptyDir": {}})),
        ];
        let command = format!(
            "for script in /scripts/*.sh; do sh $script > /tmp/$(basename $script).log 2>&1 & done; wait; cat /tmp/*.log; echo '{ALL}'"
        );
        let pod = psql::pod(name, &command, &format!("{name}-password"), &volumes);
        self.scene.put(&pod).await?;
        let pods = self.scene.api::<Pod>();
        wait::object(&pods, name, LIMIT, "has asked every pool", psql::ended).await?;
        // A node under load tells that the pod has ended before it has written down all that the pod said.
        let log = wait::until("all that psql said is there", SOON, async || {
            let log = pods
                .logs(name, &LogParams::default())
                .await
                .context("reading what psql said")?;
            ensure!(
                log.lines().next_back() == Some(ALL),
                "it ends in the middle, after {} bytes",
                log.len()
            );
            Ok(log)
        })
        .await?;
        self.scene.delete::<Pod>(name).await?;
        Ok(log)
    }

    /// Every other pool, so that as many are asked at once as there are shards.
    fn shard(&self, asking: &Asking, shard: usize) -> String {
        let mut script = preamble();
        for (pool, cells) in asking.iter().skip(shard).step_by(SHELLS) {
            let host = format!("{}.{}.svc", pool.name(), self.scene.namespace());
            // A node learns a moment later than the rest of the cluster that the Service has a pod.
            let _ = writeln!(
                script,
                "for _ in $(seq 30); do pg_isready -q -t 3 -h {host} -p 9999; test $? -lt 2 && break; sleep 0.3; done\n\
                 address=$(getent hosts {host} | cut -d' ' -f1)"
            );
            for (index, cell) in numbered(cells, |from| from == From::Service) {
                let host = match cell.expects {
                    Expects::OtherName => "host=other.example hostaddr=$address".to_owned(),
                    _ => format!("host={host}"),
                };
                script.push_str(&attempt(pool, index, *cell, &host));
            }
        }
        script
    }
}

fn preamble() -> String {
    format!(
        "try() {{ echo \"@ $1\"; psql \"connect_timeout=20 port=9999 user={USER} dbname=postgres $2\" -wXAtc '\\conninfo' -c \
         \"{QUERY}\" 2>&1; echo \"= $?\"; }}\n"
    )
}

/// One call of psql.
fn attempt(pool: &Combination, index: usize, cell: Cell, host: &str) -> String {
    let mut options = format!("{host} sslmode={}", cell.client.as_str());
    let authority = match cell.expects {
        Expects::OtherAuthority => "other",
        _ => "own",
    };
    if cell.client.as_str().starts_with("verify") {
        let _ = write!(options, " sslrootcert={AUTHORITIES}/{authority}");
    }
    if cell.expects == Expects::ChannelBinding {
        options.push_str(" channel_binding=require");
    }
    let name = pool.name();
    let file = match cell.certificate {
        Certificate::Right => Some(name.as_str()),
        other => other.file(),
    };
    if let Some(file) = file {
        let _ = write!(
            options,
            " sslcert={CERTIFICATES}/{file}.crt sslkey={CERTIFICATES}/{file}.key"
        );
    }
    match cell.password {
        Password::Right => {}
        Password::Wrong => options.push_str(" password=wrong"),
        Password::None => options.push_str(" passfile=/dev/null password=''"),
    }
    format!("try '{name} {index}' \"{options}\"\n")
}

fn numbered(cells: &[Cell], wanted: impl Fn(From) -> bool) -> impl Iterator<Item = (usize, &Cell)> {
    cells
        .iter()
        .enumerate()
        .filter(move |(_, cell)| wanted(cell.from))
}

/// Takes the log apart, and fails when an attempt is missing from it.
fn sorted(asking: &Asking, from: From, log: &str) -> anyhow::Result<Vec<Vec<(Cell, Seen)>>> {
    let seen = attempts(log);
    let wanted = |it: From| (it == From::Service) == (from == From::Service);
    let mut all = Vec::new();
    for (pool, cells) in asking {
        let mut found = Vec::new();
        for (index, cell) in numbered(cells, wanted) {
            let key = format!("{} {index}", pool.name());
            let seen = seen
                .get(key.as_str())
                .with_context(|| format!("psql did not end for {key}: {log}"))?;
            found.push((*cell, seen.clone()));
        }
        all.push(found);
    }
    Ok(all)
}

/// What a log tells, by the key of each attempt.
fn attempts(log: &str) -> BTreeMap<&str, Seen> {
    let mut all = BTreeMap::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in log.lines() {
        if let Some(key) = line.strip_prefix("@ ") {
            open = Some((key, Vec::new()));
        } else if let Some(status) = line.strip_prefix("= ").and_then(|status| status.parse().ok()) {
            if let Some((key, said)) = open.take() {
                all.insert(key, reading::read(status, &said.join("\n")));
            }
        } else if let Some((_, said)) = &mut open {
            said.push(line);
        }
    }
    all
}

fn add(files: &mut BTreeMap<String, Value>, name: &str, pair: &Pair) {
    files.insert(format!("{name}.crt"), json!(pair.certificate));
    files.insert(format!("{name}.key"), json!(pair.key));
}

fn asked_for(certificate: Certificate, common_name: &str, usage: &str, issuer: &str) -> Manifest {
    let name = format!("client-{}", certificate.file().unwrap_or_default());
    Manifest(json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name},
        "spec": {
            "secretName": name,
            "commonName": common_name,
            "usages": ["digital signature", usage],
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"name": issuer, "kind": "Issuer"},
        },
    }))
}

async fn issued(scene: &Scene, secret: &str) -> anyhow::Result<Pair> {
    wait::until(&format!("{secret} is issued"), SOON, async || {
        let found = scene.api::<Secret>().get(secret).await?;
        ensure!(found.data.is_some(), "{} is empty", found.name_any());
        Ok(Pair {
            certificate: scene.pem(secret, "tls.crt").await?,
            key: scene.pem(secret, "tls.key").await?,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::super::cells::Client;
    use super::super::oracle::Verdict;
    use super::*;

    #[test]
    fn a_log_is_taken_apart() {
        let pool = Combination::all()[0];
        let cells = vec![
            Cell::new(Client::Disable, Password::Right, Certificate::None),
            Cell::new(Client::Require, Password::Right, Certificate::None),
        ];
        let asking = [(pool, cells)];
        let name = pool.name();
        let log = format!("noise\n@ {name} 1\nno\n= 2\n@ {name} 0\nrow postgres false\n= 0\n");
        let seen = sorted(&asking, From::Service, &log).unwrap();
        assert_eq!(seen[0][0].1.verdict, Some(Verdict::Allowed { encrypted: false }));
        assert_eq!(seen[0][1].1.said, "no");
        let half = format!("@ {name} 0\nrow postgres false\n= 0\n@ {name} 1\n");
        assert!(sorted(&asking, From::Service, &half).is_err());
    }

    #[test]
    fn an_attempt_shows_what_its_cell_has() {
        let pool = Combination::all()[0];
        let cell = Cell {
            expects: Expects::OtherAuthority,
            ..Cell::new(Client::VerifyCa, Password::Wrong, Certificate::Foreign)
        };
        let line = attempt(&pool, 7, cell, "host=a");
        for words in [
            " 7'",
            "host=a sslmode=verify-ca sslrootcert=/authorities/other",
            "sslcert=/certificates/foreign.crt",
            "password=wrong",
        ] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
}
