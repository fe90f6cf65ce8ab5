//! `PgpoolVersion`: an entry of the catalog, with the images of one version.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{object::Unread, rules::rule, schema};

/// The images of one version of Pgpool-II, and how to run them.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
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
    doc = "The images of one version of Pgpool-II, and how to run them",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "PGPOOL_IMAGE", type_ = "string", json_path = ".spec.pgpool.image"),
    printcolumn(name = "Deprecated", type_ = "boolean", json_path = ".spec.deprecated"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PgpoolVersionSpec {
    /// Version of Pgpool-II, such as `4.6.1`.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule(
        r"self.matches(r'^v?[0-9]+\.[0-9]+(\.[0-9]+)?([-+][-+.0-9A-Za-z]*)?$')",
        "must be a version of Pgpool-II, such as 4.6.1",
    ))]
    pub version: String,
    /// Image of pgpool.
    pub pgpool: Image,
    /// Image of the metrics exporter, for `spec.monitor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Image>,
    /// Image of the init container that fetches scripts from git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_syncer: Option<Image>,
    /// User that the images run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,
    /// Versions that a Pgpool of this version may be updated to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_constraints: Option<UpdateConstraints>,
    /// Whether this version should no longer be used. The API server warns about Pgpools that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
    /// Whether this version gets no more fixes. The API server warns about Pgpools that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<bool>,
    /// Accepted for compatibility, without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ui: Vec<ChartInfo>,
}

/// A container image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Reference of the image, such as `registry.example.com/pgpool:4.6.1`.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rule(
        r"self.matches(r'^\S+$')",
        "must be an image reference, such as registry.example.com/pgpool:4.6.1",
    ))]
    pub image: String,
}

/// The user that the images run as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// User ID and group ID of pgpool and the exporter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rule(
        "self > 0",
        "must not be root: set the user ID of the images, such as 70",
    ))]
    pub run_as_user: Option<i64>,
    /// Whether the images can run as any user other than root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_any_non_root: Option<bool>,
}

/// Allowed updates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateConstraints {
    /// Version ranges that are allowed; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowlist: Vec<String>,
    /// Version ranges that are not allowed. Takes precedence over `allowlist`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denylist: Vec<String>,
}

/// The Helm chart of a user interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartInfo {
    /// Name of the chart.
    pub name: String,
    /// Version of the chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the chart is not installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
    /// Values of the chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub values: Option<Unread>,
}
