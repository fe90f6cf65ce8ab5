//! The clients of the matrix: psql with every password and certificate, in a pod of its own and in the pods of the
//! pools.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::{Value, json};

use super::cells::{Cell, Certificate, Expects, From, Question};
use super::pools::USER;
use super::psql_output::Seen;
use super::script::{CA_FOLDER, CERTIFICATES, attempt, numbered, preamble, sorted};
use super::steady_clients::Load;
use crate::namespace::database::Database;
use crate::namespace::fixtures::{ISSUER, Manifest, PLATFORM_CA};
use crate::namespace::test_ca::{Pair, TestCa, Wanted};
use crate::namespace::{SOON, TestNamespace, offer_version, psql};

/// Time for all attempts on the pools of a wave.
const LIMIT: Duration = Duration::from_mins(5);

const SHELLS: usize = 2;

const ALL: &str = "= all";

/// The certificate of clients that outlives those of the pools.
const FAITHFUL: &str = "client-faithful";

/// The folder of the socket in the pods of the pools.
const SOCKET: &str = "/run/pgpool";

pub(crate) struct Clients {
    ns: TestNamespace,
    password: String,
    /// The CA of the pools, and another one that exists.
    cas: [String; 2],
    certificates: BTreeMap<&'static str, Pair>,
}

impl Clients {
    /// Has all certificates issued in the namespace of the pools, where the issuer of the fixtures is.
    pub(crate) async fn prepare(ns: &TestNamespace, database: &Database) -> anyhow::Result<Self> {
        offer_version(ns.client()).await?;
        ns.apply(ISSUER).await?;
        let own = |certificate: Certificate, name: &str, usage: &str| {
            asked_for(certificate, name, usage, PLATFORM_CA)
        };
        for manifest in [
            own(Certificate::WrongName, "somebody", "client auth"),
            own(Certificate::OtherCase, &USER.to_uppercase(), "client auth"),
            own(Certificate::ServerOnly, USER, "server auth"),
            ordered(FAITHFUL, USER, "client auth", PLATFORM_CA),
        ] {
            ns.put(&manifest).await?;
        }
        let theirs = asked_for(Certificate::OfBackend, USER, "client auth", "postgres-ca");
        database.namespace().put(&theirs).await?;

        let mut certificates = BTreeMap::new();
        for (certificate, place) in [
            (Certificate::WrongName, ns),
            (Certificate::OtherCase, ns),
            (Certificate::ServerOnly, ns),
            (Certificate::OfBackend, database.namespace()),
        ] {
            let name = certificate.file().context("a certificate without a file")?;
            certificates.insert(name, issued(place, &format!("client-{name}")).await?);
        }
        let foreign = TestCa::new("foreign")?.issue(&Wanted {
            common_name: Some(USER.to_owned()),
            client: true,
            ..Wanted::default()
        })?;
        certificates.insert(
            Certificate::Foreign.file().context("no file for the foreign")?,
            foreign,
        );
        Ok(Self {
            ns: ns.clone(),
            password: database.password().to_owned(),
            cas: [ns.secret_text(PLATFORM_CA, "ca.crt").await?, database.ca().await?],
            certificates,
        })
    }

    /// Starts clients of these pools that connect all the time, with a certificate that stays when those of the pools
    /// go.
    pub(crate) async fn load(&self, pools: &[String]) -> anyhow::Result<Load> {
        let [own, _] = &self.cas;
        let pair = issued(&self.ns, FAITHFUL).await?;
        Load::start(&self.ns, pools, own, &self.password, &pair).await
    }

    /// Makes all attempts of a wave from a pod beside the pools, and returns what was seen, pool by pool.
    pub(crate) async fn outside(&self, asking: &[Question]) -> anyhow::Result<Vec<Vec<(Cell, Seen)>>> {
        let ns = &self.ns;
        let mut files = BTreeMap::new();
        for (name, pair) in &self.certificates {
            add(&mut files, name, pair);
        }
        let serve_tls = |question: &&Question| question.pool.mode.effective().enabled();
        for Question { name, .. } in asking.iter().filter(serve_tls) {
            let pair = issued(ns, &format!("{name}-client-cert")).await?;
            add(&mut files, name, &pair);
        }
        let name = format!("clients-{:08x}", rand::random::<u32>());
        let [own, other] = &self.cas;
        let shards: BTreeMap<_, _> = (0..SHELLS)
            .map(|shard| (format!("{shard}.sh"), self.shard(asking, shard)))
            .collect();
        let cas = json!({"own": own, "other": other});
        for manifest in [
            Manifest::config_map(&format!("{name}-scripts"), shards),
            Manifest::config_map(&format!("{name}-cas"), cas),
            Manifest::secret(&format!("{name}-certificates"), files),
            Manifest::secret(&format!("{name}-password"), json!({"password": self.password})),
        ] {
            ns.put(&manifest).await?;
        }
        let log = self.run(&name).await?;
        asking
            .iter()
            .map(|question| sorted(question, From::Service, &log))
            .collect()
    }

