//! Looks whether something holds of a pool. Reads the cluster, changes nothing but for a pod with psql.

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Secret, Service, ServiceAccount};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use shared_types::{Alias, Pgpool, names};

use super::expectations::Fact;
use crate::scene::database::Database;
use crate::scene::psql::Attempt;
use crate::scene::{Scene, is_not_found};

impl Fact {
    /// Fails unless it holds, with what holds instead.
    pub async fn check(self, scene: &Scene, name: &str, database: &Database) -> anyhow::Result<()> {
        let pool = Pool { scene, name };
        match self {
            Self::Setting(key, value) => pool.setting(key, value).await,
            Self::Pods(count) => pool.pods(count).await,
            Self::Containers(wanted) => pool.containers(wanted).await,
            Self::AllReady => pool.all_ready().await,
            Self::Pgpool(path, value) => {
                pool.template(&format!("/containers/name=pgpool{path}"), value)
                    .await
            }
            Self::Pod(path, value) => pool.template(path, value).await,
            Self::Users(users) => pool.users(users).await,
            Self::Account(account) => pool.account(account).await,
            Self::Annotated => pool.annotated().await,
            Self::Monitored => pool.monitored().await,
            Self::Certified(wanted) => pool.certified(wanted).await,
            Self::ByCertificate => {
                let outcomes = scene.psql(name, database, &[Attempt::certificate()]).await?;
                outcomes.first().context("psql did not run")?.expect_row()
            }
            Self::Credential(secret, key) => pool.file(secret, key).await.map(|_| ()),
            Self::Fetches(arguments) => pool.fetches(arguments).await,
        }
    }
}

struct Pool<'a> {
    scene: &'a Scene,
    name: &'a str,
}

