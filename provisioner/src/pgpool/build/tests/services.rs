//! `spec.serviceTemplates`, by branch.

use k8s_openapi::api::core::v1::Service;
use shared_types::conditions::Reason;

use super::support::{self, World};

fn primary(templates: &str) -> Service {
    let world = World::plain().spec(&format!("serviceTemplates: {templates}"));
    support::foundation(&world.valid()).primary_service
}

#[test]
fn the_binding_follows_a_moved_port() {
    let world = World::tls()
        .spec("serviceTemplates: [{alias: primary, spec: {ports: [{name: primary, port: 5432}]}}]");
    let service = support::foundation(&world.valid())
        .app_binding
        .spec
        .client_config
        .service
        .unwrap();
    assert_eq!(
        (service.port, service.query.as_deref()),
        (5432, Some("sslmode=verify-full"))
    );
}

#[test]
fn the_binding_names_what_the_certificate_has() {
    let server_name = |spec: &str| {
        let world = World::tls()
            .inputs(|inputs| inputs.cluster_domain = "cluster.local".to_owned())
            .spec(spec);
        support::foundation(&world.valid())
            .app_binding
            .spec
            .client_config
            .server_name
    };
    let issuer = "issuerRef: {kind: Issuer, name: ca}";
    assert_eq!(server_name(&format!("tls: {{{issuer}}}")), None);
    let service = server_name(&format!("tls: {{{issuer}, names: service}}"));
    assert_eq!(service.as_deref(), Some("pool.demo.svc.cluster.local"));
    let own = format!(
        "tls: {{{issuer}, names: own, certificates: [{{alias: server, dnsNames: [db.example.org]}}]}}"
    );
    assert_eq!(server_name(&own).as_deref(), Some("db.example.org"));
    // Nobody verifies a name without TLS.
    assert_eq!(server_name(&format!("sslMode: disable\n{own}")), None);
}

#[test]
fn an_affinity_timeout_turns_affinity_on() {
    let world = World::plain().spec(
        "serviceTemplates: [{alias: primary, spec: {sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}}}]",
    );
    let spec = support::foundation(&world.valid()).primary_service.spec.unwrap();
    assert_eq!(spec.session_affinity.as_deref(), Some("ClientIP"));
}

#[test]
fn ports_are_matched_by_name() {
    let ports = |ports: &str| {
        let made = primary(&format!("[{{alias: primary, spec: {{ports: {ports}}}}}]"));
        let ports = made.spec.unwrap().ports.unwrap();
        assert_eq!(ports.len(), 1, "there is one port");
        (ports[0].port, ports[0].node_port, ports[0].name.clone().unwrap())
    };
    let usual = (9999, None, "primary".to_owned());
    let table = [
        ("[]", usual.clone()),
        (
            "[{name: primary, port: 5432, nodePort: 30432}]",
            (5432, Some(30432), "primary".to_owned()),
        ),
        ("[{name: http, port: 80}]", usual.clone()),
        ("[{port: 80}]", usual.clone()),
        (
            "[{name: pcp, port: 9595}, {name: primary, port: 6432}]",
            (6432, None, "primary".to_owned()),
        ),
        // The API server takes a zero for "any", and would never show one.
        ("[{name: primary, port: 9999, nodePort: 0}]", usual),
    ];
    for (asked, expected) in table {
        assert_eq!(ports(asked), expected, "{asked}");
    }
}

#[test]
fn what_the_api_server_replaces_is_not_asked_for() {
    let made = primary(
        "[{alias: primary, spec: {type: '', clusterIP: '', loadBalancerIP: '', externalTrafficPolicy: '', \
         healthCheckNodePort: 0, externalIPs: [], loadBalancerSourceRanges: []}}]",
    );
    assert_eq!(made, primary("[]"));
}

#[test]
fn only_its_own_template_shapes_a_service() {
    let made = primary(
        "[{alias: stats, spec: {type: NodePort}, metadata: {labels: {a: b}}}, {alias: standby, spec: {type: LoadBalancer}}]",
    );
    assert_eq!(made, primary("[]"));
    let twice = World::plain().spec("serviceTemplates: [{alias: primary}, {alias: primary}]");
    let (reason, message) = twice.rejected();
    assert_eq!(reason, Reason::ConfigurationInvalid);
    assert!(message.contains("`primary` twice"), "{message}");
}

#[test]
fn labels_that_select_cannot_be_taken() {
    let made = primary(
        "[{alias: primary, metadata: {labels: {app.kubernetes.io/instance: x, kubedb.com/role: stats, tier: front}}}]",
    );
    let labels = made.metadata.labels.unwrap();
    assert_eq!(labels["app.kubernetes.io/instance"], "pool");
    assert_eq!(labels.get("kubedb.com/role"), None);
    assert_eq!(labels["tier"], "front");
}
