//! What pods, logins and served certificates add up to.

use super::*;
use shared_types::explanation::Blocked;

#[test]
fn all_is_well() {
    let world = World::new();
    let Report { status, outcome } = world.report();
    let status = status.unwrap();
    assert_eq!(shown(&status), HEALTHY);
    assert_eq!(status.phase, Some(Phase::Ready));
    assert_eq!(status.observed_generation, Some(4));
    assert!(
        status
            .conditions
            .iter()
            .all(|it| it.observed_generation == Some(4))
    );
    assert_eq!(outcome, Outcome::Converged);
    let pod = &status.pods[1];
    assert_eq!(
        (pod.name.as_str(), pod.ready, pod.message.as_deref()),
        ("pool-1", true, None)
    );
    assert_eq!(pod.served_fingerprint.as_ref().unwrap().len(), 64);
    assert!(pod.served_not_after.is_some());
}

#[test]
fn the_second_report_equals_the_first() {
    let mut world = World::new();
    let first = world.status();
    world.before(first.clone());
    let later = "2027-03-01T00:00:00Z".parse().unwrap();
    let second = world.report_at(later).status.unwrap();
    assert_eq!(second, first);
    assert_eq!(ours(&first), first);
}

#[test]
fn a_pod_that_is_being_asked_decides_soon() {
    let mut world = World::new();
    world.observed.pod_health.remove("u1");
    let report = world.report();
    assert_eq!(report.status, None);

    // Nobody is asked before a login is known.
    world.applied.probing = false;
    assert!(world.report().status.is_some());
    world.applied.probing = true;

    // Without a login nobody is asked, so what was seen last stands.
    world.stop(Blocked::waiting(Reason::BackendSecretNotFound, "create it"));
    let before = World::new().status();
    world.before(before.clone());
    let status = world.status();
    assert!(is_true(&status.conditions, ConditionType::Ready));
    assert!(is_true(&status.conditions, ConditionType::AcceptingConnection));
    assert_eq!(status.pods[1], before.pods[1]);
    assert_eq!(status.phase, Some(Phase::Ready));
}

#[test]
fn logins_and_leaves() {
    // One pod of three refuses.
    let mut world = World::new();
    world.refuse(1, "the login was rejected");
    let status = world.status();
    assert!(is_true(&status.conditions, ConditionType::AcceptingConnection));
    assert!(is_false(&status.conditions, ConditionType::Ready));
    assert_eq!(
        message(&status, ConditionType::Ready),
        "Pod demo/pool-1: the login was rejected"
    );
    assert_eq!(status.pods[1].message.as_deref(), Some("the login was rejected"));
    assert!(!status.pods[1].ready && status.pods[0].ready);

    // All refuse, as when PostgreSQL is down.
    for pod in [0, 2] {
        world.refuse(pod, "PostgreSQL is down");
    }
    let status = world.status();
    assert!(is_false(&status.conditions, ConditionType::AcceptingConnection));
    assert_eq!(status.phase, Some(Phase::Provisioning), "never ready so far");
    assert_eq!(
        world.report().outcome,
        Outcome::Converged,
        "nothing that a write could repair"
    );

    // Another leaf, or none.
    for (served, part) in [(None, "serves no certificate"), (Some([9; 32]), "instead of")] {
        let mut world = World::new();
        world.standing(2).served = served.map(|bytes| ServedCertificate {
            fingerprint: Fingerprint::from_bytes(bytes),
            not_after: None,
        });
        let status = world.status();
        let ready = find(&status.conditions, ConditionType::Ready).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("False", "PodsNotServing")
        );
        assert!(
            ready.message.contains("demo/pool-2") && ready.message.contains(part),
            "{}",
            ready.message
        );
        assert!(!status.pods[2].ready);
    }
}

