//! What a Pgpool has become, in a form that is the same for every Pgpool that was created in the same
//! way: two of them can be compared, whatever happened to the operators meanwhile.
//!
//! Random values and times are replaced: a password by its key, a hash by a mark.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use local_cluster::wait;
use serde_json::{Map, Value, json};
use shared_types::names;

use super::{SOON, TestNamespace};

/// The kinds of the objects that make up a Pgpool.
const KINDS: [(&str, &str, &str); 8] = [
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "StatefulSet"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("appcatalog.appscode.com", "v1alpha1", "AppBinding"),
    ("cert-manager.io", "v1", "Certificate"),
    ("kubedb.com", "v1alpha2", "Pgpool"),
];

/// Keys of Secrets whose content follows from the spec.
const PLAIN: [&str; 2] = ["pgpool.conf", "pool_hba.conf"];

/// How long a Pgpool has not changed when it counts as settled.
const CALM: Duration = Duration::from_secs(4);

pub(crate) type Snapshot = BTreeMap<String, Value>;

impl TestNamespace {
    pub(crate) async fn snapshot(&self, pool: &str) -> anyhow::Result<Snapshot> {
        let uid = self.pgpool(pool).await?.uid().context("the Pgpool has no UID")?;
        let marks = [
            (self.name(), "<namespace>"),
            (&uid, "<uid>"),
            (&uid[uid.len() - 6..], "<uid6>"),
        ];
        let marked = |text: &str| {
            mask(
                &marks
                    .iter()
                    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to)),
            )
        };
        let mut snapshot = Snapshot::new();
        for (kind, object) in self.parts(pool, Some(&uid)).await? {
            let content = serde_json::from_str(&marked(&canonical(kind, &object).to_string()))?;
            snapshot.insert(format!("{kind} {}", marked(&object.name_any())), content);
        }
        Ok(snapshot)
    }

    /// Waits until a Pgpool has its first pod and changes no more, and takes a snapshot then.
    pub(crate) async fn settled(&self, pool: &str) -> anyhow::Result<Snapshot> {
        self.first_pod(pool).await?;
        wait::settled(pool, CALM, SOON, async || self.snapshot(pool).await).await
    }

    /// The objects that bear the labels of a Pgpool, which need not exist any more, as `Kind name`.
    pub(crate) async fn objects(&self, pool: &str) -> anyhow::Result<Vec<String>> {
        let parts = self.parts(pool, None).await?;
        Ok(parts
            .iter()
            .map(|(kind, object)| format!("{kind} {}", object.name_any()))
            .collect())
    }

    /// The objects that are labeled as parts of a Pgpool, or owned by the one with a UID, or that one itself.
    async fn parts(
        &self,
        pool: &str,
        uid: Option<&str>,
    ) -> anyhow::Result<Vec<(&'static str, DynamicObject)>> {
        let mut parts = Vec::new();
        for (group, version, kind) in KINDS {
            let api = self.dynamic(group, version, kind);
            let found = api.list(&ListParams::default()).await?;
            let found = found.items.into_iter().filter(|object| {
                let labeled = object
                    .labels()
                    .get(names::LABEL_INSTANCE)
                    .is_some_and(|name| name == pool);
                let owners = object.owner_references().iter();
                let owned = owners
                    .map(|owner| owner.uid.as_str())
                    .any(|owner| Some(owner) == uid);
                labeled || owned || (uid.is_some() && object.uid().as_deref() == uid)
            });
            parts.extend(found.map(|object| (kind, object)));
        }
        Ok(parts)
    }
}

/// Fails with what is different between two snapshots.
pub(crate) fn same(one: &Snapshot, other: &Snapshot) -> anyhow::Result<()> {
    let mut differing = Vec::new();
    for (name, object) in one {
        match other.get(name) {
            None => differing.push(format!("{name} is missing")),
            Some(found) => differences(name, object, found, &mut differing),
        }
    }
    differing.extend(
        other
            .keys()
            .filter(|name| !one.contains_key(*name))
            .map(|name| format!("{name} is extra")),
    );
    if differing.is_empty() {
        Ok(())
    } else {
        bail!("{}", differing.join("\n"))
    }
}

fn differences(path: &str, one: &Value, other: &Value, differing: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let (one, other) = (one.get(key), other.get(key));
                differences(
                    &format!("{path}/{key}"),
                    one.unwrap_or(&Value::Null),
                    other.unwrap_or(&Value::Null),
                    differing,
                );
            }
        }
        (one, other) if one != other => differing.push(format!("{path} is {other}, not {one}")),
        _ => {}
    }
}

