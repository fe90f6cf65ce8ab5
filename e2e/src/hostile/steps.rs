//! Carries out the steps of one attack.

use std::time::Duration;

use anyhow::{bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use local_cluster::wait;
use serde_json::{Map, Value, json};

use super::attack::{Action, Attack, Matcher, Patch, Pool, Request, Target};
use super::generate::{expand, numbered};
use super::request::{self, Answer, Refusal};
use super::stage::Stage;

/// Time for something that the attacker waits for.
const AWAITED: Duration = Duration::from_secs(15);

const SERVER_SIDE: [&str; 2] = ["application/merge-patch+json", "application/json-patch+json"];

/// What came of the steps.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Objects that the API server took from the attacker.
    pub(super) accepted: Vec<Target>,
    /// Why the attack ended before its last step.
    pub(super) ended: Option<Ended>,
}

#[derive(Debug)]
pub(super) enum Ended {
    Refused(Refusal),
    /// What the attacker waited for did not come.
    InVain(String),
}

/// One attack in its namespace.
pub(super) struct Attacker<'a> {
    pub(super) stage: &'a Stage,
    pub(super) attack: &'a Attack,
    pub(super) tenant: &'a str,
}

impl Attacker<'_> {
    /// What an administrator does before.
    pub(super) async fn prepare(&self) -> anyhow::Result<()> {
        for action in &self.attack.before {
            let mut ignored = Vec::new();
            match self.carry_out(action, &self.stage.admin, &mut ignored).await? {
                None => {}
                Some(Ended::Refused(refusal)) => bail!("not prepared: {}", refusal.message),
                Some(Ended::InVain(what)) => bail!("not prepared: {what}"),
            }
        }
        Ok(())
    }

    /// What an administrator does afterwards. What is refused is gone already.
    pub(super) async fn tidy(&self) -> anyhow::Result<()> {
        for action in &self.attack.after {
            let mut ignored = Vec::new();
            self.carry_out(action, &self.stage.admin, &mut ignored).await?;
        }
        Ok(())
    }

    pub(super) async fn carry_out_steps(&self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let user = self.stage.user(self.attack.by)?;
        for action in &self.attack.steps {
            outcome.ended = self.carry_out(action, user, &mut outcome.accepted).await?;
            if outcome.ended.is_some() {
                break;
            }
        }
        Ok(outcome)
    }

    /// The value as it is sent.
    pub(super) fn filled(&self, value: &Value) -> anyhow::Result<Value> {
        expand(value, &|text| self.text(text))
    }

    pub(super) fn text(&self, text: &str) -> String {
        let text = text.replace("${tenant}", self.tenant);
        let text = text.replace("${neighbor}", self.stage.neighbor.name());
        self.stage.marks.fill(&text)
    }

    /// The path of an object.
    pub(super) fn path(&self, target: &Target) -> String {
        let namespace = target.namespace.as_deref().map(|namespace| self.text(namespace));
        let namespace = namespace.as_deref().unwrap_or(self.tenant);
        let collection = request::collection(&target.api_version, &target.kind, namespace);
        format!("{collection}/{}", self.text(&target.name))
    }

    async fn carry_out(
        &self,
        action: &Action,
        client: &Client,
        accepted: &mut Vec<Target>,
    ) -> anyhow::Result<Option<Ended>> {
        Ok(match action {
            Action::Create(object) => self.create(client, self.filled(object)?, accepted).await?,
            Action::Pool(wanted) => self.create(client, self.filled(&pool(wanted))?, accepted).await?,
            Action::Request(wanted) => {
                self.create(client, self.filled(&ops_request(wanted))?, accepted)
                    .await?
            }
            Action::Many(many) => {
                let object = self.filled(&many.object)?;
                for number in 0..many.count {
                    let object = numbered(&object, "{n}", number);
                    if let Some(ended) = self.create(client, object, accepted).await? {
                        return Ok(Some(ended));
                    }
                }
                None
            }
            Action::Text(text) => {
                let path = request::collection(&text.api_version, &text.kind, self.tenant);
                let body = self.text(&text.body).into_bytes();
                let content = "application/json";
                ended(request::send(client, "POST", &path, content, body).await?).err()
            }
            Action::Patch(patch) => self.patch(client, patch).await?,
            Action::Delete(target) => {
                let path = self.path(target);
                ended(request::send(client, "DELETE", &path, "application/json", Vec::new()).await?).err()
            }
            Action::Wait(wanted) => self.wait(wanted).await,
            Action::Expect(wanted) => {
                self.wait(wanted).await;
                None
            }
            Action::Admin(action) => {
                let mut ignored = Vec::new();
                Box::pin(self.carry_out(action, &self.stage.admin, &mut ignored)).await?
            }
        })
    }

    async fn create(
        &self,
        client: &Client,
        object: Value,
        accepted: &mut Vec<Target>,
    ) -> anyhow::Result<Option<Ended>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let target = Target {
            api_version: text(&object["apiVersion"]),
            kind: text(&object["kind"]),
            name: text(&object["metadata"]["name"]),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
        };
        ensure!(!target.kind.is_empty(), "a step without a kind: {target:?}");
        let namespace = target.namespace.as_deref().unwrap_or(self.tenant);
        let path = request::collection(&target.api_version, &target.kind, namespace);
        let ended = ended(request::create(client, &path, &object).await?).err();
        if ended.is_none() {
            accepted.push(target);
        }
        Ok(ended)
    }

    async fn patch(&self, client: &Client, patch: &Patch) -> anyhow::Result<Option<Ended>> {
        let mut path = self.path(&patch.target);
        if let Some(subresource) = &patch.subresource {
            path = format!("{path}/{subresource}");
        }
        let content = SERVER_SIDE[usize::from(patch.change.is_array())];
        let body = serde_json::to_vec(&self.filled(&patch.change)?)?;
        Ok(ended(request::send(client, "PATCH", &path, content, body).await?).err())
    }

    /// Waits as an administrator, who sees everything: attackers are patient and guess well.
    async fn wait(&self, wanted: &Matcher) -> Option<Ended> {
        let what = format!(
            "{} {}",
            wanted.kind,
            wanted.name.as_deref().unwrap_or("of any name")
        );
        let awaited = wait::until(&what, AWAITED, async || {
            ensure!(self.exists(wanted).await?, "not yet");
            Ok(())
        });
        awaited
            .await
            .err()
            .map(|error| Ended::InVain(format!("{error:#}")))
    }

    pub(super) async fn exists(&self, wanted: &Matcher) -> anyhow::Result<bool> {
        let namespace = wanted.namespace.as_deref().map(|namespace| self.text(namespace));
        let namespace = namespace.as_deref().unwrap_or(self.tenant);
        let wanted = Matcher {
            name: wanted.name.as_deref().map(|name| self.text(name)),
            equals: wanted
                .equals
                .as_ref()
                .map(|value| self.filled(value))
                .transpose()?,
            contains: wanted.contains.as_deref().map(|part| self.text(part)),
            ..wanted.clone()
        };
        let all = request::list(&self.stage.admin, &wanted.api_version, &wanted.kind, namespace).await?;
        Ok(all.into_iter().any(|object| wanted.accepts(&decoded(object))))
    }
}

