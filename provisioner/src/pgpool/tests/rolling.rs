//! A renewed certificate on its way into the pods: one after the other, each proven before the next.

use super::*;
use crate::rotation_limiter::{ClusterRotationLimiter, Limits};

const PODS: &str = "/api/v1/namespaces/demo/pods/pool-";

/// Three pods that serve, and a renewed certificate for them.
async fn renewed() -> Stage {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    let certificates = stage.issue();
    stage.verify(&certificates, true);
    stage.api.log();
    stage
}

fn partition(stage: &Stage) -> i64 {
    let workload: Value = stage.api.get(WORKLOAD).unwrap();
    workload["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
        .as_i64()
        .unwrap()
}

/// The pods that mount what the workload mounts, by ordinal.
fn replaced(stage: &Stage) -> Vec<i32> {
    let next = observe::CertificateRevision::of_workload(&stage.workload().unwrap());
    let pods = observe::pool_pods(&stage.pgpool(), &stage.context).own;
    let replaced = pods.iter().filter(|pod| pod.mounted_certificates == next);
    replaced.map(|pod| pod.ordinal).collect()
}

fn progress(stage: &Stage) -> (String, String) {
    let (_, reason, message) = stage.reason(ConditionType::Reconciling).unwrap();
    (reason, message)
}

#[tokio::test]
async fn one_pod_after_the_other_and_nothing_is_written_twice() {
    let stage = renewed().await;
    for (left, expected) in [(2, vec![2]), (1, vec![1, 2]), (0, vec![0, 1, 2])] {
        stage.asked().await;
        assert_eq!(partition(&stage), left);
        stage.run_pods();
        assert_eq!(replaced(&stage), expected);
    }
    assert_eq!(stage.asked().await, Outcome::Converged);
    let log = stage.api.log();
    let workload = format!("PATCH {WORKLOAD}");
    let steps = log.iter().filter(|line| **line == workload).count();
    assert_eq!(steps, 3, "one write for each pod: {log:#?}");
    for pod in stage.pgpool().status.unwrap().pods {
        assert!(pod.ready, "{pod:?}");
    }
}

#[tokio::test]
async fn the_status_tells_which_pod_serves_what_and_whom_the_next_waits_for() {
    let stage = renewed().await;
    let old = stage.pgpool().status.unwrap().pods[0].served_fingerprint.clone();
    stage.asked().await;
    stage.run_pods();
    let pod: Value = stage.api.get(&format!("{PODS}2")).unwrap();
    let mut starting = pod.clone();
    starting["status"]["conditions"][0]["status"] = "False".into();
    starting["metadata"]["creationTimestamp"] = clock::now().to_string().into();
    stage.api.put(&format!("{PODS}2"), starting);
    stage.asked().await;
    let (reason, message) = progress(&stage);
    assert_eq!(reason, "RollingOut");
    assert!(
        message.contains("0 of 3 pods serve the new certificate; waiting for pod pool-2"),
        "{message}"
    );
    assert_eq!(partition(&stage), 2, "the next pod waits");

    stage.api.put(&format!("{PODS}2"), pod);
    stage.asked().await;
    let (_, message) = progress(&stage);
    assert!(
        message.contains("1 of 3 pods serve the new certificate; pod pool-1"),
        "{message}"
    );
    let pods = stage.pgpool().status.unwrap().pods;
    let served: Vec<_> = pods.iter().map(|pod| pod.served_fingerprint == old).collect();
    assert_eq!(served, [true, true, false], "{pods:?}");
}

#[tokio::test]
async fn a_pod_that_serves_the_wrong_certificate_is_the_last_that_was_replaced() {
    let stage = renewed().await;
    stage.asked().await;
    let old = stage
        .prober
        .0
        .lock()
        .unwrap()
        .serve
        .values()
        .next()
        .copied()
        .unwrap();
    stage.run_pods();
    let uid = |ordinal: i32| {
        let pod: Value = stage.api.get(&format!("{PODS}{ordinal}")).unwrap();
        pod["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    stage.prober.0.lock().unwrap().serve.insert(uid(2), old);
    for _ in 0..3 {
        stage.asked().await;
        stage.run_pods();
    }
    assert_eq!((replaced(&stage), partition(&stage)), (vec![2], 2));
    // Pods of the test have been there for long: patience is over.
    let (status, reason, message) = stage.reason(ConditionType::Stalled).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "RolloutFailed"));
    assert!(
        message.contains("pod pool-2") && message.contains("instead of"),
        "{message}"
    );
    let events = stage.api.log();
    assert!(events.iter().any(|line| line.contains("/events")), "{events:?}");

    // The next change takes it away first.
    let certificates = stage.issue();
    stage.verify(&certificates, true);
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_eq!(replaced(&stage), [0, 1, 2]);
    assert_eq!(stage.reason(ConditionType::Stalled), None);
}

#[tokio::test]
async fn a_pod_that_refuses_logins_which_others_accept_is_the_last_that_was_replaced() {
    let stage = renewed().await;
    stage.asked().await;
    stage.run_pods();
    let pod: Value = stage.api.get(&format!("{PODS}2")).unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    stage.prober.0.lock().unwrap().refuse.insert(uid);
    for _ in 0..3 {
        stage.asked().await;
        stage.run_pods();
    }
    assert_eq!((replaced(&stage), partition(&stage)), (vec![2], 2));
}

#[tokio::test]
async fn what_no_pod_can_do_holds_nothing_up() {
    let stage = renewed().await;
    let uids: Vec<_> = stage.prober.0.lock().unwrap().serve.keys().cloned().collect();
    stage.prober.0.lock().unwrap().refuse.extend(uids);
    let fresh = Stage::on(stage.api.clone(), Duration::ZERO);
    *fresh.prober.0.lock().unwrap() = stage.prober.0.lock().unwrap().clone();
    for _ in 0..3 {
        fresh.asked().await;
        fresh.run_pods();
    }
    assert_eq!(replaced(&fresh), [0, 1, 2]);
}

/// Passes in one rollout: many, since each of them only yields to the checks of pods.
const MOST_PASSES: usize = 1000;

/// After each write a new process goes on.
#[tokio::test]
async fn killed_between_any_two_steps_the_next_goes_on_where_it_was() {
    let undisturbed = renewed().await;
    undisturbed.checked().await;
    let copies = |stage: &Stage| {
        let paths = stage.api.contents().into_keys();
        paths
            .filter(|path| path.contains("/secrets/pool-tls-"))
            .collect::<Vec<_>>()
    };
    for budget in 0..12 {
        let first = renewed().await;
        let serve = |stage: &Stage| stage.prober.0.lock().unwrap().clone();
        first.api.budget(Some(budget));
        let mut seen = vec![replaced(&first)];
        for round in 0.. {
            assert!(round < MOST_PASSES, "pods are still being replaced");
            let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(5), first.try_once()).await else {
                break;
            };
            first.run_pods();
            seen.push(replaced(&first));
            let key = ObjectRef::from_obj(&first.pgpool());
            let known = first.context.health.results(&key);
            let pods = observe::pool_pods(&first.pgpool(), &first.context).own;
            if pods.iter().all(|pod| known.contains_key(&pod.uid)) && !cluster::is_behind(&first) {
                break;
            }
            tokio::task::yield_now().await;
        }
        first.api.budget(None);
        let second = Stage::on(first.api.clone(), Duration::ZERO);
        *second.prober.0.lock().unwrap() = serve(&first);
        assert_eq!(
            second.checked().await,
            Outcome::Converged,
            "after {budget} writes"
        );
        assert_eq!(replaced(&second), [0, 1, 2], "after {budget} writes");
        assert_eq!(
            (partition(&second), copies(&second).len()),
            (0, 1),
            "after {budget} writes"
        );
    }
}

