//! A `Pgpool` that is scraped: when the `ServiceMonitor` comes and goes, and what is left when nobody scrapes any more.

use operator_runtime::Availability;
use shared_types::Alias;

use super::*;
use crate::fixtures::scraped;

const MONITOR: &str = "/apis/monitoring.coreos.com/v1/namespaces/demo/servicemonitors/pool-stats";
const STATS: &str = "/api/v1/namespaces/demo/services/pool-stats";
const LOGIN: &str = "/api/v1/namespaces/demo/secrets/pool-exporter";
const EVENT: &str = "POST /apis/events.k8s.io/v1/namespaces/demo/events";

impl Stage {
    /// The user edits `spec.monitor`.
    fn monitor(&self, agent: Option<&str>) {
        let mut pgpool: Value = self.api.get(POOL).unwrap();
        pgpool["spec"]["monitor"] = agent.map_or(Value::Null, |agent| json!({ "agent": agent }));
        pgpool["metadata"]["generation"] = (pgpool["metadata"]["generation"].as_i64().unwrap() + 1).into();
        self.api.put(POOL, pgpool);
    }

    /// The certificates as they stand in their Secrets.
    fn stored(&self) -> Vec<Certificate> {
        let pgpool = self.pgpool();
        let mut all = certificates(&pgpool, &self.pki);
        for certificate in &mut all {
            let path = format!("/api/v1/namespaces/demo/secrets/{}", certificate.secret_name);
            let secret: Secret = self.api.get(&path).unwrap();
            certificate.secret = observe::Lookup::Present(Arc::new(secret));
        }
        all
    }

    fn has(&self, path: &str) -> bool {
        self.api.get::<Value>(path).is_some()
    }
}

#[tokio::test]
async fn the_service_monitor_follows_its_kind() {
    let stage = Stage::new(&scraped(plain_pgpool(), "prometheus.io/operator"));
    stage.api.service_monitors.set_availability(Availability::Absent);
    stage.finish().await;
    assert!(stage.context.caches.monitored.is_raised());
    assert!(stage.has(STATS) && stage.has(LOGIN) && !stage.has(MONITOR));
    let (status, reason, message) = stage.reason(ConditionType::Monitored).unwrap();
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "PrometheusOperatorAbsent")
    );
    assert!(
        message.contains("ServiceMonitor demo/pool-stats") && message.contains("install"),
        "{message}"
    );
    let events = |log: &[String]| log.iter().filter(|line| *line == EVENT).count();
    let log = stage.api.log();
    // One that it is ready, one about this.
    assert_eq!(events(&log), 2, "{log:#?}");
    let ready = is_true(&stage.pgpool().status.unwrap().conditions, ConditionType::Ready);
    assert!(ready, "a pool is ready without");
    stage.reconcile().await;
    assert_eq!(stage.api.log(), [""; 0]);

    stage.api.service_monitors.set_availability(Availability::Served);
    stage.reconcile().await;
    let expected = [
        format!("PATCH {MONITOR}"),
        format!("PATCH {POOL}/status"),
        EVENT.to_owned(),
    ];
    assert_eq!(stage.api.log(), expected);
    assert_eq!(
        stage.reason(ConditionType::Monitored).unwrap().1,
        "MetricsExposed"
    );
    for _ in 0..3 {
        assert_eq!(stage.reconcile().await, Outcome::Converged);
    }
    assert_eq!(stage.api.log(), [""; 0]);
}

#[tokio::test]
async fn what_nobody_scrapes_goes_and_the_login_last() {
    let stage = Stage::new(&scraped(plain_pgpool(), "prometheus.io/operator"));
    stage.finish().await;
    assert!(stage.has(MONITOR) && stage.has(STATS) && stage.has(LOGIN));
    stage.monitor(None);
    stage
        .api
        .service_monitors
        .set_availability(Availability::Starting);
    stage.reconcile().await;
    assert!(stage.has(STATS), "nothing else records the ServiceMonitor");
    stage.api.service_monitors.set_availability(Availability::Served);
    stage.reconcile().await;
    let log = stage.api.log();
    let deletions: Vec<_> = log.iter().filter(|line| line.starts_with("DELETE")).collect();
    assert_eq!(
        deletions,
        [&format!("DELETE {MONITOR}"), &format!("DELETE {STATS}")]
    );
    assert!(stage.has(LOGIN), "pods mount it");
    stage.reconcile().await;
    assert!(!stage.context.caches.monitored.is_raised());
    stage.run_pods();
    stage.checked().await;
    stage.reconcile().await;
    assert!(!stage.has(LOGIN));
    assert_eq!(stage.reason(ConditionType::Monitored), None);
    stage.api.log();
    for _ in 0..3 {
        assert_eq!(stage.reconcile().await, Outcome::Converged);
    }
    assert_eq!(stage.api.log(), [""; 0]);
}

#[tokio::test]
async fn another_agent_needs_no_service_monitor() {
    let stage = Stage::new(&scraped(plain_pgpool(), "prometheus.io/operator"));
    stage.finish().await;
    stage.monitor(Some("prometheus.io/builtin"));
    stage.reconcile().await;
    stage.reconcile().await;
    assert!(!stage.has(MONITOR) && stage.has(STATS) && stage.has(LOGIN));
    assert!(!stage.context.caches.monitored.is_raised());
    let stats: Value = stage.api.get(STATS).unwrap();
    assert_eq!(stats["metadata"]["annotations"]["prometheus.io/scrape"], "true");
}

#[tokio::test]
async fn a_renewed_certificate_of_the_exporter_reaches_the_pods() {
    let stage = Stage::new(&scraped(tls_pgpool(), "prometheus.io/builtin"));
    stage.finish().await;
    assert!(!stage.has(LOGIN));
    let before = stage.copy().unwrap();
    let mut certificates = certificates(&stage.pgpool(), &stage.pki);
    certificates.retain(|it| it.alias == Alias::MetricsExporter);
    stage.store(&certificates[0]);
    stage.reconcile().await;
    assert_eq!(
        stage.copy().unwrap().name_any(),
        before.name_any(),
        "nobody has verified it yet"
    );
    let all = stage.stored();
    stage.verify(&all, true);
    stage.reconcile().await;
    let after = stage.copy().unwrap();
    assert_ne!(after.name_any(), before.name_any());
    let issued = certificates[0].secret.present().unwrap().data.clone().unwrap();
    let copied = after.data.unwrap();
    assert_eq!(
        (&copied["exporter.crt"], &copied["exporter.key"]),
        (&issued["tls.crt"], &issued["tls.key"])
    );
    assert_eq!(copied["tls.crt"], before.data.unwrap()["tls.crt"]);
}

#[tokio::test]
async fn an_exporter_that_has_no_certificate_yet_is_left_out() {
    let mut pgpool = tls_pgpool();
    pgpool.spec.client_auth_mode = Some(shared_types::ClientAuthMode::Cert);
    let stage = Stage::new(&pgpool);
    stage.finish().await;
    let before = stage.workload().unwrap();
    let held = stage.stored();
    stage.verify(&held, false);
    stage.monitor(Some("prometheus.io/builtin"));
    stage.reconcile().await;
    assert_eq!(
        stage.workload().unwrap().spec,
        before.spec,
        "what runs keeps running"
    );
    stage.verify(&held, true);
    stage.reconcile().await;
    let pod = stage.workload().unwrap().spec.unwrap().template.spec.unwrap();
    assert!(
        pod.containers
            .iter()
            .any(|container| container.name == "exporter")
    );
}
