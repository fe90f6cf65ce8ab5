//! The CustomResourceDefinitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{AppBinding, Pgpool, PgpoolOpsRequest, PgpoolVersion};

/// Every definition, in the order of their names.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        AppBinding::crd(),
        PgpoolOpsRequest::crd(),
        Pgpool::crd(),
        PgpoolVersion::crd(),
    ]
}

/// Every definition as a file: its name, `<plural>.<group>.yaml`, and its text.
#[must_use]
pub fn manifests() -> Vec<(String, String)> {
    all()
        .iter()
        .map(|crd| {
            let name = crd.metadata.name.clone().unwrap_or_default();
            (
                format!("{name}.yaml"),
                serde_json::to_string_pretty(crd).unwrap_or_default(),
            )
        })
        .collect()
}