/// A window that is closed for at least an hour.
fn closed_window() -> String {
    let hour = clock::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    format!("daily {:02}:00-{:02}:00", (hour + 2) % 24, (hour + 3) % 24)
}

fn set_window(stage: &Stage, window: &str) {
    let mut pgpool: Value = stage.api.get(POOL).unwrap();
    pgpool["metadata"]["annotations"][names::ANNOTATION_MAINTENANCE_WINDOW] = window.into();
    stage.api.put(POOL, pgpool);
}

fn held(stage: &Stage) -> Option<(String, String)> {
    let (status, reason, _) = stage.reason(ConditionType::RotationHeld)?;
    Some((status, reason))
}

#[tokio::test]
async fn a_certificate_waits_for_the_window_and_what_is_asked_for_does_not() {
    let stage = renewed().await;
    set_window(&stage, &closed_window());
    let before = stage.copy().unwrap().name_any();
    let outcome = stage.asked().await;
    assert!(matches!(outcome, Outcome::ConvergedUntil(_)), "{outcome:?}");
    let waits = ("True".to_owned(), "WaitingForWindow".to_owned());
    assert_eq!(held(&stage), Some(waits.clone()));
    let status = stage.pgpool().status.unwrap();
    assert!(is_true(&status.conditions, ConditionType::Ready));
    assert_eq!(stage.copy().unwrap().name_any(), before);
    stage.api.log();
    stage.asked().await;
    assert_eq!(stage.api.log(), [""; 0], "it waits without a word");

    // Pods that are replaced for another cause keep what runs.
    let mut pgpool = stage.pgpool();
    let template = json!({ "spec": { "terminationGracePeriodSeconds": 60 } });
    pgpool.spec.pod_template = Some(serde_json::from_value(template).unwrap());
    stage.api.put(POOL, serde_json::to_value(&pgpool).unwrap());
    stage.checked().await;
    assert_eq!(stage.copy().unwrap().name_any(), before);
    assert_eq!((replaced(&stage), held(&stage)), (vec![0, 1, 2], Some(waits)));

    set_window(&stage, "none");
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_ne!(stage.copy().unwrap().name_any(), before);
    assert_eq!((replaced(&stage), held(&stage)), (vec![0, 1, 2], None));
}

#[tokio::test]
async fn a_certificate_waits_for_its_turn_and_is_told_when_that_comes() {
    let mut stage = renewed().await;
    let limiter = ClusterRotationLimiter::new(Limits {
        at_once: 1,
        per_minute: 0,
    });
    Arc::make_mut(&mut stage.context).rotation_limiter = limiter.clone();
    let mut freed = limiter.changes();
    let other = ObjectRef::new("other").within("demo");
    limiter.update(&other, Some(clock::now()), false);
    let before = stage.copy().unwrap().name_any();
    stage.asked().await;
    assert_eq!(held(&stage).unwrap().1, "WaitingForRotationLimit");
    assert_eq!(stage.copy().unwrap().name_any(), before);
    limiter.update(&other, None, false);
    let next = tokio::time::timeout(Duration::from_secs(5), freed.next()).await;
    assert_eq!(next.unwrap(), Some(ObjectRef::from_obj(&stage.pgpool())));
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_eq!((replaced(&stage), held(&stage)), (vec![0, 1, 2], None));
    // Its slot is free again.
    let request = crate::rotation_limiter::Request {
        expires: clock::now(),
        pods: 1,
        urgent: false,
    };
    assert_eq!(
        limiter.admit(&other, request, clock::now()),
        crate::rotation_limiter::Admission::Granted
    );
}
