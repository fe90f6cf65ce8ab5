use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use operator_runtime::apply::ApplyError;
use shared_types::Phase;
use shared_types::conditions::is_false;
use tls_bundle::Fingerprint;

use super::*;
use crate::health::{Login, Served, Standing};
use crate::pgpool::apply::Progress;
use crate::pgpool::handoff::Judge;
use crate::pgpool::plan::Stand;
use crate::pgpool::pods::PodFacts;
use crate::pgpool::validate::Unmet;
use crate::testing::{Pair, Pki, now, parse, plain_pgpool, secret, tls_pgpool};

const PASSED: Stand = Stand::Passed(Judge::Channel);

/// A `Pgpool` whose three pods run, serve and accept logins.
struct World {
    pgpool: Pgpool,
    observed: Observed,
    applied: Done,
    asked: bool,
}

fn stateful_set() -> StatefulSet {
    parse(
        "
metadata: {name: pool, generation: 2}
spec: {selector: {}, serviceName: pool-pods, template: {spec: {containers: []}}}
status: {replicas: 3, observedGeneration: 2, currentRevision: b, updateRevision: b}
",
    )
}

fn leaf(pair: &Pair) -> Served {
    Served {
        fingerprint: pair.fingerprint,
        not_after: Some("2040-01-01T00:00:00Z".parse().unwrap()),
    }
}

impl World {
    fn new() -> Self {
        let pair = Pki::new().server(&["pool.demo.svc".to_owned()]);
        let mut observed = Observed::default();
        observed
            .live
            .tls_copies
            .insert("pool-tls-b".to_owned(), Arc::new(secret("pool-tls-b", &pair)));
        for ordinal in 0..3 {
            let uid = format!("u{ordinal}");
            observed.pods.push(PodFacts {
                name: format!("pool-{ordinal}"),
                ordinal,
                uid: uid.clone(),
                ip: Some([10, 0, 0, 1].into()),
                ready: true,
                revision: Some("b".to_owned()),
                certificates: Some("pool-tls-b".to_owned()),
                trouble: None,
            });
            let standing = Standing {
                served: Some(leaf(&pair)),
                login: Login::Accepted,
                failures: 0,
            };
            observed.standings.insert(uid, standing);
        }
        let progress = Progress::Written(PASSED);
        let applied = Done {
            progress,
            stateful_set: Some(stateful_set()),
        };
        Self {
            pgpool: tls_pgpool(),
            observed,
            applied,
            asked: true,
        }
    }

    fn progress(progress: Progress) -> Self {
        let mut world = Self::new();
        world.applied.progress = progress;
        world
    }

    fn refuse(&mut self, pod: usize, message: &str) {
        let login = Login::Refused {
            fault: "broken".into(),
            message: message.to_owned(),
        };
        self.standing(pod).login = login;
    }

    fn standing(&mut self, pod: usize) -> &mut Standing {
        self.observed.standings.get_mut(&format!("u{pod}")).unwrap()
    }

    fn unready(&mut self, pod: usize) {
        self.observed.pods[pod].ready = false;
    }

    /// What was told before.
    fn before(&mut self, status: PgpoolStatus) {
        self.pgpool.status = Some(status);
    }

    fn report(&self) -> Report {
        report(&self.pgpool, &self.observed, &self.applied, self.asked, now())
    }

    fn status(&self) -> PgpoolStatus {
        self.report().status.unwrap()
    }
}

/// `Type=Status/Reason` of each condition.
fn told(status: &PgpoolStatus) -> Vec<String> {
    let told = |it: &Condition| format!("{}={}/{}", it.type_, it.status, it.reason);
    status.conditions.iter().map(told).collect()
}

fn message(status: &PgpoolStatus, ty: ConditionType) -> String {
    find(&status.conditions, ty)
        .map(|it| it.message.clone())
        .unwrap_or_default()
}

const HEALTHY: [&str; 6] = [
    "ProvisioningStarted=True/DatabaseProvisioningStartedSuccessfully",
    "ReplicaReady=True/AllReplicasReady",
    "AcceptingConnection=True/DatabaseAcceptingConnectionRequest",
    "Ready=True/ReadinessCheckSucceeded",
    "Provisioned=True/DatabaseSuccessfullyProvisioned",
    "Reconciling=False/Converged",
];

#[test]
fn all_is_well() {
    let world = World::new();
    let Report { status, outcome } = world.report();
    let status = status.unwrap();
    assert_eq!(told(&status), HEALTHY);
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
    let second = report(&world.pgpool, &world.observed, &world.applied, true, later)
        .status
        .unwrap();
    assert_eq!(second, first);
    assert_eq!(ours(&first), first);
}

