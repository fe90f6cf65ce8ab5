//! Metrics, under the names of controller-runtime and client-go, which dashboards for controllers use.
//!
//! Labels come from fixed sets; no label names an object.

mod process;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The registry of a process. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct SharedRegistry(Arc<Mutex<Registry>>);

impl SharedRegistry {
    /// Registers metrics.
    pub fn with<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns all metrics in the text format of `OpenMetrics`.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// The metrics of controllers, leader election and the client.
#[derive(Clone, Debug)]
pub struct Metrics {
    reconciles: Family<Reconcile, Counter>,
    errors: Family<Failure, Counter>,
    seconds: Family<Controller, Histogram, Buckets>,
    active: Family<Controller, Gauge>,
    depth: Family<Queue, Gauge>,
    queued: Family<Queue, Histogram, Buckets>,
    objects: Family<Place, Gauge>,
    leader: Family<Lease, Gauge>,
    requests: Family<Request, Counter>,
    left_out: Family<Kind, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    controller: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    controller: &'static str,
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lease {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

/// Histograms with buckets for reconciles: 1 ms to 30 s.
#[derive(Clone, Copy, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new([
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ])
    }
}

impl Metrics {
    /// Registers the metrics.
    #[must_use]
    pub fn register(registry: &SharedRegistry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            errors: Family::default(),
            seconds: Family::new_with_constructor(Buckets),
            active: Family::default(),
            depth: Family::default(),
            queued: Family::new_with_constructor(Buckets),
            objects: Family::default(),
            leader: Family::default(),
            requests: Family::default(),
            left_out: Family::default(),
        };
        registry.with(|to| {
            metrics.add_to(to);
            to.register_collector(Box::new(process::Process));
        });
        metrics
    }

    fn add_to(&self, registry: &mut Registry) {
        registry.register(
            "controller_runtime_reconcile",
            "Reconciles by result",
            self.reconciles.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Failed reconciles by class of error",
            self.errors.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "Duration of a reconcile",
            self.seconds.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Reconciles in progress",
            self.active.clone(),
        );
        registry.register(
            "workqueue_depth",
            "Objects that wait for a reconcile",
            self.depth.clone(),
        );
        registry.register(
            "workqueue_queue_duration_seconds",
            "Time from the trigger of an object to its reconcile",
            self.queued.clone(),
        );
        registry.register(
            "pgpool_operator_objects",
            "Objects by outcome of their last reconcile",
            self.objects.clone(),
        );
        registry.register(
            "leader_election_master_status",
            "1 while this process holds the lease, otherwise 0",
            self.leader.clone(),
        );
        registry.register(
            "rest_client_requests",
            "Requests to the API server by method and status code; 0 is no response",
            self.requests.clone(),
        );
        registry.register(
            "pgpool_operator_objects_left_out",
            "Objects that are left out because they cannot be decoded, by kind",
            self.left_out.clone(),
        );
    }

    pub(crate) fn started(&self, controller: &'static str) {
        self.active.get_or_create(&Controller { controller }).inc();
    }

    pub(crate) fn ended(&self, controller: &'static str, result: &'static str, took: Duration) {
        self.active.get_or_create(&Controller { controller }).dec();
        self.reconciles
            .get_or_create(&Reconcile { controller, result })
            .inc();
        self.seconds
            .get_or_create(&Controller { controller })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn failed(&self, controller: &'static str, class: &'static str) {
        self.errors.get_or_create(&Failure { controller, class }).inc();
    }

    pub(crate) fn queued(&self, name: &'static str) {
        self.depth.get_or_create(&Queue { name }).inc();
    }

    pub(crate) fn taken(&self, name: &'static str, waited: Duration) {
        self.depth.get_or_create(&Queue { name }).dec();
        self.queued
            .get_or_create(&Queue { name })
            .observe(waited.as_secs_f64());
    }

    pub(crate) fn placed(
        &self,
        controller: &'static str,
        (outcome, reason): (&'static str, &'static str),
        by: i64,
    ) {
        self.objects
            .get_or_create(&Place {
                controller,
                outcome,
                reason,
            })
            .inc_by(by);
    }

    pub(crate) fn leads(&self, lease: &str, leads: bool) {
        self.leader
            .get_or_create(&Lease {
                name: lease.to_owned(),
            })
            .set(i64::from(leads));
    }

    /// Returns the number of objects of a kind that are left out. The kinds are those that the process watches.
    pub(crate) fn left_out(&self, kind: &str) -> Gauge {
        let kind = kind.to_owned();
        self.left_out.get_or_create_owned(&Kind { kind })
    }

    pub(crate) fn requested(&self, method: &'static str, code: u16) {
        self.requests.get_or_create(&Request { method, code }).inc();
    }
}
