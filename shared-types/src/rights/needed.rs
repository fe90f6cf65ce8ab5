//! The rights that an object would have needed, whoever wrote it. For operators that cannot know who did, because the
//! policy that checks it is missing. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{FIELDS, Field, Guard, When, plain};

/// A field with a guarded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// The path in the table.
    pub path: &'static str,
    /// What its author needs.
    pub guard: Guard,
}

/// Which operator makes something of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but certificates: the provisioner.
    Pool,
    /// Certificates: ops-manager.
    Certificates,
}

impl Part {
    fn has(self, field: &Field) -> bool {
        field.path.starts_with("spec.tls") == (self == Self::Certificates)
    }
}

/// The guarded fields that an object uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// In the order of their paths.
    pub needed: Vec<Needed>,
    /// Their values as JSON. Equal for two objects whose guarded fields are equal.
    pub content: String,
}

impl Guarded {
    /// The paths of the fields, for a sentence.
    #[must_use]
    pub fn paths(&self) -> String {
        let paths: Vec<_> = self
            .needed
            .iter()
            .map(|needed| format!("`{}`", needed.path))
            .collect();
        paths.join(", ")
    }
}

/// The guarded fields of one part of an object; `None` if it uses none. Where the policies look closer, such as at the names
/// in a certificate, this counts more as guarded than they do, never less.
#[must_use]
pub fn guarded(object: &Value, part: Part) -> Option<Guarded> {
    let mut found = BTreeSet::new();
    let mut content = Vec::new();
    for field in FIELDS
        .iter()
        .filter(|field| field.guard.is_guarded() && part.has(field))
    {
        select(object, field.path, &mut |value| {
            if is_guarded(field, value) {
                found.insert(Needed {
                    path: field.path,
                    guard: field.guard,
                });
                content.push(format!("{}={value}", field.path));
            }
        });
    }
    (!found.is_empty()).then(|| Guarded {
        needed: found.into_iter().collect(),
        content: content.join("\n"),
    })
}

/// Calls `see` with every value at a path.
fn select(value: &Value, path: &str, see: &mut impl FnMut(&Value)) {
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        see(value);
    } else if let Some(rest) = path.strip_prefix("[]") {
        for item in value.as_array().into_iter().flatten() {
            select(item, rest, see);
        }
    } else {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        if let Some(inner) = value.get(name) {
            select(inner, rest, see);
        }
    }
}

fn is_guarded(field: &Field, value: &Value) -> bool {
    match field.when {
        When::Set => !is_empty(value),
        When::PrefixedKey => keys(value).any(|key| !plain::is_plain_key(key)),
        When::ServiceAnnotation => keys(value).any(|key| !plain::is_service_annotation(key)),
        When::Container => {
            keys(value).any(|key| !["name", "resources", "env"].contains(&key)) || variables(value)
        }
        When::Variable => is_special(value),
        When::ClusterIssuer => is_cluster_issuer(value),
        When::ForeignName => !matches!(value.as_str(), Some("localhost" | "127.0.0.1" | "::1")),
        When::Relabeling => is_relabeling(value),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
}

fn variables(container: &Value) -> bool {
    let variables = container.get("env").and_then(Value::as_array);
    variables.into_iter().flatten().any(is_special)
}

fn is_special(variable: &Value) -> bool {
    let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
    variable.get("valueFrom").is_some() || !plain::is_plain_variable(name)
}

fn is_cluster_issuer(issuer: &Value) -> bool {
    let text = |key: &str| issuer.get(key).and_then(Value::as_str).unwrap_or_default();
    text("kind") != "Issuer" || !["", "cert-manager.io"].contains(&text("apiGroup"))
}

/// Without the exceptions of the policy.
fn is_relabeling(rule: &Value) -> bool {
    let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
    let target = text("targetLabel");
    !target.is_empty() && !target.starts_with(|first: char| first.is_ascii_alphabetic())
        || text("action").eq_ignore_ascii_case("labelmap")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_of_plain_fields_needs_no_right() {
        let object = json!({
            "metadata": {"labels": {"app": "shop", "app.kubernetes.io/part-of": "shop"}},
            "spec": {
                "version": "4.5.0",
                "postgresRef": {"name": "orders"},
                "replicas": 2,
                "tls": {"issuerRef": {"kind": "Issuer", "name": "ca"}},
                "podTemplate": {"spec": {
                    "hostNetwork": false,
                    "nodeSelector": {"disk": "ssd"},
                    "containers": [{"name": "pgpool", "resources": {}, "env": [{"name": "TZ", "value": "UTC"}]}],
                }},
                "serviceTemplates": [{"alias": "primary", "metadata": {"annotations": {"note": "a"}}, "spec": {"type": "NodePort"}}],
            },
        });
        for part in [Part::Pool, Part::Certificates] {
            assert_eq!(guarded(&object, part), None);
        }
    }

    #[test]
    fn each_guarded_value_is_found() {
        let rows = [
            (
                json!({"metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}),
                "metadata.labels",
            ),
            (
                json!({"spec": {"podTemplate": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}}),
                "spec.podTemplate.spec.containers[]",
            ),
            (
                json!({"spec": {"podTemplate": {"spec": {"containers": [{"name": "pgpool", "env": [{"name": "LD_PRELOAD", "value": "/x"}]}]}}}}),
                "spec.podTemplate.spec.containers[]",
            ),
            (
                json!({"spec": {"podTemplate": {"spec": {"hostPID": true}}}}),
                "spec.podTemplate.spec.hostPID",
            ),
            (
                json!({"spec": {"tls": {"issuerRef": {"kind": "ClusterIssuer", "name": "ca"}}}}),
                "spec.tls.issuerRef",
            ),
            (
                json!({"spec": {"tls": {"certificates": [{"alias": "server", "dnsNames": ["localhost", "b.prod.svc"]}]}}}),
                "spec.tls.certificates[].dnsNames[]",
            ),
            (
                json!({"spec": {"serviceTemplates": [{"alias": "primary", "spec": {"externalIPs": ["203.0.113.10"]}}]}}),
                "spec.serviceTemplates[].spec.externalIPs",
            ),
            (
                json!({"spec": {"monitor": {"prometheus": {"serviceMonitor": {"endpoints": [{"relabelings": [{"targetLabel": "__address__"}]}]}}}}}),
                "spec.monitor.prometheus.serviceMonitor.endpoints[].relabelings[]",
            ),
        ];
        for (object, path) in rows {
            let part = if path.starts_with("spec.tls") {
                Part::Certificates
            } else {
                Part::Pool
            };
            let found = guarded(&object, part).unwrap();
            let paths: Vec<_> = found.needed.iter().map(|needed| needed.path).collect();
            assert_eq!(paths, [path], "{object}");
        }
    }
}
