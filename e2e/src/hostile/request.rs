//! Requests as a client without any types sends them, so that nothing is refused or changed before the API server sees it, and
//! no answer has to be decoded.

use anyhow::{Context as _, bail};
use http::Request;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Client, Error, Resource as _};
use serde_json::Value;

/// Kinds that have no namespace, of those in the corpus.
const CLUSTER_SCOPED: [&str; 5] = [
    "ClusterIssuer",
    "Namespace",
    "PgpoolVersion",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// The path of all objects of a kind in a namespace.
pub(super) fn collection(api_version: &str, kind: &str, namespace: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let namespace = (!CLUSTER_SCOPED.contains(&kind)).then_some(namespace);
    DynamicObject::url_path(&resource, namespace)
}

/// What the API server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted(String),
    Refused(Refusal),
}

/// Who refuses a request, and in which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) by: &'static str,
    pub(super) message: String,
}

/// # Errors
/// When the API server does not answer, or fails.
pub(super) async fn send(
    client: &Client,
    verb: &str,
    path: &str,
    content: &str,
    body: Vec<u8>,
) -> anyhow::Result<Answer> {
    let request = Request::builder()
        .method(verb)
        .uri(path)
        .header("content-type", content)
        .body(body)?;
    match client.request_text(request).await {
        Ok(text) => Ok(Answer::Accepted(text)),
        Err(Error::Api(status)) if (400..500).contains(&status.code) || too_large(&status.message) => {
            Ok(Answer::Refused(Refusal {
                by: refused_by(status.code, &status.message),
                message: status.message.clone(),
            }))
        }
        Err(error) => Err(error).with_context(|| format!("{verb} {path}")),
    }
}

pub(super) async fn create(client: &Client, path: &str, object: &Value) -> anyhow::Result<Answer> {
    send(
        client,
        "POST",
        path,
        "application/json",
        serde_json::to_vec(object)?,
    )
    .await
}

/// A list of a kind, as JSON.
pub(super) async fn list(
    client: &Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
) -> anyhow::Result<Vec<Value>> {
    match send(
        client,
        "GET",
        &collection(api_version, kind, namespace),
        "application/json",
        Vec::new(),
    )
    .await?
    {
        Answer::Accepted(text) => {
            let mut items = match parse(&text)?["items"].take() {
                Value::Array(items) => items,
                other => bail!("a list of {kind} without items: {other}"),
            };
            for item in &mut items {
                item["kind"] = kind.into();
                item["apiVersion"] = api_version.into();
            }
            Ok(items)
        }
        Answer::Refused(refusal) => bail!("listing {kind}: {}", refusal.message),
    }
}

/// One object, or nothing if there is none.
pub(super) async fn get(client: &Client, path: &str) -> anyhow::Result<Option<Value>> {
    match send(client, "GET", path, "application/json", Vec::new()).await? {
        Answer::Accepted(text) => Ok(Some(parse(&text)?)),
        Answer::Refused(_) => Ok(None),
    }
}

/// Reads JSON of any depth: hostile objects have more levels than `serde_json` reads by default.
fn parse(text: &str) -> anyhow::Result<Value> {
    // YAML of the same text would be limited too, so what is too deep is cut before it is read.
    serde_json::from_str(&shallow(text)).context("reading an answer of the API server")
}

/// The JSON with everything below `LEVELS` levels replaced by `null`.
fn shallow(text: &str) -> String {
    const LEVELS: usize = 100;
    let (mut kept, mut level, mut quoted, mut escaped) =
        (String::with_capacity(text.len()), 0_usize, false, false);
    for letter in text.chars() {
        let opens = !quoted && matches!(letter, '{' | '[');
        let closes = !quoted && matches!(letter, '}' | ']');
        if opens {
            level += 1;
            if level == LEVELS + 1 {
                kept += "null";
            }
        }
        if level <= LEVELS {
            kept.push(letter);
        }
        if closes {
            level = level.saturating_sub(1);
        }
        (quoted, escaped) = match letter {
            '"' if !escaped => (!quoted, false),
            '\\' if quoted && !escaped => (quoted, true),
            _ => (quoted, false),
        };
    }
    kept
}

fn too_large(message: &str) -> bool {
    message.contains("request is too large") || message.contains("trying to send message larger than max")
}

fn refused_by(code: u16, message: &str) -> &'static str {
    let of_policy = message.contains("ValidatingAdmissionPolicy");
    match code {
        _ if of_policy => "an admission policy",
        403 if message.contains("violates PodSecurity") => "Pod Security",
        403 => "the user's role",
        409 => "a conflict",
        413 => "the size limit of the API server",
        422 => "the schema",
        _ if too_large(message) => "the size limit of etcd",
        _ => "the API server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_scope_of_the_kind() {
        assert_eq!(collection("v1", "Secret", "a"), "/api/v1/namespaces/a/secrets");
        assert_eq!(
            collection("ops.kubedb.com/v1alpha1", "PgpoolOpsRequest", "a"),
            "/apis/ops.kubedb.com/v1alpha1/namespaces/a/pgpoolopsrequests"
        );
        assert_eq!(
            collection("cert-manager.io/v1", "ClusterIssuer", "a"),
            "/apis/cert-manager.io/v1/clusterissuers"
        );
    }

    #[test]
    fn who_refuses_is_read_from_the_answer() {
        let policy = "pgpools.kubedb.com \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no";
        assert_eq!(refused_by(422, policy), "an admission policy");
        assert_eq!(refused_by(422, "spec.x: Invalid value"), "the schema");
        assert_eq!(
            refused_by(403, "User \"a\" cannot create resource"),
            "the user's role"
        );
        assert_eq!(
            refused_by(500, "etcdserver: request is too large"),
            "the size limit of etcd"
        );
    }

    #[test]
    fn what_is_too_deep_to_be_read_is_cut() {
        let deep = (0..300).fold("1".to_owned(), |inner, _| format!(r#"{{"x": [{inner}, "}}"]}}"#));
        let value = parse(&format!(r#"{{"a": {deep}, "b": "\"{{"}}"#)).unwrap();
        assert_eq!(value["b"], "\"{");
        assert!(value["a"]["x"][0]["x"].is_array());
    }
}
