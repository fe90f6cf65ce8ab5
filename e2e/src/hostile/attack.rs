//! What an attack is, as `fixtures/hostile` describes it. Pure.
//!
//! Texts may have `${tenant}` and `${neighbor}`, the namespaces, and `${mark:NAME}`, a secret of that name; see
//! [`super::generate`] for objects that are too large to be written down.

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

/// The files of the corpus: a group of attacks each.
const CORPUS: [(&str, &str); 9] = [
    (
        "other-namespaces",
        include_str!("../../fixtures/hostile/other-namespaces.yaml"),
    ),
    (
        "undecodable",
        include_str!("../../fixtures/hostile/undecodable.yaml"),
    ),
    (
        "redirected-writes",
        include_str!("../../fixtures/hostile/redirected-writes.yaml"),
    ),
    ("load", include_str!("../../fixtures/hostile/load.yaml")),
    ("requests", include_str!("../../fixtures/hostile/requests.yaml")),
    ("rights", include_str!("../../fixtures/hostile/rights.yaml")),
    (
        "certificates",
        include_str!("../../fixtures/hostile/certificates.yaml"),
    ),
    (
        "disclosure",
        include_str!("../../fixtures/hostile/disclosure.yaml"),
    ),
    (
        "without-policies",
        include_str!("../../fixtures/hostile/without-policies.yaml"),
    ),
];

/// One attack.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Attack {
    /// The file that it is from.
    #[serde(skip)]
    pub(crate) group: String,
    /// A sentence about what the attacker achieves if it gets through.
    pub(crate) name: String,
    /// Whether it is among those that CI carries out.
    #[serde(default)]
    pub(crate) ci: bool,
    /// Who attacks.
    #[serde(rename = "as", default)]
    pub(crate) by: User,
    /// Whether the policies are deleted before it.
    #[serde(default)]
    pub(crate) without_policies: bool,
    /// What others did before, by an administrator.
    #[serde(default)]
    pub(crate) before: Vec<Action>,
    /// What the attacker does. It ends with the first step that is refused, or that waits in vain.
    pub(crate) steps: Vec<Action>,
    /// What an administrator does afterwards, so that nothing is left outside the tenant's namespace.
    #[serde(default)]
    pub(crate) after: Vec<Action>,
    /// What must not come of it, besides what holds for every attack; see [`super::verdict`].
    #[serde(default)]
    pub(crate) forbidden: Vec<Forbidden>,
    /// What the operators must report.
    #[serde(default)]
    pub(crate) reports: Reports,
}

/// What the operators must report of an attack that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reports {
    /// A condition of each Pgpool and each request.
    #[default]
    Conditions,
    /// The same, and what the attacker waits for.
    Awaited,
    /// Nothing: the attack is about something else, and has many objects.
    Nothing,
}

impl Attack {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }
}

/// The users of the tenant's namespace. None has any right elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum User {
    /// Pgpools, `PgpoolOpsRequests` and `AppBindings`; no object of a built-in kind.
    #[default]
    PoolEditor,
    /// Creates `PgpoolOpsRequests`, and reads Pgpools.
    Requester,
    /// Objects of built-in kinds; nothing of ours.
    Developer,
    /// Everything in the namespace, status included.
    Owner,
}

impl User {
    pub(crate) const ALL: [Self; 4] = [Self::PoolEditor, Self::Requester, Self::Developer, Self::Owner];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PoolEditor => "pool-editor",
            Self::Requester => "requester",
            Self::Developer => "developer",
            Self::Owner => "owner",
        }
    }
}

/// One step.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Action {
    /// Creates an object.
    Create(Value),
    /// Creates a Pgpool with this name, metadata and spec, in front of the tenant's PostgreSQL.
    Pool(Pool),
    /// Creates a request: its name, the pool, its type, and the rest of its spec.
    Request(Request),
    /// Creates so many objects; `{n}` in a text is the number of the object.
    Many(Many),
    /// Sends a text as the object of a kind, for what cannot be written in YAML.
    Text(Text),
    /// Changes an object.
    Patch(Patch),
    Delete(Target),
    /// Waits until an object is so.
    Wait(Matcher),
    /// Waits likewise, but goes on if it does not become so.
    Expect(Matcher),
    /// An administrator does it.
    Admin(Box<Action>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pool {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) metadata: Value,
    #[serde(default)]
    pub(crate) spec: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) pool: String,
    #[serde(rename = "type")]
    pub(crate) type_: String,
    #[serde(default)]
    pub(crate) spec: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Many {
    pub(crate) count: usize,
    pub(crate) object: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Text {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// A JSON merge patch, or a JSON patch if it is a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Patch {
    pub(crate) target: Target,
    #[serde(default)]
    pub(crate) subresource: Option<String>,
    #[serde(rename = "patch")]
    pub(crate) change: Value,
}

/// An object; in the tenant's namespace unless another is named.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) namespace: Option<String>,
}

/// Any object of a kind that has a value at a path.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Matcher {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    /// Any name otherwise.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// That of the tenant otherwise.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    /// A JSON pointer in which `*` stands for each item of a list, or each value of a map.
    #[serde(default)]
    pub(crate) path: String,
    /// The value there; any value but `null`, `false` and the empty ones otherwise.
    #[serde(default)]
    pub(crate) equals: Option<Value>,
    /// A part of the text there.
    #[serde(default)]
    pub(crate) contains: Option<String>,
}

