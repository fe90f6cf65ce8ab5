//! Checks that what must not result from an attack does not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use local_cluster::audit;
use serde_json::{Value, json};

use crate::namespace::rbac::service_account;
use crate::operators::NAMES;

use super::attack::{Forbidden, Target};
use super::request;
use super::steps::Attacker;

const PGPOOL: &str = "kubedb.com/v1alpha2";

/// The objects that must not change, as they were before the attack.
pub(super) type Before = Vec<(Target, Option<Value>)>;

impl Attacker<'_> {
    pub(super) async fn before(&self) -> anyhow::Result<Before> {
        let mut before = Vec::new();
        for forbidden in &self.attack.forbidden {
            if let Forbidden::Changed(target) = forbidden {
                let object = request::get(&self.stage.admin, &self.path(target)).await?;
                before.push((target.clone(), object.as_ref().map(content)));
            }
        }
        Ok(before)
    }

    /// The forbidden effects that the attack has had so far. `last`: this is the final check, nothing more is awaited.
    pub(super) async fn violations(
        &self,
        before: &Before,
        since: Timestamp,
        last: bool,
    ) -> anyhow::Result<Vec<String>> {
        let mut all = Vec::new();
        for forbidden in &self.attack.forbidden {
            let violation = match forbidden {
                Forbidden::Holds { kind, mark } => self.holds(kind, mark).await?,
                Forbidden::Exists(matcher) => self.exists(matcher).await?.then(|| {
                    let (kind, path) = (&matcher.kind, &matcher.path);
                    format!("there is a {kind} {}with {path}", named(matcher.name.as_deref()))
                }),
                Forbidden::Remains(matcher) => (last && self.exists(matcher).await?)
                    .then(|| format!("{} {}stays so", matcher.kind, named(matcher.name.as_deref()))),
                Forbidden::Changed(target) => self.changed(before, target).await?,
                // Until all is reported of both, they differ by chance.
                Forbidden::Differs { one, other, except } if last => {
                    self.differs([one, other], except).await?
                }
                Forbidden::Differs { .. } => None,
                Forbidden::Says(text) => self.says(&self.text(text)).await?,
                Forbidden::Requests(limit) => {
                    let count = self.requests(since)?;
                    (count > *limit).then(|| format!("{count} requests of the operators"))
                }
                Forbidden::OpenFiles(limit) => {
                    let count = self
                        .stage
                        .operators
                        .iter()
                        .map(|one| one.usage().open_files)
                        .max();
                    let count = count.unwrap_or_default();
                    (count > *limit).then(|| format!("{count} open files"))
                }
            };
            all.extend(violation);
        }
        Ok(all)
    }

    async fn holds(&self, kind: &str, mark: &str) -> anyhow::Result<Option<String>> {
        let version = match kind {
            "StatefulSet" => "apps/v1",
            "Job" => "batch/v1",
            "Pgpool" => PGPOOL,
            _ => "v1",
        };
        let secret = self.stage.marks.secret(mark);
        let objects = request::list(&self.stage.admin, version, kind, self.tenant).await?;
        let holder = objects.iter().find(|object| {
            let data = object["data"].as_object().into_iter().flatten();
            let decoded = data.filter_map(|(_, value)| STANDARD.decode(value.as_str()?).ok());
            let mut texts = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            texts.any(|text| text.contains(&secret)) || object.to_string().contains(&secret)
        });
        Ok(holder.map(|holder| format!("{kind} {} holds the secret {mark}", holder["metadata"]["name"])))
    }

    async fn changed(&self, before: &Before, target: &Target) -> anyhow::Result<Option<String>> {
        let now = request::get(&self.stage.admin, &self.path(target)).await?;
        let (kind, name) = (&target.kind, &target.name);
        let was = before.iter().find(|(known, _)| known == target);
        Ok(
            match (was.and_then(|(_, was)| was.as_ref()), now.as_ref().map(content)) {
                (Some(_), None) => Some(format!("{kind} {name} is gone")),
                (Some(was), Some(now)) if *was != now => Some(format!("{kind} {name} is changed")),
                (None, Some(_)) => Some(format!("{kind} {name} is created")),
                _ => None,
            },
        )
    }

    /// What is reported of two Pgpools is compared once there is something about both.
    async fn differs(&self, names: [&String; 2], except: &[String]) -> anyhow::Result<Option<String>> {
        let except: Vec<_> = except.iter().map(|word| self.text(word)).collect();
        let mut reports = Vec::new();
        for name in names {
            let path = format!("{}/{name}", request::collection(PGPOOL, "Pgpool", self.tenant));
            let pool = request::get(&self.stage.admin, &path).await?.unwrap_or_default();
            reports.push(report(&pool, name, &except));
        }
        let all = reports.iter().all(|report| !report.is_empty());
        Ok((all && reports[0] != reports[1]).then(|| {
            format!(
                "{} and {} can be distinguished: {:?} and {:?}",
                names[0], names[1], reports[0], reports[1]
            )
        }))
    }

    async fn says(&self, text: &str) -> anyhow::Result<Option<String>> {
        let kinds = [
            (PGPOOL, "Pgpool"),
            ("ops.kubedb.com/v1alpha1", "PgpoolOpsRequest"),
        ];
        for (version, kind) in kinds {
            for object in request::list(&self.stage.admin, version, kind, self.tenant).await? {
                if object["status"].to_string().contains(text) {
                    return Ok(Some(format!(
                        "the status of {kind} {} has {text:?}",
                        object["metadata"]["name"]
                    )));
                }
            }
        }
        Ok(None)
    }

    fn requests(&self, since: Timestamp) -> anyhow::Result<usize> {
        let accounts = NAMES.map(service_account);
        let entries = audit::read(&self.stage.plane.audit_log(), since, Timestamp::MAX)?;
        let ours = entries.iter().filter(|entry| {
            let lease = entry
                .object_ref
                .as_ref()
                .is_some_and(|object| object.resource == "leases");
            !lease && accounts.contains(&entry.user.username)
        });
        Ok(ours.count())
    }
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!("{name} ")).unwrap_or_default()
}

