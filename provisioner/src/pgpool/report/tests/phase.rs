//! The one word for all conditions.

use super::*;

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
        assert_eq!(
            shown(&status),
            HEALTHY,
            "the conditions of others are not written"
        );
    }
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

/// A condition and what it has to be: absent, or of a status.
type Term = (&'static str, Option<&'static str>);

/// The table of phases as users know it. The first row holds of which every term does.
const TABLE: &[(&[Term], Option<Phase>)] = &[
    (&[("HealthCheckPaused", Some("True"))], Some(Phase::Unknown)),
    (&[("Halted", Some("True"))], Some(Phase::Halted)),
    (&[("DataRestored", Some("False"))], Some(Phase::NotReady)),
    (
        &[("DataRestoreStarted", Some("True")), ("DataRestored", None)],
        Some(Phase::DataRestoring),
    ),
    (
        &[
            ("Provisioned", Some("True")),
            ("AcceptingConnection", Some("False")),
        ],
        Some(Phase::NotReady),
    ),
    (
        &[("Provisioned", Some("True")), ("ReplicaReady", Some("False"))],
        Some(Phase::Critical),
    ),
    (
        &[("Provisioned", Some("True")), ("Ready", Some("False"))],
        Some(Phase::Critical),
    ),
    (
        &[("Provisioned", Some("True")), ("Ready", Some("True"))],
        Some(Phase::Ready),
    ),
    (
        &[("ProvisioningStarted", Some("True"))],
        Some(Phase::Provisioning),
    ),
    (&[], None),
];

/// Every combination of every condition that the table names, and some that it does not.
#[test]
fn the_table_of_phases_holds_for_all_combinations() {
    const NAMES: [&str; 9] = [
        "HealthCheckPaused",
        "Halted",
        "DataRestored",
        "DataRestoreStarted",
        "Provisioned",
        "AcceptingConnection",
        "ReplicaReady",
        "Ready",
        "ProvisioningStarted",
    ];
    const STATES: [Option<&str>; 4] = [None, Some("True"), Some("False"), Some("Unknown")];
    let condition = |name: &str, status: &str| Condition {
        type_: name.to_owned(),
        status: status.to_owned(),
        reason: String::new(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()),
    };
    // These two never matter.
    let others = [condition("Paused", "True"), condition("Stalled", "True")];
    for number in 0..STATES.len().pow(u32::try_from(NAMES.len()).unwrap()) {
        let mut rest = number;
        let mut state = std::collections::BTreeMap::new();
        for name in NAMES {
            state.insert(name, STATES[rest % STATES.len()]);
            rest /= STATES.len();
        }
        let holds = |terms: &[Term]| terms.iter().all(|(name, status)| state[name] == *status);
        let (_, expected) = TABLE.iter().find(|(terms, _)| holds(terms)).unwrap();
        let there = state
            .iter()
            .filter_map(|(name, status)| Some(condition(name, (*status)?)));
        let all: Vec<_> = there.chain(others.clone()).collect();
        let is_ours = |it: &&Condition| OURS.iter().any(|ty| ty.as_str() == it.type_);
        let ours: Vec<_> = all.iter().filter(is_ours).cloned().collect();
        let phase = crate::pgpool::report::phase::phase(&ours, &all);
        assert_eq!(phase, *expected, "{state:?}");
    }
}
