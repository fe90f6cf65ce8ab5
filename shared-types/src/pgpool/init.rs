//! Scripts to run once, when the pool becomes ready for the first time.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, SecurityContext, Volume};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    object::{LocalReference, Unread},
    rules::{add, limit, pods, rule},
    schema,
};

/// Scripts to run once, when the pool becomes ready for the first time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitSpec {
    /// Set to `true` to run no scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialized: Option<bool>,
    /// Accepted for compatibility, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for_initial_restore: Option<bool>,
    /// Source of the scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSource>,
    /// Accepted for compatibility, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub archiver: Option<Unread>,
}

impl InitSpec {
    /// The scripts to run; `None` also if `initialized` is set.
    #[must_use]
    pub fn wanted(&self) -> Option<&ScriptSource> {
        self.script
            .as_ref()
            .filter(|_| !self.initialized.unwrap_or_default())
    }
}

/// An object that must exist before scripts can be mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptReference {
    /// A Secret in the namespace of the Pgpool.
    Secret(String),
    /// A `ConfigMap` in the namespace of the Pgpool.
    ConfigMap(String),
}

/// Source of scripts: a volume of any kind, or a git repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptSource {
    /// Path below the source of a script, or of a folder whose scripts run in the order of their names, such as the name
    /// of the git link; the whole source when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_path: Option<String>,
    /// A git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitRepo>,
    /// Any volume source of Kubernetes, such as `configMap`, kept as written.
    #[serde(flatten)]
    pub volume_source: BTreeMap<String, Value>,
}

impl ScriptSource {
    /// The volume with the scripts, with the given name, if the source is a volume.
    ///
    /// # Errors
    /// The source is not a valid volume.
    pub fn volume(&self, name: &str) -> Result<Option<Volume>, serde_json::Error> {
        if self.volume_source.is_empty() {
            return Ok(None);
        }
        let source = self.volume_source.clone().into_iter().collect();
        let mut volume: Volume = serde_json::from_value(Value::Object(source))?;
        name.clone_into(&mut volume.name);
        Ok(Some(volume))
    }

    /// The Secrets and `ConfigMap`s that must exist before the scripts can be mounted, without optional ones. None of an
    /// invalid volume.
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
                    "Path below the source of a script, or of a folder whose scripts run in the order of their names, such as the name of the git link; the whole source when unset.",
                ),
            ]),
        );
        properties.insert("git".into(), generator.subschema_for::<GitRepo>().to_value());
        let sources: Vec<_> = (properties.keys())
            .filter(|source| *source != "scriptPath")
            .map(|source| format!("has(self.{source})"))
            .collect();
        let mut schema = json_schema!({ "type": "object", "properties": properties });
        let one_source = rule(
            format!("[{}].exists_one(given, given)", sources.join(", ")),
            "spec.init.script must have one source: set configMap, secret, git or another volume source",
        );
        add(&mut schema, "", &one_source);
        limit(&mut schema, "scriptPath", "maxLength", 512);
        let below = rule(
            r"!self.matches(r'(^|/)\.\.(/|$)')",
            "must be a path below the source, without ..",
        );
        add(&mut schema, "scriptPath", &below);
        schema
    }
}

/// A git repository, fetched by an init container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "self.args.exists(a, a.matches(r'^--?repo(=|$)')) || (has(self.env) && self.env.exists(e, e.name in ['GITSYNC_REPO', \
     'GIT_SYNC_REPO']))",
    "spec.init.script.git.args must name a repository: add --repo=URL",
))]
#[x_kube(validation = pods::git_root())]
pub struct GitRepo {
    /// Arguments of git-sync, including the repository. `--root`, `--link` and `--one-time` are added if absent.
    #[schemars(length(max = 64))]
    #[schemars(inner(length(max = 1024)))]
    pub args: Vec<String>,
    /// Environment of git-sync.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pods::git_env")]
    pub env: Vec<EnvVar>,
    /// Security context of the init container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<SecurityContext>")]
    pub security_context: Option<SecurityContext>,
    /// Resources of the init container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pods::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Secret with the credentials, mounted at `/etc/git-secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<LocalReference>,
}
