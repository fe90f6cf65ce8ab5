//! The condition about the objects through which Prometheus finds the metrics.

use super::*;
use shared_types::explanation::Blocked;

#[test]
fn what_prometheus_is_told_is_told() {
    let foreign = || ApplyError::NameConflict {
        kind: "ServiceMonitor".to_owned(),
        name: "demo/pool-stats".to_owned(),
        owner: "somebody else".to_owned(),
    };
    let late = || ApplyError::Timeout {
        kind: "ServiceMonitor".to_owned(),
        name: "demo/pool-stats".to_owned(),
    };
    let there = || Lookup::Present(());
    let (operator, builtin) = (Some("prometheus.io/operator"), Some("prometheus.io/builtin"));
    let rows = [
        (None, there(), None, None),
        (builtin, Lookup::Pending, None, Some(("True", "MetricsExposed"))),
        (operator, Lookup::Pending, None, None),
        (
            operator,
            Lookup::Absent,
            None,
            Some(("False", "PrometheusOperatorAbsent")),
        ),
        (
            operator,
            Lookup::Forbidden,
            None,
            Some(("False", "WriteForbidden")),
        ),
        (operator, there(), None, Some(("True", "MetricsExposed"))),
        (
            operator,
            there(),
            Some(foreign()),
            Some(("False", "NameConflict")),
        ),
        (operator, there(), Some(late()), None),
    ];
    for (agent, kind, failure, expected) in rows {
        let mut world = World::new();
        let row = format!("{agent:?} {kind:?} {failure:?}");
        world.pgpool.spec.monitor = agent.map(|agent| parse(&format!("agent: {agent}")));
        world.observed.live.service_monitors = kind;
        world.applied.monitoring_failure = failure;
        let status = world.status();
        let condition = find(&status.conditions, ConditionType::Monitored);
        let condition = condition.map(|it| (it.status.as_str(), it.reason.as_str()));
        assert_eq!(condition, expected, "{row}");
        assert!(is_true(&status.conditions, ConditionType::Ready), "{row}");
    }
    // Of a pool that is stopped nothing new is known.
    let mut world = World::new();
    world.pgpool.spec.monitor = Some(parse("agent: prometheus.io/builtin"));
    let before = world.status();
    world.stop(Blocked::stuck(Reason::ConfigurationInvalid, "no"));
    world.before(before);
    assert!(is_true(&world.status().conditions, ConditionType::Monitored));
}
