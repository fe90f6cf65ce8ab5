//! The rules that the API server itself checks: each with what it accepts and what it rejects, and with the words that
//! name the field and how to fix it.
//!
//! The rows are a table by field. A test without a server sees to it that no rule of the definitions lacks a row, and
//! the case offers each row to a real server, so that every rule has rejected something with its own message.

mod row;

use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::Manifest;
use local_cluster::manifests;
use row::{Answer, rows};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "schema::each_rule_accepts_and_refuses",
            each_rule_accepts_and_refuses,
        ),
        Case::api("schema::every_sample_is_accepted", every_sample_is_accepted),
        Case::api("schema::a_request_never_changes", a_request_never_changes),
    ]
}

const NAME: &str = "request";
/// The message for a changed spec of a request.
const FROZEN: &str = "spec of a PgpoolOpsRequest is immutable: create another request";

fn restart() -> Manifest {
    Manifest(json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PgpoolOpsRequest",
        "metadata": {"name": NAME},
        "spec": {"type": "Restart", "databaseRef": {"name": "pool"}},
    }))
}

async fn each_rule_accepts_and_refuses(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    let mut wrong = Vec::new();
    for row in rows()? {
        for (manifest, expected) in row.manifests(ns.name())? {
            if let Err(error) = check(&ns, &manifest, expected).await {
                wrong.push(format!("{}: {error:#}", row.field));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Offers a manifest to the API server, which stores nothing.
async fn check(ns: &TestNamespace, manifest: &Manifest, refusal: Option<&str>) -> anyhow::Result<()> {
    match (row::offer(ns, manifest).await?, refusal) {
        (Answer::Accepted(created), None) => {
            let requested = &manifest.0["spec"];
            ensure!(
                kept(requested, &created["spec"]),
                "a field was dropped from {requested}: {}",
                created["spec"]
            );
        }
        (Answer::Accepted(_), Some(words)) => anyhow::bail!("accepted instead of: {words}"),
        (Answer::Rejected(message), None) => anyhow::bail!("refused {}: {message}", manifest.0["spec"]),
        (Answer::Rejected(message), Some(words)) => {
            ensure!(message.contains(words), "no {words:?} in: {message}");
        }
    }
    Ok(())
}

/// In a denial by the policy about the fields that nobody may set while the tenancy is restricted.
const RIGHTS: &str = "ValidatingAdmissionPolicy 'rights.pgpools.kubedb.com'";

async fn every_sample_is_accepted(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    let folder = context.workspace.root.join("shared-types/tests/samples");
    for file in ["pgpools.yaml", "ops_requests.yaml", "catalog.yaml"] {
        let text = fs::read_to_string(folder.join(file)).with_context(|| file.to_owned())?;
        for object in manifests::parse(&text)? {
            let sample = Manifest(serde_json::to_value(object)?).without("/metadata/namespace");
            let accepted = match check(&ns, &sample, None).await {
                // Policies are asked only about an object that fits the schema.
                Err(error) if format!("{error:#}").contains(RIGHTS) => Ok(()),
                result => result,
            };
            accepted.with_context(|| format!("{} of {file}", sample.0["metadata"]["name"]))?;
        }
    }
    Ok(())
}

async fn a_request_never_changes(context: Context) -> anyhow::Result<()> {
    use kube::api::{Patch, PatchParams, PostParams};
    let ns = context.test_namespace().await?;
    let request = restart().object()?;
    let api = manifests::api(ns.client(), ns.name(), &request).await?;
    api.create(&PostParams::default(), &request).await?;
    let name = NAME;
    let patch = |body: Value| Patch::Merge(body);
    let parameters = PatchParams::default();
    // Of its Pgpool nothing is left, or it never was: neither labels nor the status mind.
    api.patch(
        name,
        &parameters,
        &patch(json!({"metadata": {"labels": {"a": "b"}}})),
    )
    .await
    .context("labels are no part of the spec")?;
    api.patch_status(name, &parameters, &patch(json!({"status": {"phase": "Failed"}})))
        .await
        .context("nor is the status")?;
    let changed = api
        .patch(name, &parameters, &patch(json!({"spec": {"apply": "Always"}})))
        .await;
    let refusal = match changed {
        Ok(_) => anyhow::bail!("the spec was changed"),
        Err(error) => error.to_string(),
    };
    ensure!(refusal.contains(FROZEN), "{refusal}");
    Ok(())
}

/// Everything that was requested is in the created object.
fn kept(requested: &Value, made: &Value) -> bool {
    match (requested, made) {
        (Value::Object(requested), Value::Object(made)) => requested
            .iter()
            .all(|(key, value)| made.get(key).is_some_and(|made| kept(value, made))),
        (Value::Array(requested), Value::Array(made)) => {
            requested.len() == made.len()
                && requested
                    .iter()
                    .zip(made)
                    .all(|(requested, made)| kept(requested, made))
        }
        (requested, made) => requested == made,
    }
}

#[cfg(test)]
mod tests {
    use shared_types::{crds, rules};

    use super::*;

    fn messages() -> Vec<String> {
        let rejected = rows().unwrap().into_iter().flat_map(|row| row.rejects);
        let messages = rejected.map(|rejected| rejected.message);
        messages.chain([FROZEN.to_owned()]).collect()
    }

    const KINDS: [&str; 4] = ["Pgpool", "PgpoolOpsRequest", "PgpoolVersion", "AppBinding"];

    #[test]
    fn no_rule_lacks_a_row() {
        let messages = messages();
        for kind in KINDS {
            for rule in rules::rules_in(&crds::schema(kind).unwrap()) {
                let heard = |words: &&String| words.len() > 15 && rule.message.contains(words.as_str());
                assert!(
                    messages.iter().any(|words| heard(&words)),
                    "{kind}: no row expects {:?}",
                    rule.message
                );
            }
        }
    }

    #[test]
    fn no_limit_lacks_a_row() {
        let messages = messages();
        for kind in KINDS {
            for bound in rules::bounds_in(&crds::schema(kind).unwrap(), &["minimum", "maximum"]) {
                let field = bound.at.rsplit('.').next().unwrap_or_default();
                let side = if bound.keyword == "minimum" {
                    "greater"
                } else {
                    "less"
                };
                let words = format!(
                    "{field} in body should be {side} than or equal to {}",
                    bound.value
                );
                assert!(
                    messages.iter().any(|heard| heard.contains(&words)),
                    "{}: no row expects {words:?}",
                    bound.at
                );
            }
        }
    }

    #[test]
    fn every_row_accepts_and_refuses() {
        for row in rows().unwrap() {
            assert!(
                !row.accepts.is_empty() && !row.rejects.is_empty(),
                "{}",
                row.field
            );
        }
    }
}
