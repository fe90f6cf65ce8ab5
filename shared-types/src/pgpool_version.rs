//! `PgpoolVersion`: one entry of the catalog, from a version to images and what fits them.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// The images of one version of Pgpool-II, and how they may be run.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "catalog.kubedb.com",
    version = "v1alpha1",
    kind = "PgpoolVersion",
    plural = "pgpoolversions",
    shortname = "ppversion",
    derive = "PartialEq",
    category = "catalog",
    category = "kubedb",
    category = "appscode",
    doc = "The images of one version of Pgpool-II, and how they may be run",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "PGPOOL_IMAGE", type_ = "string", json_path = ".spec.pgpool.image"),
    printcolumn(name = "Deprecated", type_ = "boolean", json_path = ".spec.deprecated"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PgpoolVersionSpec {
    /// Version of Pgpool-II, a semantic version.
    pub version: String,
    /// The image of pgpool itself.
    pub pgpool: Image,
    /// The image of the metrics exporter, for `spec.monitor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Image>,
    /// The init container that fetches scripts from git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_syncer: Option<Image>,
    /// The user that the images run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,
    /// Versions that a Pgpool may be updated to from this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_constraints: Option<UpdateConstraints>,
    /// This version should no longer be used; a Pgpool that names it is warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
    /// This version gets no more fixes; a Pgpool that names it is warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<bool>,
    /// Charts of user interfaces; kept, not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ui: Vec<ChartInfo>,
}

/// A container image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Reference of the image, such as `registry.example.com/pgpool:4.6.1`.
    pub image: String,
}

/// The user the images run as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// User id, and group id, of the server and the exporter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// The images also run as any other user but root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_any_non_root: Option<bool>,
}

/// Versions that may follow this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateConstraints {
    /// Ranges that are allowed; empty allows all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowlist: Vec<String>,
    /// Ranges that are refused, whatever the other list says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denylist: Vec<String>,
}

/// The chart of a user interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartInfo {
    /// Name of the chart of the user interface.
    pub name: String,
    /// Version of the chart of the user interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the chart is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
    /// Values that the chart is installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub values: Option<serde_json::Value>,
}