/// A Secret with its data as text; any other object as it is.
fn decoded(mut object: Value) -> Value {
    if object["kind"] == "Secret" {
        for value in object["data"]
            .as_object_mut()
            .into_iter()
            .flat_map(Map::values_mut)
        {
            let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            *value = json!(String::from_utf8_lossy(&bytes.unwrap_or_default()));
        }
    }
    object
}

fn ended(answer: Answer) -> Result<(), Ended> {
    match answer {
        Answer::Accepted(_) => Ok(()),
        Answer::Refused(refusal) => Err(Ended::Refused(refusal)),
    }
}

/// A Pgpool in front of the tenant's own PostgreSQL, unless its spec says otherwise.
fn pool(wanted: &Pool) -> Value {
    let mut metadata = map(&wanted.metadata);
    metadata.insert("name".to_owned(), json!(wanted.name));
    let mut spec = map(&json!({"version": "4.3.5", "postgresRef": {"name": "postgres"}}));
    spec.extend(map(&wanted.spec));
    json!({"apiVersion": "kubedb.com/v1alpha2", "kind": "Pgpool", "metadata": metadata, "spec": spec})
}

fn ops_request(wanted: &Request) -> Value {
    let mut spec = map(&wanted.spec);
    spec.insert("type".to_owned(), json!(wanted.type_));
    spec.insert("databaseRef".to_owned(), json!({"name": wanted.pool}));
    json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PgpoolOpsRequest",
        "metadata": {"name": wanted.name},
        "spec": spec,
    })
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_secret_is_text() {
        let secret = json!({"kind": "Secret", "data": {"a": "eA=="}});
        assert_eq!(decoded(secret)["data"]["a"], "x");
        let other = json!({"kind": "ConfigMap", "data": {"a": "eA=="}});
        assert_eq!(decoded(other)["data"]["a"], "eA==");
    }

    #[test]
    fn a_pool_has_what_every_pool_needs() {
        let wanted = Pool {
            name: "a".to_owned(),
            metadata: json!({"annotations": {"b": "c"}}),
            spec: json!({"postgresRef": {"name": "other"}}),
        };
        let pool = pool(&wanted);
        assert_eq!(pool["metadata"]["name"], "a");
        assert_eq!(pool["metadata"]["annotations"]["b"], "c");
        assert_eq!(pool["spec"]["version"], "4.3.5");
        assert_eq!(pool["spec"]["postgresRef"]["name"], "other");
    }
}
