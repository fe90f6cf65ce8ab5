//! What is left to do, and what it waits for.

use super::*;
use shared_types::explanation::Blocked;

#[test]
fn a_new_pgpool_before_there_are_pods() {
    let why = "Secret demo/pool-server-cert (server certificate) is not there yet";
    let mut world = World::new();
    world.certificates(CertificateState::Held {
        message: why.to_owned(),
        retry_after: None,
    });
    world.observed = Observed::default();
    world.applied.stateful_set = None;
    let Report { status, outcome } = world.report();
    let status = status.unwrap();
    assert_eq!(
        shown(&status),
        [
            "ProvisioningStarted=True/DatabaseProvisioningStartedSuccessfully",
            "ReplicaReady=False/SomeReplicasNotReady",
            "AcceptingConnection=Unknown/DatabaseNotAcceptingConnectionRequest",
            "Ready=False/ReadinessCheckFailed",
            "Reconciling=True/WaitingForCertificates",
        ]
    );
    assert_eq!(status.phase, Some(Phase::Provisioning));
    assert!(message(&status, ConditionType::Reconciling).contains(why));
    assert_eq!(
        outcome,
        Outcome::Waiting {
            reason: "WaitingForCertificates",
            after: None
        }
    );
}

#[test]
fn work_and_what_it_waits_for() {
    let held = |retry_after| {
        let mut world = World::new();
        world.certificates(CertificateState::Held {
            message: "why".to_owned(),
            retry_after,
        });
        world
    };
    let stopped = |blocked| {
        let mut world = World::new();
        world.stop(blocked);
        world
    };
    let waits = |reason, after| Outcome::Waiting { reason, after };
    let second = Some(Duration::from_secs(1));
    let missing = Blocked::waiting(Reason::AppBindingNotFound, "create it");
    let rejected = Blocked::stuck(Reason::NotSupported, "leave it out");
    let foreign = World::progress(Progress::Conflict {
        message: "Service demo/pool exists".to_owned(),
    });
    let retry = Some(Duration::from_secs(15));
    let certificates = "WaitingForCertificates";
    let rows = vec![
        (held(None), certificates, false, waits(certificates, None)),
        (held(second), certificates, false, waits(certificates, second)),
        (World::new(), "Converged", false, Outcome::Converged),
        (
            stopped(missing),
            "AppBindingNotFound",
            false,
            waits("AppBindingNotFound", None),
        ),
        (
            stopped(rejected),
            "NotSupported",
            true,
            Outcome::Rejected {
                reason: "NotSupported",
            },
        ),
        (foreign, "NameConflict", true, waits("NameConflict", retry)),
    ];
    for (world, reason, stalled, outcome) in rows {
        let report = world.report();
        let status = report.status.unwrap();
        let said = |ty| find(&status.conditions, ty).map(|it| format!("{}/{}", it.status, it.reason));
        let going = !stalled && outcome != Outcome::Converged;
        let going = if going { "True" } else { "False" };
        assert_eq!(
            said(ConditionType::Reconciling),
            Some(format!("{going}/{reason}"))
        );
        assert_eq!(
            said(ConditionType::Stalled),
            stalled.then(|| format!("True/{reason}"))
        );
        assert_eq!(report.outcome, outcome, "{reason}");
        // Whatever stands in the way, the pods that run are still what they are.
        assert!(is_true(&status.conditions, ConditionType::Ready), "{reason}");
        assert_eq!(status.phase, Some(Phase::Ready), "{reason}");
    }
}

#[test]
fn a_filling_cache_or_a_busy_api_server_says_nothing() {
    let timeout = ApplyError::Timeout {
        kind: "Service".to_owned(),
        name: "demo/pool".to_owned(),
    };
    let mut reading = World::new();
    reading.stop(Blocked::Unknown);
    assert_eq!(reading.report().status, None);
    assert_eq!(World::progress(Progress::Failed(timeout)).report().status, None);
}

#[test]
fn a_refused_write_tells_whose_turn_it_is() {
    let refused = |code| ApplyError::Api {
        kind: "StatefulSet".to_owned(),
        name: "demo/pool".to_owned(),
        source: Box::new(kube::Error::Api(
            kube::core::Status::failure("exceeded quota: small", "Reason")
                .with_code(code)
                .boxed(),
        )),
    };
    let rows = [(403, "WriteForbidden"), (422, "ConfigurationInvalid")];
    for (code, reason) in rows {
        let status = World::progress(Progress::Failed(refused(code))).status();
        let stalled = find(&status.conditions, ConditionType::Stalled).unwrap();
        assert_eq!(stalled.reason, reason);
        assert!(stalled.message.contains("exceeded quota"), "{}", stalled.message);
    }
}

