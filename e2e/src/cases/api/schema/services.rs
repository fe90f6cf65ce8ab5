//! Rows of the metrics and Services of a Pgpool.

use serde_json::json;

use super::pool;
use super::row::Row;

pub(super) fn rows() -> Vec<Row> {
    [monitor(), services(), service_spec(), service_ports()]
        .into_iter()
        .flatten()
        .collect()
}

fn at(path: &'static str) -> Row {
    Row::of(pool, path)
}

fn monitor() -> Vec<Row> {
    let port = "exporter.port is one of pgpool's own, 9999 or 9595: choose another";
    vec![
        at("/spec/monitor")
            .takes(json!({"agent": "prometheus.io"}))
            .takes(json!({"agent": "prometheus.io/operator", "prometheus": {"exporter": {}}}))
            .refuses(json!({}), "spec.monitor says not who scrapes: set spec.monitor.agent to prometheus.io")
            .refuses(
                json!({"agent": "builtin"}),
                "spec.monitor.agent is one of prometheus.io, prometheus.io/builtin, prometheus.io/operator; did you mean \
                 prometheus.io/builtin?",
            )
            .refuses(json!({"agent": "Prometheus.IO/Operator"}), "; did you mean prometheus.io/operator?"),
        at("/spec/monitor/prometheus/exporter")
            .given("/spec/monitor/agent", json!("prometheus.io"))
            .takes(json!({"port": 56790}))
            .takes(json!({"port": 0}))
            .takes(json!({"args": ["--log.level=debug"], "env": [{"name": "A", "value": "b"}]}))
            .refuses(
                json!({"args": ["--web.listen-address=:1"]}),
                "spec.monitor.prometheus.exporter.args sets where the exporter listens: remove",
            )
            .refuses(
                json!({"env": [{"name": "DATA_SOURCE_NAME", "value": "b"}]}),
                "spec.monitor.prometheus.exporter.env sets a variable that is reserved: remove",
            )
            .takes(json!({"resources": {"requests": {"cpu": 1, "memory": "64Mi"}}}))
            .refuses(json!({"port": 9999}), port)
            .refuses(json!({"port": -1}), "exporter.port in body should be greater than or equal to 0")
            .refuses(json!({"port": 65536}), "exporter.port in body should be less than or equal to 65535")
            .refuses(
                json!({"resources": {"requests": {"cpu": -1}}}),
                "spec.monitor.prometheus.exporter.resources has an amount that is none: write amounts",
            ),
        at("/spec/monitor/prometheus/serviceMonitor/interval")
            .given("/spec/monitor/agent", json!("prometheus.io/operator"))
            .takes(json!("1m30s"))
            .refuses(json!("30 seconds"), "serviceMonitor.interval is no time of Prometheus: write it as 30s or 1m30s"),
    ]
}

const SPEC: &str = "/spec/serviceTemplates/0/spec";

/// The primary Service.
fn primary(path: &'static str) -> Row {
    at(path).given("/spec/serviceTemplates", json!([{"alias": "primary"}]))
}

fn services() -> Vec<Row> {
    vec![
        at("/spec/serviceTemplates")
            .takes(json!([{"alias": "primary"}, {"alias": "stats"}, {"alias": "standby"}]))
            .refuses(
                json!([{"alias": "Metrics"}]),
                "spec.serviceTemplates[].alias is one of primary, standby, stats, dashboard, secondary",
            )
            .refuses(json!([{"alias": "primry"}]), "; did you mean primary?")
            .refuses(
                json!([{"alias": "stats"}, {"alias": "stats"}]),
                "spec.serviceTemplates[1]: Duplicate value",
            )
            .refuses(json!([{}]), "spec.serviceTemplates[0].alias: Required value"),
    ]
}

fn service_spec() -> Vec<Row> {
    vec![
        primary(SPEC)
            .takes(json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24"]}))
            .takes(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001}))
            .takes(json!({"type": "NodePort", "ports": [{"name": "primary", "port": 5432, "nodePort": 30000}]}))
            .takes(json!({"ports": [{"name": "http", "port": 80}]}))
            .refuses(
                json!({"type": "loadbalancer"}),
                "spec.serviceTemplates[].spec.type is one of ClusterIP, NodePort, LoadBalancer; did you mean LoadBalancer?",
            )
            .refuses(
                json!({"type": "NodePort", "externalTrafficPolicy": "local"}),
                "spec.serviceTemplates[].spec.externalTrafficPolicy is one of Cluster, Local; did you mean Local?",
            )
            .refuses(
                json!({"loadBalancerSourceRanges": ["192.0.2.0/24"]}),
                "spec.serviceTemplates[].spec.loadBalancerSourceRanges needs a load balancer: set type",
            )
            .refuses(
                json!({"externalTrafficPolicy": "Local"}),
                "spec.serviceTemplates[].spec.externalTrafficPolicy needs traffic from outside: set type",
            )
            .refuses(
                json!({"type": "LoadBalancer", "healthCheckNodePort": 30001}),
                "spec.serviceTemplates[].spec.healthCheckNodePort is for local traffic of a load balancer",
            )
            .refuses(
                json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 0}),
                "spec.serviceTemplates[0].spec.healthCheckNodePort in body should be greater than or equal to 1",
            )
            .refuses(
                json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 65536}),
                "spec.serviceTemplates[0].spec.healthCheckNodePort in body should be less than or equal to 65535",
            ),
    ]
}

fn service_ports() -> Vec<Row> {
    vec![
        primary("/spec/serviceTemplates/0/spec/ports")
            .given("/spec/serviceTemplates/0/spec/type", json!("NodePort"))
            .takes(json!([{"name": "primary", "port": 5432}, {"name": "pcp", "port": 9595}]))
            .refuses(
                json!([{"port": 5432}]),
                "spec.serviceTemplates[].spec.ports[] has no name, by which ports are matched: set name",
            )
            .refuses(
                json!([{"name": "primary", "port": 1}, {"name": "primary", "port": 2}]),
                "spec.serviceTemplates[].spec.ports has one name twice: give each port",
            )
            .refuses(
                json!([{"name": "primary", "port": 1}, {"name": "pcp", "port": 1}]),
                "spec.serviceTemplates[].spec.ports has one port number twice: give each port",
            )
            .refuses(
                json!([{"name": "primary", "port": 0}]),
                "ports[0].port in body should be greater than or equal to 1",
            )
            .refuses(
                json!([{"name": "primary", "port": 65536}]),
                "ports[0].port in body should be less than or equal to 65535",
            )
            .refuses(
                json!([{"name": "primary", "port": 1, "nodePort": 0}]),
                "ports[0].nodePort in body should be greater than or equal to 1",
            )
            .refuses(
                json!([{"name": "primary", "port": 1, "nodePort": 65536}]),
                "ports[0].nodePort in body should be less than or equal to 65535",
            ),
        primary(SPEC)
            .takes(json!({"ports": [{"name": "primary", "port": 5432}]}))
            .refuses(
                json!({"ports": [{"name": "primary", "port": 5432, "nodePort": 30000}]}),
                "spec.serviceTemplates[].spec.ports has a nodePort, which a Service inside the cluster has not",
            ),
    ]
}
