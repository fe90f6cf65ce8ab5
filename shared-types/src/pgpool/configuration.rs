//! The user's own configuration, and the credentials of the pool's control port.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{object::GoDuration, schema};

/// Key of `pgpool.conf` in a configuration Secret and in `inline`.
pub(crate) const PGPOOL_CONF: &str = "pgpool.conf";

/// The user's own `pgpool.conf` and backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// Secret with key `pgpool.conf`; beats what the operator would write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Settings by file name (`pgpool.conf`); beats the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inline: BTreeMap<String, String>,
    /// The backends, in place of those of the `AppBinding`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
}

impl Configuration {
    /// The text of `pgpool.conf` given in place.
    #[must_use]
    pub fn inline_pgpool_conf(&self) -> Option<&str> {
        self.inline.get(PGPOOL_CONF).map(String::as_str)
    }
}

/// One PostgreSQL server behind the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// A read-replica group, or `PRIMARY` or `STANDBY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Host name or IP address of a server; in place of `groupName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Port, with `hostName` only; 5432 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Flags of pgpool for this server, joined by `|`, such as `ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// Share of the reading queries among all backends; 0 for none.
    pub weight: i32,
}

/// Credentials of the PCP user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthSecret {
    /// API group of the Secret: leave it empty. Virtual secrets are not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// Kind of the object with the credentials; `Secret` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the Secret; `<name>-auth` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Store of a virtual secret, which is not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_store_name: Option<String>,
    /// The Secret is the user's: never created, changed or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub externally_managed: Option<bool>,
    /// Age of the password after which other tools recommend a new one, such as `720h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after: Option<GoDuration>,
    /// Since when the present password is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub active_from: Option<Time>,
}
