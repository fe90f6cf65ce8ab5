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
        assert_eq!(told(&status), HEALTHY, "the conditions of others are not written");
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