    /// Makes the attempts on one pool from inside each of its pods.
    pub(crate) async fn inside(&self, question: &Question) -> anyhow::Result<Vec<(Cell, Seen)>> {
        let mut script = preamble();
        // Neither an argument nor the environment of the container: both can be read by others.
        let _ = writeln!(script, "export PGPASSWORD={}", self.password);
        for (index, cell) in numbered(&question.cells, |from| from != From::Service) {
            let host = if cell.from == From::Socket {
                SOCKET
            } else {
                "127.0.0.1"
            };
            script.push_str(&attempt(&question.name, index, *cell, &format!("host={host}")));
        }
        script.push_str("exit 0\n");
        let mut all = Vec::new();
        for ordinal in 0..question.replicas {
            let pod = format!("{}-{ordinal}", question.name);
            let log = self.ns.shell(&pod, "pgpool", &script).await?;
            all.extend(sorted(question, From::Loopback, &log)?);
        }
        Ok(all)
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
            ("cas", CA_FOLDER, source("configMap", "name", "cas")),
            ("certificates", CERTIFICATES, certificates),
            ("tmp", "/tmp", json!({"emptyDir": {}})),
        ];
        let command = format!(
            "for script in /scripts/*.sh; do sh $script > /tmp/$(basename $script).log 2>&1 & done; wait; cat /tmp/*.log; echo '{ALL}'"
        );
        let pod = psql::pod(name, &command, &format!("{name}-password"), &volumes);
        self.ns.put(&pod).await?;
        let pods = self.ns.api::<Pod>();
        wait::object(&pods, name, LIMIT, "has tried every pool", psql::ended).await?;
        // A node under load reports the end of a pod before it has written all of its log.
        let log = wait::until("the log of psql is complete", SOON, async || {
            let log = self.ns.log(name).await?;
            ensure!(
                log.lines().next_back() == Some(ALL),
                "it ends in the middle, after {} bytes",
                log.len()
            );
            Ok(log)
        })
        .await?;
        self.ns.delete::<Pod>(name).await?;
        Ok(log)
    }

    /// Every other pool, so that as many are asked at once as there are shards.
    fn shard(&self, asking: &[Question], shard: usize) -> String {
        let mut script = preamble();
        for question in asking.iter().skip(shard).step_by(SHELLS) {
            let host = question.host(self.ns.name());
            // A node learns a moment later than the rest of the cluster that the Service has a pod.
            let _ = writeln!(
                script,
                "for _ in $(seq 30); do pg_isready -q -t 3 -h {host} -p 9999; test $? -lt 2 && break; sleep 0.3; done\n\
                 address=$(getent hosts {host} | cut -d' ' -f1)"
            );
            for (index, cell) in numbered(&question.cells, |from| from == From::Service) {
                let host = match cell.expects {
                    Expects::OtherName => "host=other.example hostaddr=$address".to_owned(),
                    _ => format!("host={host}"),
                };
                script.push_str(&attempt(&question.name, index, *cell, &host));
            }
        }
        script
    }
}

fn add(files: &mut BTreeMap<String, Value>, name: &str, pair: &Pair) {
    files.insert(format!("{name}.crt"), json!(pair.certificate));
    files.insert(format!("{name}.key"), json!(pair.key));
}

fn asked_for(certificate: Certificate, common_name: &str, usage: &str, issuer: &str) -> Manifest {
    let name = format!("client-{}", certificate.file().unwrap_or_default());
    ordered(&name, common_name, usage, issuer)
}

fn ordered(name: &str, common_name: &str, usage: &str, issuer: &str) -> Manifest {
    let spec = json!({
        "secretName": name,
        "commonName": common_name,
        "usages": ["digital signature", usage],
        "privateKey": {"algorithm": "ECDSA", "size": 256},
        "issuerRef": {"name": issuer, "kind": "Issuer"},
    });
    Manifest::of("cert-manager.io/v1", "Certificate", name, json!({"spec": spec}))
}

async fn issued(ns: &TestNamespace, secret: &str) -> anyhow::Result<Pair> {
    wait::until(&format!("{secret} is issued"), SOON, async || {
        let found = ns.api::<Secret>().get(secret).await?;
        ensure!(found.data.is_some(), "{} is empty", found.name_any());
        Ok(Pair {
            certificate: ns.secret_text(secret, "tls.crt").await?,
            key: ns.secret_text(secret, "tls.key").await?,
        })
    })
    .await
}