impl Matcher {
    /// Whether an object has the value at the path.
    pub(crate) fn accepts(&self, object: &Value) -> bool {
        let named = self
            .name
            .as_deref()
            .is_none_or(|name| object["metadata"]["name"] == name);
        let found = || found(object, &self.path);
        named && found().into_iter().any(|value| self.accepts_value(value))
    }

    fn accepts_value(&self, value: &Value) -> bool {
        match (&self.equals, &self.contains) {
            (Some(wanted), _) => value == wanted,
            (None, Some(part)) => match value {
                Value::String(text) => text.contains(part),
                other => other.to_string().contains(part),
            },
            (None, None) => match value {
                Value::Null | Value::Bool(false) => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => true,
            },
        }
    }
}

/// All values at a path.
fn found<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut values = vec![value];
    for key in path.split('/').skip(1) {
        let key = key.replace("~1", "/");
        values = values
            .into_iter()
            .flat_map(|value| match (value, key.as_str()) {
                (Value::Array(items), "*") => items.iter().collect(),
                (Value::Object(map), "*") => map.values().collect(),
                (Value::Array(items), index) => index
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .into_iter()
                    .collect(),
                (value, key) => value.get(key).into_iter().collect::<Vec<_>>(),
            })
            .collect();
    }
    values
}

/// What must not come of an attack.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Forbidden {
    /// An object of a kind in the tenant's namespace holds the secret of a name.
    Holds { kind: String, mark: String },
    /// There is such an object, at any time.
    Exists(Matcher),
    /// There is such an object when the neighbor has been served.
    Remains(Matcher),
    /// An object is changed or gone that was there before the attack.
    Changed(Target),
    /// The reports on two Pgpools of the tenant differ in more than the names of the Pgpools and of referenced objects.
    Differs {
        one: String,
        other: String,
        except: Vec<String>,
    },
    /// The conditions of any object of the tenant have a text.
    Says(String),
    /// The operators make more than so many requests for the attack, besides those for their leases.
    Requests(usize),
    /// An operator has more than so many open files.
    OpenFiles(usize),
}

/// Every attack of the corpus, in the order of the files.
pub(crate) fn corpus() -> anyhow::Result<Vec<Attack>> {
    let mut all = Vec::new();
    for (group, text) in CORPUS {
        // YAML writes enums as tags; JSON writes them as maps.
        let mut yaml: serde_yaml::Value =
            serde_yaml::from_str(text).with_context(|| format!("reading {group}.yaml"))?;
        yaml.apply_merge()?;
        let attacks: Vec<Value> = serde_json::from_value(serde_json::to_value(yaml)?)
            .with_context(|| format!("reading {group}.yaml"))?;
        for attack in attacks {
            let name = attack["name"].clone();
            let mut attack: Attack =
                serde_json::from_value(attack).with_context(|| format!("reading {group}/{name}"))?;
            ensure!(!attack.steps.is_empty(), "{group}/{name} has no steps");
            group.clone_into(&mut attack.group);
            all.push(attack);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_corpus_can_be_read_and_every_attack_has_a_name_of_its_own() {
        let all = corpus().unwrap();
        let names: BTreeSet<_> = all.iter().map(Attack::full_name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() >= 60, "{} attacks", all.len());
    }

    #[test]
    fn ci_carries_out_attacks_of_every_group_that_needs_no_other_policies() {
        let all = corpus().unwrap();
        let of = |ci: bool| -> BTreeSet<_> {
            let chosen = all.iter().filter(|attack| attack.ci || !ci);
            chosen
                .filter(|attack| !attack.without_policies)
                .map(|attack| attack.group.clone())
                .collect()
        };
        assert_eq!(of(true), of(false));
    }

    fn matcher(path: &str, rest: Value) -> Matcher {
        let mut value = rest;
        value["apiVersion"] = json!("v1");
        value["kind"] = json!("Pod");
        value["path"] = json!(path);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_star_stands_for_every_item() {
        let pod = json!({"spec": {"volumes": [{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}}]}});
        assert!(matcher("/spec/volumes/*/hostPath", json!({})).accepts(&pod));
        assert!(matcher("/spec/volumes/*/name", json!({"equals": "b"})).accepts(&pod));
        assert!(!matcher("/spec/volumes/*/nfs", json!({})).accepts(&pod));
        assert!(!matcher("/spec/volumes/*/name", json!({"contains": "c"})).accepts(&pod));
    }

    #[test]
    fn an_empty_value_is_as_good_as_none() {
        let pod = json!({"spec": {"hostPID": false, "nodeName": "", "volumes": []}});
        for path in ["/spec/hostPID", "/spec/nodeName", "/spec/volumes"] {
            assert!(!matcher(path, json!({})).accepts(&pod), "{path}");
        }
    }

    #[test]
    fn a_slash_in_a_key_is_escaped() {
        let object = json!({"metadata": {"annotations": {"a.b/c": "x"}}});
        assert!(matcher("/metadata/annotations/a.b~1c", json!({})).accepts(&object));
    }
}
