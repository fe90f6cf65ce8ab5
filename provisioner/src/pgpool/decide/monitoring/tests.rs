//! Which objects of Prometheus are written, which go, and which are waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use shared_types::Pgpool;

use super::*;
use crate::fixtures::{inputs, parse, plain_pgpool};
use crate::pgpool::build::{self, Objects};
use crate::pgpool::decide::{Decision, fixtures};
use crate::pgpool::observe::reads_service_monitors;
use crate::pgpool::validate;
use crate::prometheus::ServiceMonitorSpec;

const OPERATOR: Option<&str> = Some("prometheus.io/operator");
const BUILTIN: Option<&str> = Some("prometheus.io/builtin");

fn pgpool(agent: Option<&str>) -> Pgpool {
    let mut pgpool = plain_pgpool();
    pgpool.spec.monitor = agent.map(|agent| parse(&format!("agent: {agent}")));
    pgpool
}

fn valid(agent: Option<&str>) -> Validated {
    let pgpool = pgpool(agent);
    validate::validate(&pgpool, &inputs(&pgpool)).unwrap()
}

fn built(validated: &Validated, monitoring: Monitoring<'_>) -> Objects {
    let decision = Decision {
        monitoring,
        ..fixtures::foundation_only()
    };
    build::build(&Ok(validated.clone()), &Ok(decision)).unwrap()
}

/// What a `Pgpool` has that was scraped by this agent until now.
fn live(agent: Option<&str>, kind: Lookup<()>) -> Live {
    let before = valid(agent);
    let objects = built(
        &before,
        Monitoring {
            stats_service: true,
            service_monitor: kind == Lookup::Present(()),
            ..Monitoring::default()
        },
    );
    Live {
        stats_service: objects.foundation.stats_service.map(Arc::new),
        exporter_secret: objects.foundation.exporter_secret.map(Arc::new),
        service_monitor: objects.service_monitor.map(Arc::new),
        service_monitors: kind,
        ..Live::default()
    }
}

/// What is written and what goes, in short: `+` for the one, `-` for the other.
fn decided(before: Option<&str>, now: Option<&str>, kind: Lookup<()>) -> String {
    let validated = valid(now);
    let live = live(before, kind);
    let scrape = monitoring(&validated, &live);
    let objects = built(&validated, scrape.clone());
    let all = [
        ("+monitor", objects.service_monitor.is_some()),
        ("+service", objects.foundation.stats_service.is_some()),
        ("+login", objects.foundation.exporter_secret.is_some()),
        ("-monitor", scrape.old_monitor.is_some()),
        ("-service", scrape.old_service.is_some()),
        ("-login", scrape.old_login.is_some()),
    ];
    let outcomes: Vec<_> = all
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(what, _)| what)
        .collect();
    outcomes.join(" ")
}

#[test]
fn the_table() {
    let there = || Lookup::Present(());
    let rows = [
        (None, None, Lookup::Pending, ""),
        (None, BUILTIN, Lookup::Pending, "+service +login"),
        (None, OPERATOR, Lookup::Pending, "+service +login"),
        (None, OPERATOR, Lookup::Absent, "+service +login"),
        (None, OPERATOR, Lookup::Forbidden, "+service +login"),
        (None, OPERATOR, there(), "+monitor +service +login"),
        (None, Some("prometheus.io"), there(), "+monitor +service +login"),
        (OPERATOR, OPERATOR, there(), "+monitor +service +login"),
        (BUILTIN, BUILTIN, Lookup::Pending, "+service +login"),
        // Who is to go first has to be known.
        (OPERATOR, BUILTIN, Lookup::Pending, "+login"),
        (OPERATOR, BUILTIN, there(), "+service +login -monitor"),
        (OPERATOR, BUILTIN, Lookup::Absent, "+service +login"),
        (OPERATOR, None, Lookup::Pending, "-login"),
        (OPERATOR, None, there(), "-monitor -service -login"),
        (OPERATOR, None, Lookup::Absent, "-service -login"),
        (OPERATOR, None, Lookup::Forbidden, "-service -login"),
        (BUILTIN, None, Lookup::Pending, "-service -login"),
    ];
    for (before, now, kind, expected) in rows {
        let row = format!("{before:?} to {now:?}, {kind:?}");
        assert_eq!(decided(before, now, kind), expected, "{row}");
    }
}

#[test]
fn what_is_somebody_elses_stays() {
    let mut live = live(OPERATOR, Lookup::Present(()));
    let mut monitor = ServiceMonitor::new("pool-stats", ServiceMonitorSpec::default());
    monitor.metadata.labels = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    live.service_monitor = Some(Arc::new(monitor));
    let mut secret = live.exporter_secret.as_deref().unwrap().clone();
    secret.metadata.owner_references = None;
    live.exporter_secret = Some(Arc::new(secret));
    let validated = valid(None);
    let scrape = monitoring(&validated, &live);
    assert!(scrape.old_monitor.is_none() && scrape.old_login.is_none());
    assert!(scrape.old_service.is_some());
}

#[test]
fn service_monitors_are_looked_for_while_there_may_be_one() {
    let service = |agent| {
        built(&valid(agent), fixtures::foundation_only().monitoring)
            .foundation
            .stats_service
    };
    let asked = |now, before: Option<Service>| reads_service_monitors(&pgpool(now), before.as_ref());
    assert!(!asked(None, None) && !asked(BUILTIN, None) && !asked(BUILTIN, service(BUILTIN)));
    assert!(asked(OPERATOR, None) && asked(BUILTIN, service(OPERATOR)) && asked(None, service(OPERATOR)));
}
