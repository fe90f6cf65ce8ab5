//! One row of the table: a field, what it takes, and what it refuses in which words.

use anyhow::Context as _;
use kube::api::{DynamicObject, PostParams};
use kube::core::Request;
use local_cluster::manifests;
use serde_json::Value;

use crate::scene::Scene;
use crate::scene::fixtures::Manifest;

/// A field and the values that it is tried with; `null` stands for its absence.
pub(super) struct Row {
    base: fn() -> anyhow::Result<Manifest>,
    given: Vec<(&'static str, Value)>,
    /// The field, as a path such as `/spec/replicas`.
    pub path: &'static str,
    /// What it takes.
    pub takes: Vec<Value>,
    /// What it refuses, with words of the refusal.
    pub refuses: Vec<(Value, &'static str)>,
}

impl Row {
    pub fn of(base: fn() -> anyhow::Result<Manifest>, path: &'static str) -> Self {
        Self {
            base,
            given: Vec::new(),
            path,
            takes: Vec::new(),
            refuses: Vec::new(),
        }
    }

    /// What else stands in the object.
    pub fn given(mut self, path: &'static str, value: Value) -> Self {
        self.given.push((path, value));
        self
    }

    pub fn takes(mut self, value: Value) -> Self {
        self.takes.push(value);
        self
    }

    pub fn refuses(mut self, value: Value, words: &'static str) -> Self {
        self.refuses.push((value, words));
        self
    }

    /// The objects, each with the words of its refusal.
    pub fn manifests(&self, namespace: &str) -> anyhow::Result<Vec<(Manifest, Option<&'static str>)>> {
        let mut base = (self.base)()?;
        for (path, value) in &self.given {
            base = set(base, path, value);
        }
        // Kinds of the whole cluster have none.
        if base.0["kind"] != "PgpoolVersion" {
            base = base.with("/metadata/namespace", namespace.into());
        }
        let accepted = self
            .takes
            .iter()
            .map(|value| (set(base.clone(), self.path, value), None));
        let refused = self
            .refuses
            .iter()
            .map(|(value, words)| (set(base.clone(), self.path, value), Some(*words)));
        Ok(accepted.chain(refused).collect())
    }
}

fn set(manifest: Manifest, path: &str, value: &Value) -> Manifest {
    match value {
        Value::Null => manifest.without(path),
        value => manifest.with(path, value.clone()),
    }
}

/// What the API server says to an object.
pub(super) enum Answer {
    /// As it would be stored.
    Accepted(Value),
    /// Why not.
    Refused(String),
}

/// Creates an object without keeping it. A field that the schema does not know is an error, as it is to a user of
/// `kubectl`.
pub(super) async fn offer(scene: &Scene, manifest: &Manifest) -> anyhow::Result<Answer> {
    let object = manifest.object()?;
    let api = manifests::api(scene.client(), scene.namespace(), &object).await?;
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut request = Request::new(api.resource_url()).create(&parameters, serde_json::to_vec(&object)?)?;
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = strict.parse()?;
    match scene.client().request::<DynamicObject>(request).await {
        Ok(created) => Ok(Answer::Accepted(serde_json::to_value(created)?)),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            Ok(Answer::Refused(status.message))
        }
        Err(error) => Err(error).context("no answer"),
    }
}