/// What matters of an object to those who use it.
fn content(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "data": object["data"],
        "spec": object["spec"],
        "type": object["type"],
        "labels": metadata["labels"],
        "annotations": metadata["annotations"],
        "owners": metadata["ownerReferences"],
        "uid": metadata["uid"],
        "deleted": metadata["deletionTimestamp"],
    })
}

/// The conditions of a Pgpool without times, with what may differ left out.
fn report(pool: &Value, name: &str, except: &[String]) -> String {
    let conditions = pool["status"]["conditions"].as_array().into_iter().flatten();
    let mut lines: Vec<_> = conditions
        .map(|condition| {
            let part = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
            format!(
                "{}={} {} {}",
                part("type"),
                part("status"),
                part("reason"),
                part("message")
            )
        })
        .collect();
    lines.sort();
    let mut text = lines.join("; ");
    for word in except.iter().map(String::as_str).chain([name]) {
        text = text.replace(word, "…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_two_pools_differ_only_in_what_matters() {
        let pool = |name: &str, reason: &str| {
            json!({"status": {"conditions": [
                {"type": "Stalled", "status": "True", "reason": reason, "message": format!("{name} is stuck"),
                 "lastTransitionTime": name},
            ]}})
        };
        let none = Vec::new();
        assert_eq!(
            report(&pool("p-1", "X"), "p-1", &none),
            report(&pool("p-2", "X"), "p-2", &none)
        );
        assert_ne!(
            report(&pool("p-1", "X"), "p-1", &none),
            report(&pool("p-2", "Y"), "p-2", &none)
        );
    }

    #[test]
    fn a_new_version_of_the_same_content_is_no_change() {
        let object = |version: &str, value: &str| json!({"metadata": {"uid": "1", "resourceVersion": version}, "data": {"a": value}});
        assert_eq!(content(&object("1", "x")), content(&object("2", "x")));
        assert_ne!(content(&object("1", "x")), content(&object("1", "y")));
    }
}