#[test]
fn a_new_pgpool_before_there_are_pods() {
    let why = "Secret demo/pool-server-cert (server certificate) is not there yet";
    let mut world = World::progress(Progress::Written(Stand::Held {
        why: why.to_owned(),
        after: None,
    }));
    world.observed = Observed::default();
    world.applied.stateful_set = None;
    let Report { status, outcome } = world.report();
    let status = status.unwrap();
    assert_eq!(
        told(&status),
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
    let held = |after| {
        Progress::Written(Stand::Held {
            why: "why".to_owned(),
            after,
        })
    };
    let waits = |reason, after| Outcome::Waiting { reason, after };
    let second = Some(Duration::from_secs(1));
    let missing = Unmet::waiting(Reason::AppBindingNotFound, "create it");
    let rejected = Unmet::rejected(Reason::NotSupported, "leave it out");
    let foreign = Progress::Refused {
        message: "Service demo/pool exists".to_owned(),
    };
    let retry = Some(Duration::from_secs(15));
    let certificates = "WaitingForCertificates";
    let rows = [
        (held(None), certificates, false, waits(certificates, None)),
        (held(second), certificates, false, waits(certificates, second)),
        (Progress::Written(PASSED), "Converged", false, Outcome::Converged),
        (
            Progress::Stopped(missing),
            "AppBindingNotFound",
            false,
            waits("AppBindingNotFound", None),
        ),
        (
            Progress::Stopped(rejected),
            "NotSupported",
            true,
            Outcome::Rejected {
                reason: "NotSupported",
            },
        ),
        (foreign, "NameConflict", true, waits("NameConflict", retry)),
    ];
    for (progress, reason, stalled, outcome) in rows {
        let report = World::progress(progress).report();
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
    for progress in [
        Progress::Stopped(Unmet::Reading {
            what: "it".to_owned(),
        }),
        Progress::Failed(timeout),
    ] {
        assert_eq!(World::progress(progress).report().status, None);
    }
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
fn a_pod_that_is_being_asked_decides_soon() {
    let mut world = World::new();
    world.observed.standings.remove("u1");
    let report = world.report();
    assert_eq!(report.status, None);

    // Nobody is asked before a login is known.
    world.asked = false;
    assert!(world.report().status.is_some());
    world.asked = true;

    // Without a login nobody is asked, so what was seen last stands.
    world.applied.progress = Progress::Stopped(Unmet::waiting(Reason::BackendSecretNotFound, "create it"));
    let before = World::new().status();
    world.before(before.clone());
    let status = world.status();
    assert!(is_true(&status.conditions, ConditionType::Ready));
    assert!(is_true(&status.conditions, ConditionType::AcceptingConnection));
    assert_eq!(status.pods[1], before.pods[1]);
    assert_eq!(status.phase, Some(Phase::Ready));
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

    let mut world = World::progress(Progress::Written(Stand::Passed(Judge::Myself)));
    let (reason, text) = reconciling(&world);
    assert_eq!(reason, "Converged");
    assert!(text.contains("judged the certificates itself"), "{text}");
    world.applied.progress = Progress::Written(Stand::Passed(Judge::Status));
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
        world.applied.progress = Progress::Stopped(Unmet::rejected(Reason::NotSupported, "leave it out"));
    };
    let refusing = |world: &mut World| world.refuse(0, "no");
    let rows: [(&str, Change, &str, i64); 5] = [
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
        let told = world.status();
        let ready = find(&told.conditions, ConditionType::Ready).unwrap();
        let expected = (status, Some(generation));
        assert_eq!(
            (ready.status.as_str(), ready.observed_generation),
            expected,
            "{what}"
        );
        let work = find(&told.conditions, ConditionType::Reconciling).unwrap();
        assert_eq!(work.observed_generation, Some(4), "{what}");
    }
}

#[test]
fn logins_and_leaves() {
    // One pod of three refuses.
    let mut world = World::new();
    world.refuse(1, "the login is turned down");
    let status = world.status();
    assert!(is_true(&status.conditions, ConditionType::AcceptingConnection));
    assert!(is_false(&status.conditions, ConditionType::Ready));
    assert_eq!(
        message(&status, ConditionType::Ready),
        "Pod demo/pool-1: the login is turned down"
    );
    assert_eq!(
        status.pods[1].message.as_deref(),
        Some("the login is turned down")
    );
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
        "nothing that writing could mend"
    );

    // Another leaf, or none.
    for (served, part) in [(None, "serves no certificate"), (Some([9; 32]), "instead of")] {
        let mut world = World::new();
        world.standing(2).served = served.map(|bytes| Served {
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
    world
        .observed
        .live
        .tls_copies
        .insert("pool-tls-a".to_owned(), Arc::new(secret("pool-tls-a", &old)));
    world.observed.pods[0].certificates = Some("pool-tls-a".to_owned());
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
    let mut world = World::progress(Progress::Written(Stand::NotNeeded));
    world.pgpool = plain_pgpool();
    world.observed.pods.truncate(1);
    world.observed.pods[0].certificates = None;
    world.standing(0).served = None;
    let status = world.status();
    assert_eq!(told(&status), HEALTHY);
    assert_eq!(status.pods.len(), 1);
    assert_eq!(status.pods[0].served_fingerprint, None);
}

#[test]
fn provisioned_stays_and_tells_trouble_from_a_slow_start() {
    let healthy = World::new().status();
    let phase = |spoil: fn(&mut World)| {
        let mut world = World::new();
        world.before(healthy.clone());
        spoil(&mut world);
        let status = world.status();
        assert!(is_true(&status.conditions, ConditionType::Provisioned));
        status.phase.unwrap()
    };
    assert_eq!(phase(|_| {}), Phase::Ready);
    assert_eq!(phase(|world| world.unready(0)), Phase::Critical);
    assert_eq!(phase(|world| world.refuse(0, "no")), Phase::Critical);
    assert_eq!(
        phase(|world| (0..3).for_each(|pod| world.refuse(pod, "no"))),
        Phase::NotReady
    );
    assert_eq!(phase(|world| world.standing(0).served = None), Phase::Critical);
}

#[test]
fn phases_by_the_conditions_of_others() {
    let condition = |name: &str, status: &str| -> Condition {
        parse(&format!(
            "{{type: {name}, status: '{status}', reason: R, message: m, lastTransitionTime: '2027-01-01T00:00:00Z'}}"
        ))
    };
    let rows = [
        (
            vec![("HealthCheckPaused", "True"), ("Halted", "True")],
            Phase::Unknown,
        ),
        (vec![("Halted", "True"), ("DataRestored", "False")], Phase::Halted),
        (
            vec![("DataRestored", "False"), ("DataRestoreStarted", "True")],
            Phase::NotReady,
        ),
        (vec![("DataRestoreStarted", "True")], Phase::DataRestoring),
        (
            vec![("DataRestoreStarted", "True"), ("DataRestored", "True")],
            Phase::Ready,
        ),
        (
            vec![("Paused", "True"), ("CertificatesReady", "False")],
            Phase::Ready,
        ),
    ];
    for (foreign, expected) in rows {
        let mut world = World::new();
        let conditions = foreign
            .iter()
            .map(|(name, status)| condition(name, status))
            .collect();
        world.before(PgpoolStatus {
            conditions,
            ..PgpoolStatus::default()
        });
        let status = world.status();
        assert_eq!(status.phase, Some(expected), "{foreign:?}");
        assert_eq!(told(&status), HEALTHY, "the conditions of others are not written");
    }
}

#[test]
fn only_the_wording_differs() {
    let healthy = World::new().status();
    let mut reworded = healthy.clone();
    reworded.conditions[5].message = "other words".to_owned();
    assert!(differ_in_words_only(&healthy, &reworded));
    let mut otherwise = healthy.clone();
    otherwise.conditions[5].reason = "RollingOut".to_owned();
    assert!(!differ_in_words_only(&healthy, &otherwise));
    let mut phase = healthy.clone();
    phase.phase = Some(Phase::Critical);
    assert!(!differ_in_words_only(&healthy, &phase));
}

#[test]
fn messages_name_no_secret_content() {
    let mut world = World::new();
    world.refuse(0, "the login of \"postgres\" is turned down");
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
fn a_pod_of_which_nothing_is_known_is_not_told() {
    let mut world = World::new();
    world.unready(1);
    world.unready(2);
    world.observed.standings.remove("u1");
    world.observed.standings.remove("u2");
    world.observed.pods[2].trouble = Some("it cannot be scheduled".to_owned());
    let status = world.status();
    let told: Vec<_> = status
        .pods
        .iter()
        .map(|pod| (pod.name.as_str(), pod.ready))
        .collect();
    assert_eq!(told, [("pool-0", true), ("pool-2", false)]);
}

/// Clients get in, so the pool accepts connections; it is not what it should be all the same.
#[test]
fn a_pool_that_only_reads_is_critical() {
    let mut world = World::new();
    let before = world.status();
    world.before(before);
    let message = "PostgreSQL takes no writes".to_owned();
    for pod in 0..3 {
        world.standing(pod).login = Login::ReadOnly {
            message: message.clone(),
        };
    }
    let status = world.status();
    assert_eq!(status.phase, Some(Phase::Critical));
    assert!(is_true(&status.conditions, ConditionType::AcceptingConnection));
    assert!(is_false(&status.conditions, ConditionType::Ready));
    let ready = find(&status.conditions, ConditionType::Ready).unwrap();
    assert!(ready.message.contains(&message), "{}", ready.message);
    assert_eq!(status.pods[0].message.as_ref(), Some(&message));
}
