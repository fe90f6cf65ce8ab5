//! Whole objects: any change to what is written to a cluster shows here.

use crate::pgpool::build::Foundation;
use insta::assert_yaml_snapshot;

use super::exporter::monitored;
use super::support::{self, POSTGRES_CA, World, material, readable};

fn assert_foundation(name: &str, world: &World) {
    let Foundation {
        primary_service,
        governing_service,
        stats_service,
        service_account,
        auth_secret,
        config_secret,
        pcp_secret,
        users_secret,
        exporter_secret,
        pod_disruption_budget,
        app_binding,
    } = support::foundation(&world.valid());
    assert_yaml_snapshot!(format!("{name}-primary-service"), readable(&primary_service));
    assert_yaml_snapshot!(format!("{name}-governing-service"), readable(&governing_service));
    assert_yaml_snapshot!(format!("{name}-service-account"), readable(&service_account));
    assert_yaml_snapshot!(format!("{name}-auth-secret"), readable(&auth_secret));
    assert_yaml_snapshot!(format!("{name}-config-secret"), readable(&config_secret.unwrap()));
    assert_yaml_snapshot!(format!("{name}-pcp-secret"), readable(&pcp_secret));
    assert_yaml_snapshot!(format!("{name}-users-secret"), readable(&users_secret));
    if let (Some(service), monitor) = (&stats_service, support::service_monitor(&world.valid())) {
        assert_yaml_snapshot!(format!("{name}-stats-service"), readable(service));
        assert_yaml_snapshot!(format!("{name}-service-monitor"), readable(&monitor));
    }
    if let Some(secret) = &exporter_secret {
        assert_yaml_snapshot!(format!("{name}-exporter-secret"), readable(secret));
    }
    assert_yaml_snapshot!(
        format!("{name}-pod-disruption-budget"),
        readable(&pod_disruption_budget)
    );
    assert_yaml_snapshot!(format!("{name}-app-binding"), readable(&app_binding));
}

#[test]
fn a_minimal_pgpool() {
    let world = World::plain();
    assert_foundation("plain", &world);
    assert_yaml_snapshot!(
        "plain-workload",
        readable(&support::stateful_set(&world.valid(), None))
    );
}

#[test]
fn a_pgpool_with_certificates() {
    let world = World::tls().backend_ca(POSTGRES_CA);
    assert_foundation("tls", &world);
    let copy = support::tls_copy(&world.valid(), &material());
    let name = copy.metadata.name.clone();
    assert_yaml_snapshot!("tls-copy", readable(&copy));
    assert_yaml_snapshot!(
        "tls-workload",
        readable(&support::stateful_set(&world.valid(), name.as_deref()))
    );
}

#[test]
fn settings_that_pgpool_is_to_check() {
    assert!(support::config_check(&World::plain().valid()).is_none());
    let world = World::plain().spec(
        "configuration: {inline: {pgpool.conf: \"max_pool = 3\\nsr_check_password = 'very secret'\\nhealth_check_password0 = ''\"}}",
    );
    let check = support::config_check(&world.valid()).unwrap();
    assert_yaml_snapshot!("config-check-secret", readable(&check.secret));
    assert_yaml_snapshot!("config-check-pod", readable(&check.pod));
    // A list of nodes is the user's hand, too.
    let world = World::plain().spec("configuration: {backends: [{hostName: a, weight: 1}]}");
    assert!(support::config_check(&world.valid()).is_some());
}

#[test]
fn a_pgpool_that_its_user_shapes() {
    let world = World::shaped();
    assert_foundation("shaped", &world);
    assert_yaml_snapshot!(
        "shaped-workload",
        readable(&support::stateful_set(&world.valid(), None))
    );
}

#[test]
fn a_pgpool_that_is_scraped() {
    let agent = "{agent: prometheus.io/operator}";
    let world = monitored(World::plain(), agent);
    assert_foundation("scraped", &world);
    assert_yaml_snapshot!(
        "scraped-workload",
        readable(&support::stateful_set(&world.valid(), None))
    );
    let world = monitored(World::tls().spec("clientAuthMode: cert"), agent);
    let copy = support::tls_copy(&world.valid(), &material());
    assert_yaml_snapshot!("scraped-by-certificate-copy", readable(&copy));
    assert_yaml_snapshot!(
        "scraped-by-certificate-workload",
        readable(&support::stateful_set(
            &world.valid(),
            copy.metadata.name.as_deref()
        ))
    );
}
