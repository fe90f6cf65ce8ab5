//! Custom configuration, and the credentials of the control port.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::{
    object::GoDuration,
    rules::{add, limit, optional_name, rule},
    schema,
};

/// Key of `pgpool.conf` in a configuration Secret and in `inline`.
pub(crate) const PGPOOL_CONF: &str = "pgpool.conf";

/// Custom `pgpool.conf` settings and backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// Secret with key `pgpool.conf`; overrides the generated settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = optional_name())]
    pub secret_name: Option<String>,
    /// Settings by file name (`pgpool.conf`); override those in the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = only_pgpool_conf())]
    pub inline: BTreeMap<String, String>,
    /// Backends, instead of the one in the `AppBinding`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "backends")]
    pub backends: Vec<Backend>,
}

impl Configuration {
    /// The text of `pgpool.conf` in `inline`.
    #[must_use]
    pub fn inline_pgpool_conf(&self) -> Option<&str> {
        self.inline.get(PGPOOL_CONF).map(String::as_str)
    }
}

/// One PostgreSQL server behind the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "(has(self.groupName) && self.groupName != '') != (has(self.hostName) && self.hostName != '')",
    "must have either groupName or hostName",
))]
#[x_kube(validation = rule(
    "!(has(self.groupName) && self.groupName != '') || !has(self.port)",
    "must not be set with groupName: remove port, or set hostName instead of groupName",
).field_path(".port"))]
pub struct Backend {
    /// A read-replica group, or `PRIMARY` or `STANDBY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group_name: Option<String>,
    /// Host name or IP address of a server, instead of `groupName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rule(
        "self.matches(r'^[-A-Za-z0-9._:]*$')",
        "must be a DNS name or an IP address, without scheme, port or path",
    ))]
    pub host_name: Option<String>,
    /// Port of the server, only with `hostName`; 5432 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,
    /// Flags of pgpool for this server, separated by `|`, such as `ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule(
        "self.split('|').all(f, f.trim() in ['', 'ALLOW_TO_FAILOVER', 'DISALLOW_TO_FAILOVER', 'ALWAYS_PRIMARY'])",
        "must consist of ALLOW_TO_FAILOVER, DISALLOW_TO_FAILOVER and ALWAYS_PRIMARY, separated by |",
    ))]
    #[x_kube(validation = rule(
        "!self.contains('DISALLOW_TO_FAILOVER') || !self.matches(r'(^|[| ])ALLOW_TO_FAILOVER')",
        "must not contain both ALLOW_TO_FAILOVER and DISALLOW_TO_FAILOVER",
    ))]
    pub flag: Option<String>,
    /// Share of read queries among all backends; 0 for none.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub weight: i32,
}

/// Settings by file name: there is only one file.
pub(crate) fn only_pgpool_conf() -> kube::core::Rule {
    rule(
        "self.all(k, k == 'pgpool.conf')",
        "must have no other key than pgpool.conf",
    )
}

/// A list of backends.
pub(crate) fn backends(generator: &mut SchemaGenerator) -> Schema {
    let mut list = generator.subschema_for::<Vec<Backend>>();
    limit(&mut list, "", "maxItems", 128);
    let rules = [
        rule(
            "self.all(b, has(b.groupName) && b.groupName != '') || self.all(b, !has(b.groupName) || b.groupName == '')",
            "must have either groupName in every entry, or hostName in every entry",
        ),
        rule(
            "self.all(a, self.exists_one(b, (has(a.groupName) ? a.groupName : '') == (has(b.groupName) ? b.groupName : '') \
             && (has(a.hostName) ? a.hostName : '') == (has(b.hostName) ? b.hostName : '') && (has(a.port) ? a.port : 5432) \
             == (has(b.port) ? b.port : 5432)))",
            "must not have two entries with the same name and port: remove one",
        ),
        rule(
            "self.filter(b, has(b.flag) && b.flag.contains('ALWAYS_PRIMARY')).size() <= 1",
            "must not have flag ALWAYS_PRIMARY twice: keep it on the server that accepts writes",
        ),
    ];
    for rule in rules {
        add(&mut list, "", &rule);
    }
    list
}

/// Credentials of the PCP user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "!has(self.externallyManaged) || !self.externallyManaged || (has(self.name) && self.name != '')",
    "spec.authSecret.externallyManaged needs an existing Secret: set spec.authSecret.name, or leave externallyManaged out",
).field_path(".externallyManaged"))]
#[x_kube(validation = rule(
    "!has(self.kind) || self.kind == '' || self.kind.lowerAscii() == 'secret' || (has(self.apiGroup) && self.apiGroup != '')",
    "spec.authSecret.kind must be Secret: correct it or leave it out",
).field_path(".kind"))]
#[x_kube(validation = rule(
    "!has(self.secretStoreName) || self.secretStoreName == '' || (has(self.apiGroup) && self.apiGroup == \
     'virtual-secrets.dev')",
    "spec.authSecret.secretStoreName is for virtual secrets: leave it out for a plain Secret",
).field_path(".secretStoreName"))]
pub struct AuthSecret {
    /// API group of the Secret. Must be empty: virtual secrets are not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// Kind of the object with the credentials; `Secret` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub kind: Option<String>,
    /// Name of the Secret; `<name>-auth` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = optional_name())]
    pub name: Option<String>,
    /// Store of a virtual secret. Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_store_name: Option<String>,
    /// Whether the user manages the Secret: the operator never creates, changes or deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub externally_managed: Option<bool>,
    /// Age of the password after which other tools recommend to rotate it, such as `720h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after: Option<GoDuration>,
    /// Since when the current password is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub active_from: Option<Time>,
}
