//! `spec.monitor`, by branch: the objects that tell Prometheus where the metrics are.

use super::exporter::{builtin, monitored, stats};
use super::support::{self, World};

#[test]
fn the_stats_service_tells_each_agent_what_it_reads() {
    let built = |agent: &str| {
        let annotations = stats(&monitored(World::plain(), &format!("{{agent: {agent}}}")))
            .metadata
            .annotations;
        let all: Vec<_> = annotations
            .unwrap()
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        all
    };
    for agent in ["prometheus.io", "prometheus.io/operator"] {
        assert_eq!(built(agent), [format!("monitoring.appscode.com/agent={agent}")]);
    }
    assert_eq!(
        built("prometheus.io/builtin"),
        [
            "monitoring.appscode.com/agent=prometheus.io/builtin",
            "prometheus.io/path=/metrics",
            "prometheus.io/port=9719",
            "prometheus.io/scheme=http",
            "prometheus.io/scrape=true",
        ]
    );
}

#[test]
fn the_stats_service_takes_its_template() {
    let world = World::plain().spec(
        "serviceTemplates: [{alias: stats, metadata: {labels: {team: a, kubedb.com/role: x}, annotations: {note: b, \
         monitoring.appscode.com/agent: me}}, spec: {type: NodePort, ports: [{name: metrics, port: 80, nodePort: 30080}]}}]",
    );
    let service = stats(&builtin(world));
    let (metadata, spec) = (service.metadata, service.spec.unwrap());
    let (labels, annotations) = (metadata.labels.unwrap(), metadata.annotations.unwrap());
    assert_eq!(
        (labels["team"].as_str(), labels["kubedb.com/role"].as_str()),
        ("a", "stats")
    );
    assert_eq!(annotations["note"], "b");
    assert_eq!(
        annotations["monitoring.appscode.com/agent"],
        "prometheus.io/builtin"
    );
    // Prometheus dials pods, not the Service.
    assert_eq!(annotations["prometheus.io/port"], "9719");
    assert_eq!(spec.type_.as_deref(), Some("NodePort"));
    let port = &spec.ports.unwrap()[0];
    assert_eq!((port.port, port.node_port), (80, Some(30080)));
    assert_eq!(spec.publish_not_ready_addresses, Some(true));
}

#[test]
fn the_service_monitor_takes_every_field() {
    assert!(support::service_monitor(&builtin(World::plain()).valid()).is_none());
    let world = monitored(
        World::plain(),
        "{agent: prometheus.io/operator, prometheus: {serviceMonitor: {labels: {release: prometheus}, interval: 10s, \
         targetLabels: [team], podTargetLabels: [tier], endpoints: [{port: other, relabelings: [{action: drop}]}, \
         {port: metrics, relabelings: [{sourceLabels: [a], separator: ';', targetLabel: b, regex: (.*), modulus: 8, \
         replacement: $1, action: hashmod}], metricRelabelings: [{sourceLabels: [__name__], regex: go_.*, action: drop}]}]}}}",
    );
    let monitor = serde_json::to_value(support::service_monitor(&world.valid()).unwrap()).unwrap();
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    insta::assert_yaml_snapshot!("every-field-service-monitor", monitor);
    let service = stats(&world).metadata.labels.unwrap();
    for (key, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(service[key], value.as_str().unwrap());
    }
}
