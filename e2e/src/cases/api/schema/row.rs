//! One row of `fixtures/schema`: a field, the values that the API server accepts there, and those that it rejects with
//! the message.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use kube::api::{DynamicObject, PostParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{self, Manifest};
use local_cluster::manifests;

const FILES: [&str; 6] = [
    include_str!("../../../../fixtures/schema/pgpool.yaml"),
    include_str!("../../../../fixtures/schema/configuration.yaml"),
    include_str!("../../../../fixtures/schema/services.yaml"),
    include_str!("../../../../fixtures/schema/pod-template.yaml"),
    include_str!("../../../../fixtures/schema/ops-request.yaml"),
    include_str!("../../../../fixtures/schema/catalog.yaml"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    kind: String,
    /// What else is set in that manifest, by path.
    #[serde(default)]
    given: BTreeMap<String, Value>,
    /// The path of the field, such as `/spec/replicas`.
    pub(crate) field: String,
    /// `null` means that the field is absent, here and below.
    pub(crate) accepts: Vec<Value>,
    pub(crate) rejects: Vec<Rejected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejected {
    value: Value,
    pub(crate) message: String,
}

pub(super) fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for text in FILES {
        rows.extend(serde_yaml::from_str::<Vec<Row>>(text).context("reading fixtures/schema")?);
    }
    Ok(rows)
}

impl Row {
    /// The objects to offer, each with the message of its rejection, if it is to be rejected.
    pub(super) fn manifests(&self, namespace: &str) -> anyhow::Result<Vec<(Manifest, Option<&str>)>> {
        let mut base = smallest(&self.kind)?;
        for (path, value) in &self.given {
            base = base.set(path, value);
        }
        if self.kind != "PgpoolVersion" {
            base = base.with("/metadata/namespace", namespace.into());
        }
        let with = |value| base.clone().set(&self.field, value);
        let accepted = self.accepts.iter().map(|value| (with(value), None));
        let rejected = self.rejects.iter();
        let rejected = rejected.map(|it| (with(&it.value), Some(it.message.as_str())));
        Ok(accepted.chain(rejected).collect())
    }
}

fn smallest(kind: &str) -> anyhow::Result<Manifest> {
    match kind {
        "Pgpool" => fixtures::pgpool("data"),
        "PgpoolOpsRequest" => Ok(super::restart()),
        "AppBinding" => Ok(fixtures::app_binding("data")),
        "PgpoolVersion" => Ok(Manifest(json!({
            "apiVersion": "catalog.kubedb.com/v1alpha1",
            "kind": kind,
            "metadata": {"name": "offered"},
            "spec": {"version": "4.6.1", "pgpool": {"image": "example.com/pgpool:4.6.1"}},
        }))),
        _ => bail!("no row can be about the kind {kind}"),
    }
}

/// The answer of the API server to an object.
pub(super) enum Answer {
    /// With the object as it would be stored.
    Accepted(Value),
    Rejected(String),
}

/// Creates an object without keeping it. A field that the schema does not know is an error, as it is to a user of
/// `kubectl`.
pub(super) async fn offer(ns: &TestNamespace, manifest: &Manifest) -> anyhow::Result<Answer> {
    let object = manifest.object()?;
    let api = manifests::api(ns.client(), ns.name(), &object).await?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut request = Request::new(api.resource_url()).create(&dry_run, serde_json::to_vec(&object)?)?;
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = strict.parse()?;
    match ns.client().request::<DynamicObject>(request).await {
        Ok(created) => Ok(Answer::Accepted(serde_json::to_value(created)?)),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            Ok(Answer::Rejected(status.message))
        }
        Err(error) => Err(error).context("no answer"),
    }
}
