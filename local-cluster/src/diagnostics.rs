//! Collects what explains a failure: the objects of a namespace, its events, the logs of its pods.
//!
//! What cannot be read is named in the file and is no error: the failure that led here is the one to report. Values of
//! Secrets are left out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, DynamicObject, ListParams, LogParams};
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Client, ResourceExt as _};

/// Lines of a container's log that are kept.
const LINES: i64 = 500;

/// Writes events, objects and logs of `namespaces` to `file`.
pub async fn dump(client: &Client, namespaces: &[&str], file: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for namespace in namespaces {
        let sections = [
            ("events", events(client, namespace).await),
            ("objects", objects(client, namespace).await),
            ("logs", logs(client, namespace).await),
        ];
        for (title, content) in sections {
            let content = content.unwrap_or_else(|error| format!("cannot be read: {error:#}"));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "##### namespace {namespace}: {title}\n{content}");
        }
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

async fn events(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut events = api.list(&ListParams::default()).await?.items;
    events.sort_by_key(|event| event.metadata.creation_timestamp.clone().map(|time| time.0));
    let lines = events.iter().map(|event| {
        let at = event
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0.to_string())
            .unwrap_or_default();
        let about = &event.involved_object;
        format!(
            "{at} {} {}/{} {}: {}",
            event.type_.as_deref().unwrap_or_default(),
            about.kind.as_deref().unwrap_or_default(),
            about.name.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default(),
        )
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

async fn objects(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            let listed =
                capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST);
            if !listed || resource.kind == "Event" {
                continue;
            }
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
            let objects = match api.list(&ListParams::default()).await {
                Ok(list) => list.items,
                Err(error) => {
                    let _ = writeln!(text, "# {}: {error}", resource.kind);
                    continue;
                }
            };
            for mut object in objects {
                object.managed_fields_mut().clear();
                hide_values(&mut object);
                let _ = writeln!(text, "---\n{}", serde_yaml::to_string(&object)?);
            }
        }
    }
    Ok(text)
}

/// Replaces the values of a Secret with their lengths.
fn hide_values(object: &mut DynamicObject) {
    if object.types.as_ref().is_none_or(|types| types.kind != "Secret") {
        return;
    }
    for field in ["data", "stringData"] {
        if let Some(values) = object.data.get_mut(field).and_then(|field| field.as_object_mut()) {
            for value in values.values_mut() {
                let length = value.as_str().map_or(0, str::len);
                *value = format!("({length} characters)").into();
            }
        }
    }
}

async fn logs(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut text = String::new();
    for pod in api.list(&ListParams::default()).await? {
        for (name, previous) in containers(&pod) {
            let parameters = LogParams {
                container: Some(name.clone()),
                previous,
                tail_lines: Some(LINES),
                ..LogParams::default()
            };
            let log = api.logs(&pod.name_any(), &parameters).await;
            let log = log.unwrap_or_else(|error| error.to_string());
            let which = if previous { " (before the restart)" } else { "" };
            let _ = writeln!(text, "----- {}/{name}{which}\n{log}", pod.name_any());
        }
    }
    Ok(text)
}

/// Every container of a pod that has a log. One that was restarted is listed twice, first with `true` for the log from
/// before the restart.
fn containers(pod: &Pod) -> Vec<(String, bool)> {
    let mut containers = Vec::new();
    if let Some(status) = &pod.status {
        let first = status.init_container_statuses.iter().flatten();
        for container in first.chain(status.container_statuses.iter().flatten()) {
            if container.restart_count > 0 {
                containers.push((container.name.clone(), true));
            }
            containers.push((container.name.clone(), false));
        }
    }
    containers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_left_out() {
        let yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: c2VjcmV0}\n";
        let mut object = crate::manifests::parse(yaml).unwrap().remove(0);
        hide_values(&mut object);
        assert_eq!(object.data["data"]["password"], "(8 characters)");
    }
}
