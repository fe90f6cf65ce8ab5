//! What a waiting user sees while a `Pgpool` is created, changed, broken and repaired: `kubectl wait` and the programs that go
//! by kstatus, Helm among them. Neither may go on before the present spec is in effect and proven.

use std::fmt::Write;

use super::*;

/// What kstatus makes of an object of a kind that it does not know (sigs.k8s.io/cli-utils, pkg/kstatus).
fn kstatus(object: &Value) -> &'static str {
    let status = &object["status"];
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    let observed = &status["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return "InProgress";
    }
    for condition in status["conditions"].as_array().into_iter().flatten() {
        match (&condition["type"], &condition["status"]) {
            (ty, status) if ty == "Reconciling" && status == "True" => return "InProgress",
            (ty, status) if ty == "Stalled" && status == "True" => return "Failed",
            _ => {}
        }
    }
    match condition(object, "Ready") {
        Some(ready) if ready["status"] != "True" => "InProgress",
        // An object that has nothing to tell is done.
        Some(_) | None => "Current",
    }
}

/// Whether `kubectl wait --for=condition=Ready` returns.
fn kubectl(object: &Value) -> bool {
    let Some(ready) = condition(object, "Ready").filter(|ready| ready["status"] == "True") else {
        return false;
    };
    let observed = [
        &ready["observedGeneration"],
        &object["status"]["observedGeneration"],
    ];
    let observed = observed.into_iter().find_map(Value::as_i64);
    observed.is_none_or(|observed| observed >= object["metadata"]["generation"].as_i64().unwrap())
}

fn condition<'a>(object: &'a Value, ty: &str) -> Option<&'a Value> {
    let mut conditions = object["status"]["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == ty)
}

#[derive(PartialEq)]
enum Truth {
    /// The present spec is not in effect, or not proven.
    Underway,
    /// It is.
    InEffect,
}
use Truth::{InEffect, Underway};

/// A stage, and what was seen on it.
struct Walk {
    stage: Stage,
    seen: String,
}

impl Walk {
    fn sees(&mut self, step: &str, truth: &Truth) {
        let object: Value = self.stage.api.get(POOL).unwrap();
        let (kstatus, kubectl) = (kstatus(&object), kubectl(&object));
        let done = *truth == InEffect;
        let all = format!("{step}: {kstatus}, kubectl {kubectl}: {object:#}");
        assert_eq!(kstatus == "Current", done, "{all}");
        assert_eq!(kubectl, done, "{all}");
        let described = |ty| {
            let Some(it) = condition(&object, ty) else {
                return "-".to_owned();
            };
            let text = |field: &str| it[field].as_str().unwrap().to_owned();
            format!(
                "{}/{}/{}",
                text("status"),
                text("reason"),
                it["observedGeneration"]
            )
        };
        let status = &object["status"];
        let _ = writeln!(
            self.seen,
            "{step}: generation {} observed {} phase {} | Ready {} | Reconciling {} | Stalled {} | {kstatus}",
            object["metadata"]["generation"],
            status["observedGeneration"],
            status["phase"].as_str().unwrap_or("-"),
            described("Ready"),
            described("Reconciling"),
            described("Stalled"),
        );
    }

    fn edit(&self, change: impl FnOnce(&mut Pgpool)) {
        let mut pgpool = self.stage.pgpool();
        change(&mut pgpool);
        pgpool.metadata.generation = pgpool.metadata.generation.map(|generation| generation + 1);
        self.stage.api.put(POOL, serde_json::to_value(&pgpool).unwrap());
    }

    async fn reconcile(&mut self, step: &str) {
        self.stage.reconcile().await;
        self.sees(step, &Underway);
    }

    /// cert-manager and ops-manager do their part for the present spec, and Kubernetes its own.
    async fn carried_out(&mut self, step: &str) {
        let certificates = self.stage.issue();
        self.stage.verify(&certificates, true);
        self.reconcile(&format!("{step}, pods are replaced")).await;
        self.stage.run_pods();
        self.sees(&format!("{step}, pods run"), &Underway);
        self.stage.checked().await;
        self.sees(&format!("{step}, proven"), &InEffect);
    }
}

