//! Checks whether a fact holds of a Pgpool. Reads the cluster, and changes nothing but for a pod with psql.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};
use shared_types::{Alias, Pgpool, names};

use super::expectations::Fact;
use crate::namespace::database::Database;
use crate::namespace::psql::Attempt;
use crate::namespace::{TestNamespace, equal, is_not_found};

impl Fact {
    /// Fails unless it holds, with what holds instead.
    pub(crate) async fn check(
        &self,
        ns: &TestNamespace,
        name: &str,
        database: &Database,
    ) -> anyhow::Result<()> {
        let pgpool = ns.pgpool(name).await?;
        let pool = Pool { ns, pgpool };
        match self {
            Self::Setting(key, value) => pool.setting(key, value).await,
            Self::Pods(count) => equal("pods", &ns.pods(name).await?.len(), count),
            Self::Containers(wanted) => {
                let containers = pool.pod_spec("/containers").await?;
                equal("containers", &each(&containers, "name"), wanted)
            }
            Self::AllReady => pool.all_ready().await,
            Self::Pgpool(path, value) => pool.has(&format!("/containers/name=pgpool{path}"), value).await,
            Self::Pod(path, value) => pool.has(path, value).await,
            Self::Users(users) => pool.users(users).await,
            Self::ServiceAccount(account) => pool.service_account(account).await,
            Self::ScrapeAnnotations => pool.scrape_annotations().await,
            Self::ServiceMonitor => pool.service_monitor().await,
            Self::CertificateNames(wanted) => pool.certificate_names(wanted).await,
            Self::CertificateLogin => ns.gets_row(name, database, Attempt::certificate()).await,
            Self::SecretKey(secret, key) => ns.secret_text(secret, key).await.map(drop),
            Self::GitSync(arguments) => pool.git_sync(arguments).await,
        }
    }
}

struct Pool<'a> {
    ns: &'a TestNamespace,
    pgpool: Pgpool,
}

impl Pool<'_> {
    async fn setting(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let secret = names::config_secret(&self.pgpool);
        let text = self.ns.secret_text(&secret, "pgpool.conf").await?;
        let settings = text.lines().filter_map(|line| line.split_once('='));
        let settings = settings.filter(|(known, _)| known.trim() == key);
        let values: Vec<_> = settings
            .map(|(_, value)| value.trim().trim_matches('\''))
            .collect();
        equal(key, &values, &vec![value])
    }

    async fn all_ready(&self) -> anyhow::Result<()> {
        for pod in self.ns.pods(&self.pgpool.name_any()).await? {
            let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
            let waiting = statuses.flatten().filter(|status| !status.ready);
            let waiting: Vec<_> = waiting.map(|status| &status.name).collect();
            ensure!(waiting.is_empty(), "of {} not ready: {waiting:?}", pod.name_any());
        }
        Ok(())
    }

    /// The value at a path in the spec of the pod template; `name=x` on the path is the item of that name.
    async fn pod_spec(&self, path: &str) -> anyhow::Result<Value> {
        let workload = self.ns.api::<StatefulSet>().get(&self.pgpool.name_any()).await?;
        let workload = serde_json::to_value(workload)?;
        let mut at = &workload["spec"]["template"]["spec"];
        for key in path.split('/').skip(1) {
            let next = match key.split_once('=') {
                Some((field, value)) => list(at).iter().find(|item| item[field] == value),
                None => at.get(key),
            };
            at = next.with_context(|| format!("the pods have no {path}"))?;
        }
        Ok(at.clone())
    }

    async fn has(&self, path: &str, wanted: &str) -> anyhow::Result<()> {
        let found = self.pod_spec(path).await?;
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        equal(path, found.as_str(), wanted)
    }

    async fn users(&self, wanted: &[String]) -> anyhow::Result<()> {
        let secret = names::users_secret(&self.pgpool);
        let text = self.ns.secret_text(&secret, "pool_passwd").await?;
        let known: Vec<_> = text.lines().filter_map(|line| line.split(':').next()).collect();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|user| !known.contains(&user.as_str()))
            .collect();
        ensure!(missing.is_empty(), "pgpool knows {known:?}, and not {missing:?}");
        Ok(())
    }

    async fn service_account(&self, account: &str) -> anyhow::Result<()> {
        let found = self.ns.api::<ServiceAccount>().get(account).await?;
        let untouched = found.labels().is_empty() && found.owner_references().is_empty();
        ensure!(
            untouched,
            "the user's service account was changed: {:?}",
            found.metadata
        );
        Ok(())
    }

    async fn stats_service(&self) -> anyhow::Result<Service> {
        let name = names::stats_service(&self.pgpool);
        let found = self.ns.api::<Service>().get(&name).await?;
        let mut ports = found.spec.iter().flat_map(|spec| &spec.ports).flatten();
        ensure!(
            ports.any(|port| port.port == 9719),
            "Service {name} has no port 9719"
        );
        Ok(found)
    }

    async fn scrape_annotations(&self) -> anyhow::Result<()> {
        let stats = self.stats_service().await?;
        for (key, value) in [("prometheus.io/scrape", "true"), ("prometheus.io/port", "9719")] {
            let found = stats.annotations().get(key).map(String::as_str);
            equal(key, &found, &Some(value))?;
        }
        Ok(())
    }

    async fn service_monitor(&self) -> anyhow::Result<()> {
        let stats = self.stats_service().await?;
        let api = self.ns.dynamic("monitoring.coreos.com", "v1", "ServiceMonitor");
        match api.list(&ListParams::default()).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let found = api.get(&stats.name_any()).await?;
        let release = found.labels().get("release").map(String::as_str);
        equal("label release", &release, &Some("prometheus"))?;
        let interval = &found.data["spec"]["endpoints"][0]["interval"];
        equal("interval", interval, &json!("10s"))
    }

    async fn certificate_names(&self, wanted: &[String]) -> anyhow::Result<()> {
        let name = names::certificate(&self.pgpool, Alias::Server);
        let certificate = self.ns.certificate(&name).await?;
        let spec = &certificate.data["spec"];
        let names = [list(&spec["dnsNames"]), list(&spec["ipAddresses"])].concat();
        let all = wanted.iter().all(|name| names.contains(&json!(name)));
        ensure!(
            all && names.len() > wanted.len(),
            "the certificate is for {names:?}"
        );
        Ok(())
    }

    async fn git_sync(&self, wanted: &[String]) -> anyhow::Result<()> {
        let name = names::init_job(&self.pgpool);
        let job = serde_json::to_value(self.ns.api::<Job>().get(&name).await?)?;
        let containers = list(&job["spec"]["template"]["spec"]["initContainers"]);
        let fetching = containers
            .iter()
            .find(|container| container["name"] == "git-sync");
        let fetching = fetching.with_context(|| format!("Job {name} has no container git-sync"))?;
        let arguments = list(&fetching["args"]);
        let all = wanted.iter().all(|argument| arguments.contains(&json!(argument)));
        ensure!(all, "git-sync runs with {arguments:?}");
        Ok(())
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn each<'a>(items: &'a Value, field: &str) -> Vec<&'a str> {
    list(items)
        .iter()
        .filter_map(|item| item[field].as_str())
        .collect()
}