fn canonical(kind: &str, object: &DynamicObject) -> Value {
    let owners = object
        .owner_references()
        .iter()
        .map(|owner| json!({"kind": owner.kind, "name": owner.name, "controller": owner.controller}));
    let mut result = json!({
        "labels": object.labels(),
        "annotations": object.annotations().keys().collect::<Vec<_>>(),
        "owners": owners.collect::<Vec<_>>(),
    });
    let mut data = object.data.clone();
    if kind != "Pgpool"
        && let Some(fields) = data.as_object_mut()
    {
        fields.remove("status");
    }
    match kind {
        "Secret" => data["data"] = content(&data["data"]),
        "Service" => addresses(&mut data["spec"]),
        "Pgpool" => data["status"] = status(&data["status"]),
        _ => {}
    }
    result["object"] = data;
    result
}

fn content(data: &Value) -> Value {
    let keys = data.as_object().into_iter().flatten();
    let shown = keys.map(|(key, value)| {
        let plain = PLAIN.contains(&key.as_str());
        (
            key.clone(),
            if plain {
                json!(decoded(value))
            } else {
                json!("<kept>")
            },
        )
    });
    Value::Object(shown.collect::<Map<_, _>>())
}

fn decoded(value: &Value) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap_or_default());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// Which address a Service got is a matter of luck; that it has none is not.
fn addresses(spec: &mut Value) {
    if spec["clusterIP"] != "None"
        && let Some(fields) = spec.as_object_mut()
    {
        fields.remove("clusterIP");
        fields.remove("clusterIPs");
    }
}

fn status(status: &Value) -> Value {
    let by = |list: &Value, key: &str, keep: &[&str]| {
        let items = list.as_array().into_iter().flatten().map(|item| {
            let kept = keep
                .iter()
                .map(|field| ((*field).to_owned(), item[*field].clone()));
            (
                item[key].as_str().unwrap_or_default().to_owned(),
                Value::Object(kept.collect()),
            )
        });
        Value::Object(items.collect::<Map<_, _>>())
    };
    json!({
        "phase": status["phase"],
        "observedGeneration": status["observedGeneration"],
        "conditions": by(&status["conditions"], "type", &["status", "reason", "message", "observedGeneration"]),
        "certificates": by(&status["certificates"], "alias", &["secretName", "ready", "reason"]),
    })
}

/// Replaces hexadecimal hashes, which depend on what is random.
fn mask(text: &str) -> String {
    const SHORTEST: usize = 8;
    let mut masked = String::with_capacity(text.len());
    let mut run = String::new();
    let flush = |run: &mut String, masked: &mut String| {
        // A word of letters alone may be hexadecimal by accident.
        let hash = run.len() >= SHORTEST && run.contains(|c: char| c.is_ascii_digit());
        masked.push_str(if hash { "<hash>" } else { run });
        run.clear();
    };
    for c in text.chars() {
        if c.is_ascii_digit() || ('a'..='f').contains(&c) {
            run.push(c);
        } else {
            flush(&mut run, &mut masked);
            masked.push(c);
        }
    }
    flush(&mut run, &mut masked);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_masked_and_words_are_not() {
        assert_eq!(mask("pool-tls-0a1b2c3d4e"), "pool-tls-<hash>");
        assert_eq!(mask("feedface deadbeef 8443 9999"), "feedface deadbeef 8443 9999");
    }

    #[test]
    fn differences_name_their_place() {
        let one = Snapshot::from([
            ("Secret a".to_owned(), json!({"x": {"y": 1}})),
            ("Secret b".to_owned(), json!(1)),
        ]);
        let other = Snapshot::from([("Secret a".to_owned(), json!({"x": {"y": 2}}))]);
        let differing = same(&one, &other).unwrap_err().to_string();
        assert_eq!(differing, "Secret a/x/y is 2, not 1\nSecret b is missing");
        same(&one, &one).unwrap();
    }

    #[test]
    fn a_secret_keeps_what_follows_from_the_spec() {
        let data = json!({"pgpool.conf": "YQ==", "password": "YQ=="});
        assert_eq!(content(&data), json!({"pgpool.conf": "a", "password": "<kept>"}));
    }
}
