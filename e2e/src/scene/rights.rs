//! What the operators may do: the roles of their charts, and questions about them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use local_cluster::{command, manifests};
use serde_json::json;

use crate::operators::NAMESPACE;

/// The user as whom an operator's pods act.
#[must_use]
pub fn service_account(operator: &str) -> String {
    format!(
        "system:serviceaccount:{NAMESPACE}:{}",
        crate::operators::object(operator)
    )
}

/// Gives the operators' service accounts the rights that their charts give them, without the operators.
pub async fn grant(client: &Client, helm: &Path, charts: &Path) -> anyhow::Result<()> {
    manifests::ensure_namespace(client, NAMESPACE).await?;
    for operator in crate::operators::NAMES {
        for object in render(helm, charts, operator)? {
            let kind = object
                .types
                .as_ref()
                .map(|types| types.kind.as_str())
                .unwrap_or_default();
            if kind == "ServiceAccount" || kind.contains("Role") {
                manifests::apply_object(client, NAMESPACE, &object).await?;
            }
        }
    }
    Ok(())
}

/// What a chart installs.
pub fn render(helm: &Path, charts: &Path, operator: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let mut helm = Command::new(helm);
    helm.args(["template", operator, "--namespace", NAMESPACE])
        .arg(charts.join(operator));
    let text = command::output(&mut helm).with_context(|| format!("rendering the chart {operator}"))?;
    manifests::parse(&text)
}

/// One thing to do.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// The verb.
    pub verb: &'a str,
    /// The group of the kind.
    pub group: &'a str,
    /// The plural of the kind.
    pub resource: &'a str,
    /// The part of the object, or nothing.
    pub subresource: &'a str,
    /// The namespace, or nothing for all.
    pub namespace: &'a str,
}

/// Fails unless a user may do exactly what is listed as allowed, of all deeds that are listed.
pub async fn check(client: &Client, user: &str, deeds: &[(Deed<'_>, bool)]) -> anyhow::Result<()> {
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let mut wrong = BTreeMap::new();
    for (deed, allowed) in deeds {
        let review = serde_json::from_value(json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": user,
                "groups": ["system:authenticated", "system:serviceaccounts"],
                "resourceAttributes": {
                    "verb": deed.verb,
                    "group": deed.group,
                    "resource": deed.resource,
                    "subresource": deed.subresource,
                    "namespace": deed.namespace,
                },
            },
        }))?;
        let answer = api
            .create(&PostParams::default(), &review)
            .await?
            .status
            .context("no answer")?;
        if answer.allowed != *allowed {
            wrong.insert(format!("{deed:?}"), answer.allowed);
        }
    }
    ensure!(wrong.is_empty(), "{user} is (not) allowed: {wrong:#?}");
    Ok(())
}