fn ask_for_name(pgpool: &mut Pgpool) {
    let certificates = json!([{ "alias": "server", "dnsNames": ["db.example.com"] }]);
    let tls = pgpool.spec.tls.as_mut().unwrap();
    tls.certificates = serde_json::from_value(certificates).unwrap();
}

#[tokio::test]
async fn nobody_who_waits_goes_on_too_early_or_waits_for_ever() {
    let mut pgpool = tls_pgpool();
    // As the API server stores a new one.
    pgpool.status = Some(serde_json::from_value(json!({ "observedGeneration": -1 })).unwrap());
    let mut walk = Walk {
        stage: Stage::new(&pgpool),
        seen: String::new(),
    };
    walk.sees("created", &Underway);
    walk.reconcile("certificates are missing").await;
    let certificates = walk.stage.issue();
    walk.reconcile("certificates are issued").await;
    walk.stage.verify(&certificates, false);
    walk.reconcile("certificates do not fit").await;
    walk.carried_out("certificates fit").await;

    walk.edit(|pgpool| pgpool.spec.replicas = Some(5));
    walk.sees("more replicas are asked for", &Underway);
    walk.reconcile("more replicas, ops-manager has not looked").await;
    walk.carried_out("more replicas").await;

    walk.edit(ask_for_name);
    walk.sees("a name is asked for", &Underway);
    walk.reconcile("a name, ops-manager has not looked").await;
    let certificates = certificates_of(&walk.stage);
    walk.stage.verify(&certificates, false);
    walk.reconcile("a name, the certificate lacks it").await;
    walk.carried_out("a name").await;

    let pod = "/api/v1/namespaces/demo/pods/pool-0";
    let mut broken: Value = walk.stage.api.get(pod).unwrap();
    broken["status"]["conditions"][0]["status"] = "False".into();
    walk.stage.api.put(pod, broken);
    walk.reconcile("a pod is lost").await;
    walk.stage.run_pods();
    walk.stage.checked().await;
    walk.sees("the pod is back", &InEffect);

    let custom = json!({ "inline": { "pgpool.conf": "ssl = off" } });
    walk.edit(|pgpool| pgpool.spec.configuration = serde_json::from_value(custom).unwrap());
    walk.reconcile("something refused is asked for").await;
    walk.edit(|pgpool| pgpool.spec.configuration = None);
    walk.sees("it is taken back", &Underway);
    let certificates = certificates_of(&walk.stage);
    walk.stage.verify(&certificates, true);
    walk.stage.checked().await;
    walk.sees("it is taken back, proven", &InEffect);
    insta::assert_snapshot!(walk.seen);
}

/// The certificates that stand in the Secrets.
fn certificates_of(stage: &Stage) -> Vec<Certificate> {
    let stored = |certificate: Certificate| {
        let path = format!("/api/v1/namespaces/demo/secrets/{}", certificate.secret_name);
        Certificate {
            secret: observe::Lookup::Present(Arc::new(stage.api.get(&path).unwrap())),
            ..certificate
        }
    };
    let needed = certificates(&stage.pgpool(), &stage.pki);
    needed.into_iter().map(stored).collect()
}

/// ops-manager is gone, and its last word was about the spec before.
#[tokio::test]
async fn an_old_verdict_does_not_pass_for_one_on_the_new_spec() {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    let mut walk = Walk {
        stage,
        seen: String::new(),
    };
    walk.sees("proven", &InEffect);
    walk.edit(ask_for_name);
    walk.reconcile("a name is asked for").await;
    walk.reconcile("and nothing happens").await;

    let stage = Stage::on(walk.stage.api.clone(), Duration::ZERO);
    *stage.prober.0.lock().unwrap() = walk.stage.prober.0.lock().unwrap().clone();
    let old = std::mem::replace(&mut walk.stage, stage);
    walk.stage.checked().await;
    walk.sees("the grace time is over", &Underway);
    let message = walk.stage.reason(ConditionType::Reconciling).unwrap().2;
    assert!(message.contains("db.example.com"), "{message}");
    drop(old);
}
