//! One attack from its namespace to its verdict.

use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DeleteParams};
use local_cluster::{manifests, wait};
use serde_json::{Value, json};

use crate::namespace::fixtures::{self, Manifest};
use crate::namespace::{SOON, TestNamespace};

use super::attack::{Attack, Reports, Target, User};
use super::disclosure::disclosed;
use super::forbidden::Before;
use super::request;
use super::stage::{Stage, rights};
use super::steps::{Attacker, Ended, Outcome};
use super::verdict::Verdict;

/// How long a status may be awaited.
const REPORTED: Duration = Duration::from_secs(20);

/// How long the operators have at least to do what they must not.
const OPPORTUNITY: Duration = Duration::from_secs(3);

/// Our kinds: each object of these gets a status.
const REPORTING: [&str; 2] = ["Pgpool", "PgpoolOpsRequest"];

/// Carries out one attack, removes what it made, and returns what came of it. What goes wrong counts as getting through, since
/// nothing is proven then.
pub(super) async fn attack(stage: &mut Stage, attack: &Attack, number: usize) -> Verdict {
    let tenant = format!("tenant-{number}");
    let mut verdict = Verdict {
        name: attack.full_name(),
        by: attack.by.name(),
        ..Verdict::default()
    };
    if let Err(error) = carry_out(stage, attack, &tenant, &mut verdict).await {
        verdict.add([format!("{error:#}")]);
    }
    if let Err(error) = clean_up(stage, attack, &tenant).await {
        verdict.add([format!("cleaning up: {error:#}")]);
    }
    verdict
}

async fn carry_out(
    stage: &mut Stage,
    attack: &Attack,
    tenant: &str,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    create_tenant(stage, tenant).await?;
    if attack.without_policies {
        stage.delete_policies(tenant).await?;
    }
    stage.recover().await?;
    let (outcome, before, since) = {
        let attacker = Attacker {
            stage,
            attack,
            tenant,
        };
        attacker.prepare().await?;
        let before = attacker.before().await?;
        let since = now();
        let outcome = attacker.carry_out_steps().await?;
        let in_place = !outcome.accepted.is_empty() || outcome.ended.is_none();
        if let Some(Ended::InVain(what)) = outcome
            .ended
            .as_ref()
            .filter(|_| attack.reports == Reports::Awaited)
        {
            verdict.add([short(what)]);
        }
        if in_place {
            opportunity(&attacker, &before, since, verdict).await?;
            if attack.reports != Reports::Nothing {
                verdict.add(unreported(&attacker, &outcome).await);
            }
        }
        verdict.outcome = describe(&attacker, &outcome).await?;
        if !in_place {
            verdict.add(attacker.violations(&before, since, true).await?);
            return Ok(());
        }
        (outcome, before, since)
    };
    restart_and_serve(stage, verdict).await;
    let attacker = Attacker {
        stage,
        attack,
        tenant,
    };
    verdict.add(attacker.violations(&before, since, true).await?);
    // What is reported only now is what lasts.
    verdict.outcome = describe(&attacker, &outcome).await?;
    check_operators(stage, tenant, verdict).await
}

/// Restarts both operators with all objects in place, and checks that they still serve the neighbor.
async fn restart_and_serve(stage: &mut Stage, verdict: &mut Verdict) {
    for operator in &mut stage.operators {
        if let Err(error) = operator.check() {
            verdict.add([first_line(&error)]);
        }
    }
    match stage.restart().await {
        Ok(()) => match stage.serve_neighbor().await {
            Ok(served) => verdict.served = Some(served),
            Err(error) => verdict.add([first_line(&error)]),
        },
        Err(error) => verdict.add([first_line(&error)]),
    }
}

/// Searches the output of the operators, and checks what they used.
async fn check_operators(stage: &mut Stage, tenant: &str, verdict: &mut Verdict) -> anyhow::Result<()> {
    verdict.add(disclosed(stage, tenant).await?);
    for operator in &mut stage.operators {
        if let Err(error) = operator.check() {
            verdict.add([first_line(&error)]);
        }
        let (usage, limit, silence) = (operator.usage(), operator.memory_limit, operator.silence());
        verdict.check_usage(operator.name, usage, limit, silence);
    }
    verdict.check_processor(stage.processor);
    Ok(())
}