#[test]
fn a_pod_is_measured_by_the_copy_that_it_mounts() {
    let mut world = World::new();
    let old = Pki::new().server(&["pool.demo.svc".to_owned()]);
    world.observed.live.tls_copies.insert(
        "pool-tls-a".to_owned().into(),
        Arc::new(secret("pool-tls-a", &old)),
    );
    world.observed.pods[0].mounted_certificates = Some("pool-tls-a".to_owned().into());
    world.observed.pods[0].revision = Some("a".to_owned());
    world.standing(0).served = Some(leaf(&old));
    let status = world.status();
    assert!(is_true(&status.conditions, ConditionType::Ready));
    assert_eq!(
        status.pods[0].served_fingerprint,
        Some(old.fingerprint.to_string())
    );
}

#[test]
fn without_tls_nothing_need_be_served() {
    let mut world = World::new();
    world.certificates(CertificateState::NotNeeded);
    world.pgpool = plain_pgpool();
    world.observed.pods.truncate(1);
    world.observed.pods[0].mounted_certificates = None;
    world.standing(0).served = None;
    let status = world.status();
    assert_eq!(shown(&status), HEALTHY);
    assert_eq!(status.pods.len(), 1);
    assert_eq!(status.pods[0].served_fingerprint, None);
}

#[test]
fn messages_name_no_secret_content() {
    let mut world = World::new();
    world.refuse(0, "the login was rejected");
    let text = serde_json::to_string(&world.status()).unwrap();
    assert!(!text.contains("PRIVATE KEY") && !text.contains("hunter2"));
}

#[test]
fn a_copy_that_is_gone_proves_nothing() {
    let mut world = World::new();
    world.observed.live.tls_copies.clear();
    let status = world.status();
    let ready = find(&status.conditions, ConditionType::Ready).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "PodsNotServing")
    );
    assert!(ready.message.contains("pool-tls-b"), "{}", ready.message);
}

#[test]
fn a_pod_of_which_nothing_is_known_is_not_reported() {
    let mut world = World::new();
    world.unready(1);
    world.unready(2);
    world.observed.pod_health.remove("u1");
    world.observed.pod_health.remove("u2");
    world.observed.pods[2].trouble = Some("it cannot be scheduled".to_owned());
    let status = world.status();
    let shown: Vec<_> = status
        .pods
        .iter()
        .map(|pod| (pod.name.as_str(), pod.ready))
        .collect();
    assert_eq!(shown, [("pool-0", true), ("pool-2", false)]);
}

#[test]
fn what_a_failure_is_about_is_a_reason_of_its_own() {
    let rows = [
        (Some(Reason::BackendRejectsPool), "Ready=False/BackendRejectsPool"),
        (
            Some(Reason::PasswordRequestRefused),
            "Ready=False/PasswordRequestRefused",
        ),
        (None, "Ready=False/ReadinessCheckFailed"),
    ];
    for (reason, expected) in rows {
        let mut world = World::new();
        world.standing(0).login = Login::Refused {
            fault: "some".into(),
            reason,
            message: "no".to_owned(),
        };
        let shown = shown(&world.status());
        assert!(
            shown.iter().any(|shown| shown == expected),
            "{expected}: {shown:?}"
        );
    }
}

#[test]
fn a_pod_of_someone_else_is_named_with_what_controls_it() {
    let mut world = World::new();
    world.observed.pods.remove(2);
    let foreign = |controller: Option<&str>| ForeignPod {
        name: "pool-2".to_owned(),
        controller: controller.map(str::to_owned),
        mounted_certificates: None,
    };
    world.observed.foreign_pods = vec![foreign(Some("nothing"))];
    let status = world.status();
    let replicas = find(&status.conditions, ConditionType::ReplicaReady).unwrap();
    assert_eq!(replicas.reason, "PodNotControlled");
    for part in ["Pod demo/pool-2 is controlled by nothing", "delete it"] {
        assert!(replicas.message.contains(part), "{}", replicas.message);
    }
    // Nothing is known against it yet.
    world.observed.foreign_pods = vec![foreign(None)];
    let status = world.status();
    let replicas = find(&status.conditions, ConditionType::ReplicaReady).unwrap();
    assert_eq!(replicas.reason, "SomeReplicasNotReady");
}
