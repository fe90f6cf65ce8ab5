//! Scripts to run once a pool answers.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, SecurityContext, Volume};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{object::LocalReference, schema};

/// Scripts to run once the pool answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitSpec {
    /// Accepted for compatibility.
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

/// Where scripts come from: a volume of any kind, or a git repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptSource {
    /// Path below the source, such as the name of the git link.
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
                    "Path below the source, such as the name of the git link.",
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
    /// Arguments of git-sync.
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
