//! The CustomResourceDefinitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{AppBinding, Pgpool, PgpoolOpsRequest, PgpoolVersion, schema};

/// Makes Helm keep a definition, and with it every object of its kind, when the chart is uninstalled.
const KEEP: (&str, &str) = ("helm.sh/resource-policy", "keep");

/// The kind whose operators write `status.observedGeneration`.
const PGPOOL: &str = "Pgpool";

/// A generation that no object has.
const UNOBSERVED: i64 = -1;

/// Every definition, in the order of names.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    derived().into_iter().map(finished).collect()
}

fn derived() -> [CustomResourceDefinition; 4] {
    [
        AppBinding::crd(),
        PgpoolOpsRequest::crd(),
        Pgpool::crd(),
        PgpoolVersion::crd(),
    ]
}

/// The schema of a kind, with its rules.
#[must_use]
pub fn schema(kind: &str) -> Option<Value> {
    let mut definitions = derived().into_iter();
    let crd = finished(definitions.find(|crd| crd.spec.names.kind == kind)?);
    let version = crd.spec.versions.into_iter().next()?;
    serde_json::to_value(version.schema?.open_api_v3_schema?).ok()
}

fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let kind = crd.spec.names.kind.clone();
    let (key, value) = KEEP;
    crd.metadata
        .annotations
        .get_or_insert_default()
        .insert(key.to_owned(), value.to_owned());
    for version in &mut crd.spec.versions {
        let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        let plain = serde_json::to_value(&*schema)
            .map(without_nullable)
            .map(|mut schema| {
                schema::add_list_types(&mut schema);
                schema::close(&mut schema);
                schema::add_limits(&mut schema);
                if kind == PGPOOL {
                    unobserved(&mut schema);
                }
                schema
            })
            .and_then(serde_json::from_value);
        if let Ok(plain) = plain {
            *schema = plain;
        }
    }
    crd
}

/// Gives new objects a status that says that they are not observed yet. Tools that wait, such as kstatus, take an object
/// without a status as ready.
fn unobserved(schema: &mut Value) {
    if let Some(status) = schema
        .pointer_mut("/properties/status")
        .and_then(Value::as_object_mut)
    {
        status.insert("default".to_owned(), json!({ "observedGeneration": UNOBSERVED }));
    }
}

/// The schema without `nullable`, so that the API server drops a null in a manifest instead of storing it, as for every
/// built-in kind.
fn without_nullable(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(map) => {
            if map.get("nullable").is_some_and(Value::is_boolean) {
                map.remove("nullable");
            }
            map.values_mut()
                .for_each(|value| *value = without_nullable(value.take()));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| *value = without_nullable(value.take())),
        _ => {}
    }
    schema
}
