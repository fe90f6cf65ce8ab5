//! The admission policies: what they reject and what they warn of, with no operator running.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::Request;
use local_cluster::{manifests, wait};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{self, Manifest, POOL};

/// Time for the API server to learn of a policy, and for a namespace to be emptied: after a refusal that is tried again ever
/// later, up to a minute.
const PATIENCE: Duration = Duration::from_mins(3);
const KEPT: &str =
    "spec.deletionPolicy is DoNotTerminate: set it to Halt, Delete or WipeOut, then delete the Pgpool";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "policies::a_namespace_waits_for_its_protected_pool",
            a_namespace_waits_for_its_protected_pool,
        ),
        Case::api("policies::a_protected_pool_is_kept", a_protected_pool_is_kept),
        Case::api(
            "policies::what_has_no_effect_is_warned_of",
            what_has_no_effect_is_warned_of,
        ),
    ]
}

fn protected() -> anyhow::Result<Manifest> {
    Ok(fixtures::pgpool("data")?.with("/spec/deletionPolicy", json!("DoNotTerminate")))
}

async fn a_protected_pool_is_kept(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    let pool = protected()?.object()?;
    let api = manifests::api(ns.client(), ns.name(), &pool).await?;
    api.create(&PostParams::default(), &pool).await?;
    in_force(&api).await?;
    let all = ListParams::default();
    for refused in [
        api.delete(POOL, &DeleteParams::default()).await.err(),
        api.delete(POOL, &DeleteParams::background().grace_period(0))
            .await
            .err(),
        api.delete_collection(&DeleteParams::default(), &all).await.err(),
    ] {
        let refusal = refused.context("it was deleted")?.to_string();
        ensure!(refusal.contains(KEPT), "{refusal}");
    }
    ensure!(
        api.get(POOL).await?.metadata.deletion_timestamp.is_none(),
        "it is being deleted"
    );
    // Everything but a deletion is possible, the fix among it.
    for policy in ["Halt", "DoNotTerminate", "Delete"] {
        release(&api, policy).await?;
    }
    api.delete(POOL, &DeleteParams::default())
        .await
        .context("no longer protected")?;
    Ok(())
}

async fn a_namespace_waits_for_its_protected_pool(context: Context) -> anyhow::Result<()> {
    let client = context.client.clone();
    let name = format!("{}-held", context.namespace);
    manifests::ensure_namespace(&client, &name).await?;
    let pool = protected()?.object()?;
    let pools = manifests::api(&client, &name, &pool).await?;
    pools.create(&PostParams::default(), &pool).await?;
    in_force(&pools).await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(&name, &DeleteParams::default()).await?;
    wait::until("the namespace reports what it waits for", PATIENCE, || async {
        let namespace = namespaces.get(&name).await?;
        let conditions = namespace.status.and_then(|status| status.conditions);
        let failure = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition.type_ == "NamespaceDeletionContentFailure")
            .context("no such condition yet")?;
        let message = failure.message.unwrap_or_default();
        ensure!(message.contains(KEPT), "{message}");
        Ok(())
    })
    .await?;
    // The pool's own word is kept, and nothing else of the namespace.
    pools.get(POOL).await?;
    let others: Api<ConfigMap> = Api::namespaced(client, &name);
    wait::until("the rest of the namespace is gone", PATIENCE, || async {
        let left = others.list(&ListParams::default()).await?.items.len();
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await?;
    release(&pools, "Delete").await?;
    wait::until("the namespace is gone", PATIENCE, || async {
        match namespaces.get_opt(&name).await? {
            None => Ok(()),
            Some(_) => bail!("it is there"),
        }
    })
    .await
}

/// Waits until the API server knows the policy; a trial deletes nothing.
async fn in_force(api: &Api<DynamicObject>) -> anyhow::Result<()> {
    let trial = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    wait::until("a deletion is refused", PATIENCE, || async {
        match api.delete(POOL, &trial).await {
            Ok(_) => bail!("it is not"),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn release(api: &Api<DynamicObject>, policy: &str) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"spec": {"deletionPolicy": policy}}));
    api.patch(POOL, &PatchParams::default(), &patch)
        .await
        .with_context(|| format!("setting {policy}"))?;
    Ok(())
}

const WARNINGS: &str = include_str!("../../../fixtures/warnings.yaml");

/// A field of the pool, its value, and the warning about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    field: String,
    value: Value,
    warning: Option<String>,
}

fn expected_warnings() -> anyhow::Result<Vec<Row>> {
    serde_yaml::from_str(WARNINGS).context("reading fixtures/warnings.yaml")
}

async fn what_has_no_effect_is_warned_of(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    for (name, field) in [("warned-deprecated", "deprecated"), ("warned-end", "endOfLife")] {
        let entry = json!({
            "apiVersion": "catalog.kubedb.com/v1alpha1",
            "kind": "PgpoolVersion",
            "metadata": {"name": name},
            "spec": {"version": "4.5.0", "pgpool": {"image": "a"}, field: true},
        });
        let entry = Manifest(entry).object()?;
        manifests::apply_object(ns.client(), ns.name(), &entry).await?;
    }
    for row in expected_warnings()? {
        let Row {
            field,
            value,
            warning,
        } = row;
        let pool = fixtures::pgpool("data")?.with(&field, value.clone());
        // The catalog reaches the policy through a cache.
        wait::until("the warning", PATIENCE, || async {
            let heard = warnings(&ns, &pool).await?;
            let as_wanted = match &warning {
                None => heard.is_empty(),
                Some(words) => heard.len() == 1 && heard[0].contains(words),
            };
            ensure!(as_wanted, "{field} {value}: {heard:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// What the API server adds to its answer when the object is created.
async fn warnings(ns: &TestNamespace, manifest: &Manifest) -> anyhow::Result<Vec<String>> {
    let object = manifest.object()?;
    let api = manifests::api(ns.client(), ns.name(), &object).await?;
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let request = Request::new(api.resource_url()).create(&parameters, serde_json::to_vec(&object)?)?;
    let answer = ns.client().send(request.map(Body::from)).await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    let warnings = answer.headers().get_all("warning").iter();
    Ok(warnings
        .map(|warning| String::from_utf8_lossy(warning.as_bytes()).into_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use shared_types::policies;

    use super::*;
    use crate::cases::api::authors;

    #[test]
    fn no_policy_lacks_a_case() {
        let warnings = expected_warnings().unwrap().into_iter();
        let warnings = warnings.filter_map(|row| row.warning);
        let words: Vec<_> = warnings.chain(authors::expected_words()).collect();
        for policies::Policy { policy, .. } in policies::all() {
            for validation in policy.spec.unwrap().validations.unwrap() {
                let message = validation.message.unwrap();
                let expected = words.iter().any(|words| message.contains(words));
                assert!(message == KEPT || expected, "no case expects {message:?}");
            }
        }
    }
}