/// Gives the operators the time to do what is forbidden, and no more of it once they have.
async fn opportunity(
    attacker: &Attacker<'_>,
    before: &Before,
    since: Timestamp,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    loop {
        verdict.add(attacker.violations(before, since, false).await?);
        if verdict.got_through() || start.elapsed() > OPPORTUNITY {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The accepted objects of our kinds that get no status.
async fn unreported(attacker: &Attacker<'_>, outcome: &Outcome) -> Vec<String> {
    let mut silent = Vec::new();
    for target in outcome.accepted.iter().filter(|target| reports(target)).take(3) {
        let path = attacker.path(target);
        let reported = wait::until("a status", REPORTED, async || {
            let Some(object) = request::get(&attacker.stage.admin, &path).await? else {
                return Ok(());
            };
            let conditions = object["status"]["conditions"].as_array();
            ensure!(
                conditions.is_some_and(|conditions| !conditions.is_empty()),
                "none yet"
            );
            Ok(())
        });
        if reported.await.is_err() {
            silent.push(format!("{} {} gets no condition", target.kind, target.name));
        }
    }
    silent
}

fn reports(target: &Target) -> bool {
    REPORTING.contains(&target.kind.as_str())
}

/// Who refused the attack, or what is reported of its last object.
async fn describe(attacker: &Attacker<'_>, outcome: &Outcome) -> anyhow::Result<String> {
    match &outcome.ended {
        Some(Ended::Refused(refusal)) => {
            // A policy's own words stand at the end, after its name and that of its binding.
            let message = &refusal.message;
            let words = message
                .split_once("denied request: ")
                .map_or(message.as_str(), |(_, words)| words);
            return Ok(format!("refused by {}: {}", refusal.by, short(words)));
        }
        Some(Ended::InVain(what)) => return Ok(short(what)),
        None => {}
    }
    let Some(target) = outcome.accepted.iter().rfind(|target| reports(target)) else {
        return Ok("accepted".to_owned());
    };
    let object = request::get(&attacker.stage.admin, &attacker.path(target)).await?;
    let status = object.unwrap_or_default()["status"].take();
    Ok(format!(
        "{} {}: {}",
        target.kind,
        target.name,
        short(&telling(&status))
    ))
}

/// The condition that says most: what is stuck before what waits, and otherwise the last one.
fn telling(status: &Value) -> String {
    let conditions: Vec<_> = status["conditions"].as_array().into_iter().flatten().collect();
    let wanted = |type_: &str, value: &str| {
        let found = conditions
            .iter()
            .find(|condition| condition["type"] == type_ && condition["status"] == value);
        found.copied()
    };
    let condition = wanted("Stalled", "True")
        .or_else(|| wanted("Failed", "True"))
        .or_else(|| wanted("CertificatesReady", "False"))
        .or_else(|| wanted("Reconciling", "True"))
        .or_else(|| conditions.last().copied());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match condition {
        Some(condition) => format!(
            "{} {} ({})",
            text(&condition["type"]),
            text(&condition["reason"]),
            text(&condition["message"])
        ),
        None => format!("no condition, phase {}", status["phase"]),
    }
}

/// One line that people can read.
fn short(text: &str) -> String {
    const LENGTH: usize = 160;
    let line = text.replace('\n', " ");
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn first_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    short(text.lines().next().unwrap_or_default())
}

/// A namespace with a PostgreSQL of the tenant's own, a Secret that the tenant may not read, and the users.
async fn create_tenant(stage: &Stage, tenant: &str) -> anyhow::Result<()> {
    manifests::ensure_namespace(&stage.admin, tenant).await?;
    let ns = TestNamespace::existing(&stage.admin, tenant);
    ns.put(&fixtures::credentials(tenant, &stage.marks.secret("own")))
        .await?;
    ns.put(&fixtures::app_binding(tenant).without("/metadata/annotations"))
        .await?;
    let foreign = json!({"token": stage.marks.secret("token"), "password": stage.marks.secret("password")});
    ns.put(&Manifest::secret("payment-api", foreign)).await?;
    for user in User::ALL {
        let name = user.name();
        let role = Manifest::of(
            "rbac.authorization.k8s.io/v1",
            "Role",
            name,
            json!({"rules": rights(user)}),
        );
        ns.put(&role).await?;
        let binding = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        });
        ns.put(&Manifest::of(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            name,
            binding,
        ))
        .await?;
    }
    Ok(())
}

/// Kinds of which attacks leave objects, in an order in which none comes back.
const LEFT: [(&str, &str); 12] = [
    ("ops.kubedb.com/v1alpha1", "PgpoolOpsRequest"),
    ("kubedb.com/v1alpha2", "Pgpool"),
    ("appcatalog.appscode.com/v1alpha1", "AppBinding"),
    ("cert-manager.io/v1", "Certificate"),
    ("cert-manager.io/v1", "Issuer"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "Secret"),
];

/// Deletes what the attack made, and does not wait for the namespace.
async fn clean_up(stage: &Stage, attack: &Attack, tenant: &str) -> anyhow::Result<()> {
    let attacker = Attacker {
        stage,
        attack,
        tenant,
    };
    attacker.tidy().await?;
    for (version, kind) in LEFT {
        let path = format!(
            "{}?gracePeriodSeconds=0",
            request::collection(version, kind, tenant)
        );
        request::send(&stage.admin, "DELETE", &path, "application/json", Vec::new()).await?;
    }
    let left = |version: &'static str, kind: &'static str| request::list(&stage.admin, version, kind, tenant);
    wait::until("the objects of the attack are gone", SOON, async || {
        for (version, kind) in [LEFT[1], LEFT[5], LEFT[11]] {
            ensure!(left(version, kind).await?.is_empty(), "there is a {kind}");
        }
        Ok(())
    })
    .await?;
    if attack.without_policies {
        stage.restore_policies().await?;
    }
    remove(&stage.admin, tenant).await
}

async fn remove(admin: &Client, tenant: &str) -> anyhow::Result<()> {
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(admin.clone());
    api.delete(tenant, &DeleteParams::background()).await?;
    Ok(())
}

/// The time, by the clock that also stamps the audit log.
fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_that_says_most_is_shown() {
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": "R", "message": "m"});
        let stuck = json!({"conditions": [condition("Ready", "False"), condition("Stalled", "True")]});
        assert_eq!(telling(&stuck), "Stalled R (m)");
        let fine = json!({"conditions": [condition("Stalled", "False"), condition("Ready", "True")]});
        assert_eq!(telling(&fine), "Ready R (m)");
        assert_eq!(
            telling(&json!({"phase": "Pending"})),
            "no condition, phase \"Pending\""
        );
    }

    #[test]
    fn a_long_message_is_cut_between_letters() {
        assert_eq!(short("a\nb"), "a b");
        assert_eq!(short(&"ä".repeat(200)).chars().count(), 161);
    }
}