impl Pool<'_> {
    async fn pgpool(&self) -> anyhow::Result<Pgpool> {
        self.scene.pgpool(self.name).await
    }

    async fn file(&self, secret: &str, key: &str) -> anyhow::Result<String> {
        let secret = self.scene.api::<Secret>().get(secret).await?;
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        let value = value.with_context(|| format!("{} has no {key}", secret.name_any()))?;
        Ok(String::from_utf8_lossy(&value.0).into_owned())
    }

    async fn setting(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let pgpool = self.pgpool().await?;
        let text = self.file(&names::config_secret(&pgpool), "pgpool.conf").await?;
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let values: Vec<_> = lines
            .filter(|(known, _)| known.trim() == key)
            .map(|(_, value)| value.trim().trim_matches('\''))
            .collect();
        ensure!(values == [value], "{key} is {values:?} instead of {value}");
        Ok(())
    }

    async fn pods(&self, count: usize) -> anyhow::Result<()> {
        let pods = self.scene.pods(self.name).await?;
        ensure!(pods.len() == count, "{} pods instead of {count}", pods.len());
        Ok(())
    }

    async fn containers(&self, wanted: &[&str]) -> anyhow::Result<()> {
        let workload = self.workload().await?;
        let containers = workload.pointer("/spec/template/spec/containers");
        let named: Vec<_> = containers
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|container| container["name"].as_str())
            .collect();
        ensure!(named == wanted, "the pods run {named:?} instead of {wanted:?}");
        Ok(())
    }

    async fn all_ready(&self) -> anyhow::Result<()> {
        for pod in self.scene.pods(self.name).await? {
            let statuses = pod
                .status
                .iter()
                .flat_map(|status| status.container_statuses.iter().flatten());
            let waiting: Vec<_> = statuses
                .filter(|status| !status.ready)
                .map(|status| &status.name)
                .collect();
            ensure!(waiting.is_empty(), "of {} not ready: {waiting:?}", pod.name_any());
        }
        Ok(())
    }

    async fn workload(&self) -> anyhow::Result<Value> {
        let workload = self.scene.api::<StatefulSet>().get(self.name).await?;
        Ok(serde_json::to_value(workload)?)
    }

    /// Looks into the pod template; `name=x` on the path is the item of that name.
    async fn template(&self, path: &str, wanted: &str) -> anyhow::Result<()> {
        let workload = self.workload().await?;
        let mut at = workload
            .pointer("/spec/template/spec")
            .context("it has no pods")?;
        for key in path.split('/').skip(1) {
            let next = match key.split_once('=') {
                Some((field, value)) => at
                    .as_array()
                    .and_then(|items| items.iter().find(|item| item[field] == value)),
                None => at.get(key),
            };
            at = next.with_context(|| format!("the pods have no {path}"))?;
        }
        let found = at.as_str().map_or_else(|| at.to_string(), str::to_owned);
        ensure!(
            found == wanted,
            "{path} of the pods is {found} instead of {wanted}"
        );
        Ok(())
    }

    async fn users(&self, wanted: &[&str]) -> anyhow::Result<()> {
        let pgpool = self.pgpool().await?;
        let text = self.file(&names::users_secret(&pgpool), "pool_passwd").await?;
        let known: Vec<_> = text.lines().filter_map(|line| line.split(':').next()).collect();
        let missing: Vec<_> = wanted.iter().filter(|user| !known.contains(user)).collect();
        ensure!(missing.is_empty(), "pgpool knows {known:?}, and not {missing:?}");
        Ok(())
    }

    async fn account(&self, account: &str) -> anyhow::Result<()> {
        let found = self.scene.api::<ServiceAccount>().get(account).await?;
        ensure!(
            found.labels().is_empty() && found.owner_references().is_empty(),
            "the user's service account was changed: {:?}",
            found.metadata
        );
        Ok(())
    }

    async fn stats(&self) -> anyhow::Result<Service> {
        let name = names::stats_service(&self.pgpool().await?);
        let found = self.scene.api::<Service>().get(&name).await?;
        let ports = found.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        let port = ports.clone().any(|port| port.port == 9719);
        ensure!(port, "Service {name} has no port 9719");
        Ok(found)
    }

    async fn annotated(&self) -> anyhow::Result<()> {
        let stats = self.stats().await?;
        for (key, value) in [("prometheus.io/scrape", "true"), ("prometheus.io/port", "9719")] {
            let found = stats.annotations().get(key);
            ensure!(
                found.is_some_and(|found| found == value),
                "{key} of Service {} is {found:?}",
                stats.name_any()
            );
        }
        Ok(())
    }

    async fn monitored(&self) -> anyhow::Result<()> {
        let stats = self.stats().await?;
        let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "ServiceMonitor");
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.scene.client().clone(), self.scene.namespace(), &resource);
        let served = match api.list(&kube::api::ListParams::default()).await {
            Ok(_) => true,
            Err(error) if is_not_found(&error) => false,
            Err(error) => return Err(error.into()),
        };
        if !served {
            return Ok(());
        }
        let found = api.get(&stats.name_any()).await?;
        ensure!(
            found
                .labels()
                .get("release")
                .is_some_and(|label| label == "prometheus"),
            "its labels are {:?}",
            found.labels()
        );
        let interval = &found.data["spec"]["endpoints"][0]["interval"];
        ensure!(interval == "10s", "its interval is {interval}");
        Ok(())
    }

    async fn certified(&self, wanted: &[&str]) -> anyhow::Result<()> {
        let name = names::certificate(&self.pgpool().await?, Alias::Server);
        let certificate = self.scene.certificate(&name).await?;
        let spec = &certificate.data["spec"];
        let all = |key: &str| spec[key].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = all("dnsNames").into_iter().chain(all("ipAddresses")).collect();
        for name in wanted {
            ensure!(names.contains(&json!(name)), "the certificate is for {names:?}");
        }
        ensure!(
            names.len() > wanted.len(),
            "the certificate is for {names:?} only"
        );
        Ok(())
    }

    async fn fetches(&self, wanted: &[&str]) -> anyhow::Result<()> {
        let name = names::init_job(&self.pgpool().await?);
        let job = serde_json::to_value(self.scene.api::<Job>().get(&name).await?)?;
        let containers = job
            .pointer("/spec/template/spec/initContainers")
            .and_then(Value::as_array);
        let Some(fetching) = containers
            .into_iter()
            .flatten()
            .find(|container| container["name"] == "git-sync")
        else {
            bail!("Job {name} fetches nothing")
        };
        let arguments = fetching["args"].as_array().cloned().unwrap_or_default();
        for argument in wanted {
            ensure!(
                arguments.contains(&json!(argument)),
                "git-sync is run with {arguments:?}"
            );
        }
        Ok(())
    }
}
