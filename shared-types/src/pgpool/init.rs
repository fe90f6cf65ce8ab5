//! Scripts to run once in the life of a pool, when it answers.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, SecurityContext, Volume};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{object::LocalReference, schema};

/// Scripts to run once in the life of the Pgpool, when it answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitSpec {
    /// `true`: everything is done already, no script is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialized: Option<bool>,
    /// Accepted for compatibility: a pooler restores nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for_initial_restore: Option<bool>,
    /// Where the scripts come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSource>,
    /// Accepted for compatibility: a pooler restores nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub archiver: Option<Value>,
}

impl InitSpec {
    /// The scripts that are to be run; `None` also when the user says that they have run.
    #[must_use]
    pub fn wanted(&self) -> Option<&ScriptSource> {
        self.script
            .as_ref()
            .filter(|_| !self.initialized.unwrap_or_default())
    }
}

/// An object without which scripts cannot be mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptReference {
    /// A Secret in the namespace of the Pgpool.
    Secret(String),
    /// A `ConfigMap` in the namespace of the Pgpool.
    ConfigMap(String),
}

/// Where scripts come from: a volume of any kind, or a git repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptSource {
    /// The script, or the folder whose scripts run in the order of their names: a path below the source, such as the
    /// name of the git link. Everything in the source when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_path: Option<String>,
    /// A git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitRepo>,
    /// Any volume source of Kubernetes, such as `configMap`, as written.
    #[serde(flatten)]
    pub volume_source: BTreeMap<String, Value>,
}

impl ScriptSource {
    /// The volume of the scripts under the given name, if the source is a volume.
    ///
    /// # Errors
    /// The source does not have the form of a volume.
    pub fn volume(&self, name: &str) -> Result<Option<Volume>, serde_json::Error> {
        if self.volume_source.is_empty() {
            return Ok(None);
        }
        let source = self.volume_source.clone().into_iter().collect();
        let mut volume: Volume = serde_json::from_value(Value::Object(source))?;
        name.clone_into(&mut volume.name);
        Ok(Some(volume))
    }

    /// The Secrets and `ConfigMap`s that have to exist before anything can be mounted; optional ones are left out, and
    /// so is what has not the form of a volume.
    #[must_use]
    pub fn references(&self) -> Vec<ScriptReference> {
        let mut found = Vec::new();
        let mut secret = |name: Option<String>, optional: Option<bool>| {
            let name = name.filter(|name| !name.is_empty() && optional != Some(true));
            found.extend(name.map(ScriptReference::Secret));
        };
        let volume = self.volume("").ok().flatten().unwrap_or_default();
        let mut maps = Vec::new();
        if let Some(source) = volume.secret {
            secret(source.secret_name, source.optional);
        }
        maps.extend(volume.config_map.map(|source| (source.name, source.optional)));
        let parts = volume.projected.and_then(|projected| projected.sources);
        for part in parts.into_iter().flatten() {
            if let Some(source) = part.secret {
                secret(Some(source.name), source.optional);
            }
            maps.extend(part.config_map.map(|source| (source.name, source.optional)));
        }
        let git = self.git.as_ref().and_then(|git| git.auth_secret.as_ref());
        secret(git.map(|reference| reference.name.clone()), None);
        let maps = maps
            .into_iter()
            .filter(|(name, optional)| !name.is_empty() && *optional != Some(true));
        found.extend(maps.map(|(name, _)| ScriptReference::ConfigMap(name)));
        found
    }
}

impl JsonSchema for ScriptSource {
    fn schema_name() -> Cow<'static, str> {
        "ScriptSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = schema::volume_sources(generator);
        properties.insert(
            "scriptPath".into(),
            Value::from_iter([
                ("type", "string"),
                (
                    "description",
                    "The script, or the folder whose scripts run in the order of their names: a path below the source, such as the name of the git link. Everything in the source when unset.",
                ),
            ]),
        );
        properties.insert("git".into(), generator.subschema_for::<GitRepo>().to_value());
        json_schema!({ "type": "object", "properties": properties })
    }
}

/// A git repository, fetched by an init container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepo {
    /// Arguments of git-sync, the repository among them; `--root`, `--link` and `--one-time` are added when absent.
    pub args: Vec<String>,
    /// Environment of git-sync.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<EnvVar>>")]
    pub env: Vec<EnvVar>,
    /// Security context of the init container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<SecurityContext>")]
    pub security_context: Option<SecurityContext>,
    /// Resources of the init container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// Secret mounted at `/etc/git-secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<LocalReference>,
}
