//! What the operators may do: the roles of their charts, and questions about them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use local_cluster::{command, manifests};
use serde_json::json;

use crate::operators::NAMESPACE;

/// The user as whom an operator's pods act.
pub(crate) fn service_account(operator: &str) -> String {
    format!(
        "system:serviceaccount:{NAMESPACE}:{}",
        crate::operators::object(operator)
    )
}

/// Gives the operators' service accounts the rights that their charts give them, without the operators.
pub(crate) async fn grant(client: &Client, helm: &Path, charts: &Path) -> anyhow::Result<()> {
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

pub(crate) fn render(helm: &Path, charts: &Path, operator: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let mut helm = Command::new(helm);
    helm.args(["template", operator, "--namespace", NAMESPACE])
        .arg(charts.join(operator));
    let text = command::output(&mut helm).with_context(|| format!("rendering the chart {operator}"))?;
    manifests::parse(&text)
}

/// Fails unless a user may do exactly what is allowed, in the namespace `default`. A right is a verb, the group of a kind, and
/// the kind with or without a part of it, such as `patch kubedb.com pgpools/status`.
pub(crate) async fn check(
    client: &Client,
    user: &str,
    allowed: &[String],
    denied: &[String],
) -> anyhow::Result<()> {
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let mut wrong = BTreeMap::new();
    let rights = allowed.iter().map(|right| (right, true));
    for (right, wanted) in rights.chain(denied.iter().map(|right| (right, false))) {
        let words: Vec<_> = right.split(' ').collect();
        let [verb, group, kind] = words[..] else {
            bail!("a right has three words, not {right:?}")
        };
        let (resource, subresource) = kind.split_once('/').unwrap_or((kind, ""));
        let group = if group == "core" { "" } else { group };
        let review = serde_json::from_value(json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": user,
                "groups": ["system:authenticated", "system:serviceaccounts"],
                "resourceAttributes": {
                    "verb": verb, "group": group, "resource": resource, "subresource": subresource,
                    "namespace": "default",
                },
            },
        }))?;
        let answer = api.create(&PostParams::default(), &review).await?.status;
        let answer = answer.context("no answer")?.allowed;
        if answer != wanted {
            wrong.insert(right, answer);
        }
    }
    ensure!(wrong.is_empty(), "{user} is (not) allowed: {wrong:#?}");
    Ok(())
}
