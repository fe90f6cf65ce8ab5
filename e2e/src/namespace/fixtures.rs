//! The manifests of `fixtures/`: what a user would write. A test changes a parsed copy, so that it shows
//! only what is different. Pure.

use anyhow::Context as _;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared_types::names;

/// Step 1: a CA and the issuer that signs with it.
pub(crate) const ISSUER: &str = include_str!("../../fixtures/issuer.yaml");

pub(crate) const CATALOG: &str = include_str!("../../fixtures/catalog.yaml");

const PGPOOL: &str = include_str!("../../fixtures/pgpool.yaml");

const POSTGRES: &str = include_str!("../../fixtures/postgres.yaml");

/// Replaced in a fixture by the namespace of PostgreSQL.
const PLACE: &str = "NAMESPACE";

/// The name of the pool in the fixtures.
pub(crate) const POOL: &str = "pool";

/// The name of PostgreSQL in the fixtures: its Service, its workload, its `AppBinding`.
pub(crate) const DATABASE: &str = "postgres";

pub(crate) const PLATFORM_CA: &str = "platform-ca";
pub(crate) fn postgres(namespace: &str) -> String {
    POSTGRES.replace(PLACE, namespace)
}

/// The manifests of a PostgreSQL that has no TLS.
pub(crate) fn postgres_plain(namespace: &str) -> String {
    postgres(namespace).replace("-c ssl=on", "-c ssl=off").replace(
        r"hostssl all all all scram-sha-256\nhostnossl all all all reject\n",
        r"host all all all scram-sha-256\n",
    )
}

/// The user's pool in front of the PostgreSQL in the namespace `database`, as defined in the fixture.
pub(crate) fn pgpool(database: &str) -> anyhow::Result<Manifest> {
    Manifest::parse(&PGPOOL.replace(PLACE, database))
}

pub(crate) fn plain_pgpool(database: &str) -> anyhow::Result<Manifest> {
    Ok(pgpool(database)?.without_tls())
}

/// The `AppBinding` of the PostgreSQL in a namespace, without a CA. Pools of all namespaces may use it.
pub(crate) fn app_binding(namespace: &str) -> Manifest {
    let spec = json!({
        "type": "postgres",
        "version": "15",
        "clientConfig": {"service": {"scheme": "postgresql", "name": DATABASE, "port": 5432}},
        "secret": {"name": "postgres-auth"},
    });
    let kind = ("appcatalog.appscode.com/v1alpha1", "AppBinding");
    Manifest::of(kind.0, kind.1, DATABASE, json!({"spec": spec}))
        .with("/metadata/namespace", json!(namespace))
        .with(
            "/metadata/annotations",
            json!({ names::ANNOTATION_ALLOWED_NAMESPACES: "*" }),
        )
}

pub(crate) fn credentials(namespace: &str, password: &str) -> Manifest {
    Manifest::secret(
        "postgres-auth",
        json!({"username": "postgres", "password": password}),
    )
    .with("/metadata/namespace", json!(namespace))
    .with("/type", json!("kubernetes.io/basic-auth"))
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest(pub(crate) Value);

impl Manifest {
    /// An object of a kind; `rest` has the fields beside its metadata.
    pub(crate) fn of(api_version: &str, kind: &str, name: &str, rest: Value) -> Self {
        let mut object = rest;
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        object["metadata"] = json!({"name": name});
        Self(object)
    }

    pub(crate) fn secret(name: &str, entries: impl Serialize) -> Self {
        Self::of("v1", "Secret", name, json!({"stringData": entries}))
    }

    pub(crate) fn config_map(name: &str, entries: impl Serialize) -> Self {
        Self::of("v1", "ConfigMap", name, json!({"data": entries}))
    }

    pub(crate) fn service_account(name: &str) -> Self {
        Self::of("v1", "ServiceAccount", name, json!({}))
    }

    pub(crate) fn parse(yaml: &str) -> anyhow::Result<Self> {
        Ok(Self(serde_yaml::from_str(yaml).context("reading a fixture")?))
    }

    pub(crate) fn named(self, name: &str) -> Self {
        self.with("/metadata/name", json!(name))
    }

    /// The same with `value` at a path such as `/spec/tls/issuerRef/name`; objects on the way are made.
    pub(crate) fn with(mut self, path: &str, value: Value) -> Self {
        let mut at = &mut self.0;
        for key in path.split('/').skip(1) {
            at = match key.parse::<usize>() {
                Ok(index) if at.is_array() => &mut at[index],
                _ => {
                    if !at.is_object() {
                        *at = Value::Object(Map::new());
                    }
                    &mut at[key]
                }
            };
        }
        *at = value;
        self
    }

    /// The same without what is at a path.
    pub(crate) fn without(mut self, path: &str) -> Self {
        if let Some((parent, key)) = path.rsplit_once('/')
            && let Some(Value::Object(parent)) = self.0.pointer_mut(parent)
        {
            parent.remove(key);
        }
        self
    }

    pub(crate) fn without_tls(self) -> Self {
        self.without("/spec/tls").with("/spec/sslMode", json!("disable"))
    }

    /// The same with a value at a path, or with nothing there for `null`.
    pub(crate) fn set(self, path: &str, value: &Value) -> Self {
        match value {
            Value::Null => self.without(path),
            value => self.with(path, value.clone()),
        }
    }

    pub(crate) fn object(&self) -> anyhow::Result<DynamicObject> {
        serde_json::from_value(self.0.clone()).context("a fixture is no object")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_changed_in_one_place() {
        let pool = pgpool("db").unwrap();
        assert_eq!(pool.0["spec"]["postgresRef"]["namespace"], "db");
        let changed = pool
            .clone()
            .with("/spec/tls/certificates/0/secretName", json!("mine"));
        assert_eq!(changed.0["spec"]["tls"]["certificates"][0]["secretName"], "mine");
        assert_eq!(changed.0["spec"]["tls"]["certificates"][0]["alias"], "server");
        assert_eq!(changed.without("/spec/tls/certificates/0/secretName"), pool);
    }

    #[test]
    fn what_is_missing_on_the_way_is_made() {
        let object = Manifest(json!({"kind": "A"})).with("/spec/a/b", json!(1));
        assert_eq!(object.0, json!({"kind": "A", "spec": {"a": {"b": 1}}}));
        assert_eq!(object.clone().without("/spec/c/d"), object);
    }

    #[test]
    fn every_fixture_can_be_read() {
        for text in [ISSUER, CATALOG, &postgres("db"), &postgres_plain("db")] {
            assert!(!local_cluster::manifests::parse(text).unwrap().is_empty());
        }
        let plain = postgres_plain("db");
        assert!(
            !plain.contains("ssl=on") && !plain.contains("hostssl all all"),
            "{plain}"
        );
    }
}