#[test]
fn rollouts_and_starts() {
    let reconciling = |world: &World| {
        let status = world.status();
        let condition = find(&status.conditions, ConditionType::Reconciling).unwrap();
        (condition.reason.clone(), condition.message.clone())
    };
    let mut world = World::new();
    world.observed.pods[0].revision = Some("a".to_owned());
    let (reason, text) = reconciling(&world);
    assert_eq!(reason, "RollingOut");
    assert!(text.starts_with("2 of 3 pods"), "{text}");
    assert_eq!(
        world.status().phase,
        Some(Phase::Ready),
        "a rollout with all pods ready is no outage"
    );

    let mut world = World::new();
    world.unready(2);
    world.observed.pods[2].trouble = Some("container pgpool (i) is in ImagePullBackOff".to_owned());
    let (reason, text) = reconciling(&world);
    assert_eq!(reason, "WaitingForPods");
    assert!(
        text.contains("pool-2") && text.contains("ImagePullBackOff"),
        "{text}"
    );
    let replicas = message(&world.status(), ConditionType::ReplicaReady);
    assert_eq!(
        replicas,
        "2 of 3 pods are ready; pod demo/pool-2: container pgpool (i) is in ImagePullBackOff"
    );

    let mut world = World::new();
    world.applied.stateful_set.as_mut().unwrap().metadata.generation = Some(3);
    assert_eq!(
        reconciling(&world).0,
        "WaitingForPods",
        "the change is not noticed yet"
    );

    let mut world = World::new();
    world.certificates(CertificateState::Verified(Verifier::Provisioner));
    let (reason, text) = reconciling(&world);
    assert_eq!(reason, "Converged");
    assert!(text.contains("verified the certificates itself"), "{text}");
    world.certificates(CertificateState::Verified(Verifier::Status));
    assert_eq!(
        reconciling(&world).1,
        reconciling(&World::new()).1,
        "heard or read is the same"
    );
}

#[test]
fn ready_is_about_the_spec_that_is_in_effect() {
    type Change = fn(&mut World);
    let rolling = |world: &mut World| world.observed.pods[0].revision = Some("a".to_owned());
    let unnoticed = |world: &mut World| {
        world.applied.stateful_set.as_mut().unwrap().metadata.generation = Some(3);
    };
    let rejected = |world: &mut World| {
        world.stop(Blocked::stuck(Reason::NotSupported, "leave it out"));
    };
    let refusing = |world: &mut World| world.refuse(0, "no");
    let telling = |world: &mut World| world.applied.synced = true;
    let rows: [(&str, Change, &str, i64); 6] = [
        ("a pod is notified", telling, "True", 3),
        ("nothing to do", |_| {}, "True", 4),
        ("old pods are left", rolling, "True", 3),
        ("the workload is just written", unnoticed, "True", 3),
        ("the spec is refused", rejected, "True", 3),
        ("in effect, but broken", refusing, "False", 4),
    ];
    for (what, change, status, generation) in rows {
        let mut world = World::new();
        let mut before = world.status();
        for condition in &mut before.conditions {
            condition.observed_generation = Some(3);
        }
        world.before(before);
        change(&mut world);
        let shown = world.status();
        let ready = find(&shown.conditions, ConditionType::Ready).unwrap();
        let expected = (status, Some(generation));
        assert_eq!(
            (ready.status.as_str(), ready.observed_generation),
            expected,
            "{what}"
        );
        let work = find(&shown.conditions, ConditionType::Reconciling).unwrap();
        assert_eq!(work.observed_generation, Some(4), "{what}");
    }
}

#[test]
fn only_the_wording_differs() {
    let healthy = World::new().status();
    let mut reworded = healthy.clone();
    reworded.conditions[5].message = "other words".to_owned();
    assert!(differ_in_messages_only(&healthy, &reworded));
    let mut otherwise = healthy.clone();
    otherwise.conditions[5].reason = "RollingOut".to_owned();
    assert!(!differ_in_messages_only(&healthy, &otherwise));
    let mut phase = healthy.clone();
    phase.phase = Some(Phase::Critical);
    assert!(!differ_in_messages_only(&healthy, &phase));
}

#[test]
fn pods_that_were_told_have_time_to_read() {
    let mut world = World::new();
    let second = Duration::from_secs(1);
    world.observed.pods[1].synced_at = Some(now() - second);
    let Report { status, outcome } = world.report();
    let work = find(&status.unwrap().conditions, ConditionType::Reconciling)
        .unwrap()
        .clone();
    assert_eq!(
        (work.status.as_str(), work.reason.as_str()),
        ("True", "ReloadingConfiguration")
    );
    let after = Some(4 * second);
    assert_eq!(
        outcome,
        Outcome::Waiting {
            reason: "ReloadingConfiguration",
            after
        }
    );
    // What is said meanwhile does not change with the time.
    world.observed.pods[1].synced_at = Some(now() - 3 * second);
    let later = world.status();
    assert_eq!(find(&later.conditions, ConditionType::Reconciling), Some(&work));
    world.observed.pods[1].synced_at = Some(now() - 5 * second);
    assert_eq!(world.report().outcome, Outcome::Converged);
}
