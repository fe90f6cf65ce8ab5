//! Container `pgpool`: what users change about it, by branch.

use k8s_openapi::api::core::v1::Container;
use shared_types::conditions::Reason;

use super::pods::{pod, shaped};
use super::support::World;

pub(super) fn pgpool(world: &World) -> Container {
    pod(world)
        .containers
        .into_iter()
        .find(|container| container.name == "pgpool")
        .unwrap()
}

#[test]
fn resources_are_filled_in() {
    let table = [
        ("{}", "500m 1Gi - 1Gi"),
        ("{requests: {memory: 2Gi}}", "500m 2Gi - 2Gi"),
        ("{requests: {cpu: 1}}", "1 1Gi - 1Gi"),
        ("{limits: {memory: 2Gi}}", "500m 2Gi - 2Gi"),
        ("{limits: {cpu: '2'}}", "2 1Gi 2 1Gi"),
        (
            "{requests: {cpu: 200m, memory: 300Mi}, limits: {cpu: 200m, memory: 300Mi}}",
            "200m 300Mi 200m 300Mi",
        ),
        (
            "{requests: {memory: 2Gi}, limits: {memory: 1G}}",
            "500m 2Gi - 2Gi",
        ),
        (
            "{requests: {cpu: 1500m}, limits: {cpu: 1}}",
            "1500m 1Gi 1500m 1Gi",
        ),
        (
            "{requests: {memory: '1e9'}, limits: {memory: '2e9'}}",
            "500m 1e9 - 2e9",
        ),
    ];
    for (asked, expected) in table {
        let resources = pgpool(&shaped(&format!("resources: {asked}"))).resources.unwrap();
        let (requests, limits) = (resources.requests.unwrap(), resources.limits.unwrap());
        let all = [
            requests.get("cpu"),
            requests.get("memory"),
            limits.get("cpu"),
            limits.get("memory"),
        ];
        assert_eq!(
            all.map(|amount| amount.map_or("-", |amount| &amount.0)).join(" "),
            expected,
            "{asked}"
        );
    }
    let world = shaped("resources: {requests: {memory: plenty}}");
    assert!(world.rejected().1.contains("\"plenty\""));
}

#[test]
fn what_would_break_the_pod_is_refused() {
    let table = [
        ("image: mine", "`image`"),
        ("command: [sleep]", "`command`"),
        ("args: [x]", "`args`"),
        (
            "env: [{name: POSTGRES_PASSWORD, value: x}]",
            "`POSTGRES_PASSWORD`",
        ),
        (
            "env: [{name: PGPOOL_ENABLE_POOL_PASSWD, value: x}]",
            "`PGPOOL_ENABLE_POOL_PASSWD`",
        ),
        (
            "env: [{name: A_USERNAME, value: 'a:b'}, {name: A_PASSWORD, value: x}]",
            "`A_USERNAME`",
        ),
        (
            "env: [{name: A_USERNAME, value: postgres}, {name: A_PASSWORD, value: x}]",
            "Two passwords",
        ),
        ("volumeMounts: [{name: v, mountPath: /config}]", "`/config`"),
        ("volumeMounts: [{name: v, mountPath: /config/}]", "`/config`"),
        ("volumeMounts: [{name: v, mountPath: /config/tls}]", "`/config`"),
        (
            "volumeMounts: [{name: v, mountPath: //opt/pgpool-II/./tls/x}]",
            "`/opt/pgpool-II/tls`",
        ),
        (
            "volumeMounts: [{name: v, mountPath: /opt/pgpool-II/etc}]",
            "`/opt/pgpool-II/etc`",
        ),
        (
            "volumeMounts: [{name: v, mountPath: /run/pgpool}]",
            "`/run/pgpool`",
        ),
    ];
    for (container, part) in table {
        let (reason, message) = shaped(container).rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{container}");
        assert!(
            message.contains(part) && message.contains("spec.podTemplate"),
            "{container}: {message}"
        );
    }
}

#[test]
fn the_users_security_context_wins_field_by_field() {
    let world = shaped("securityContext: {runAsUser: 1234, readOnlyRootFilesystem: false}");
    let context = pgpool(&world).security_context.unwrap();
    assert_eq!(
        (context.run_as_user, context.run_as_group),
        (Some(1234), Some(70))
    );
    assert_eq!(context.read_only_root_filesystem, Some(false));
    assert_eq!(context.allow_privilege_escalation, Some(false));
    let world = World::plain().spec("podTemplate: {spec: {securityContext: {fsGroup: 99}}}");
    let context = pod(&world).security_context.unwrap();
    assert_eq!(context.fs_group, Some(99));
    assert_eq!(context.seccomp_profile.unwrap().type_, "RuntimeDefault");
}

#[test]
fn a_probe_that_only_says_how_often_asks_what_ours_asks() {
    let world = shaped(
        "readinessProbe: {periodSeconds: 3, initialDelaySeconds: 0}, livenessProbe: {timeoutSeconds: 9}, \
         startupProbe: {httpGet: {port: 8080}, periodSeconds: 4}",
    );
    let ours = pgpool(&World::plain());
    let container = pgpool(&world);
    let (readiness, own) = (container.readiness_probe.unwrap(), ours.readiness_probe.unwrap());
    assert_eq!(readiness.exec, own.exec);
    assert_eq!(
        (readiness.period_seconds, readiness.failure_threshold),
        (Some(3), own.failure_threshold)
    );
    assert_eq!(
        readiness.initial_delay_seconds, None,
        "zero is the default, and never shown"
    );
    let (liveness, own) = (container.liveness_probe.unwrap(), ours.liveness_probe.unwrap());
    assert_eq!(
        (liveness.timeout_seconds, liveness.period_seconds),
        (Some(9), own.period_seconds)
    );
    assert_eq!(liveness.exec, own.exec);
    let startup = container.startup_probe.unwrap();
    assert!(
        startup.exec.is_none() && startup.http_get.is_some(),
        "theirs is whole"
    );
    assert_eq!(startup.failure_threshold, None);
    // The proof of TLS stays where only the pace is changed.
    let world = World::tls()
        .spec("podTemplate: {spec: {containers: [{name: pgpool, readinessProbe: {periodSeconds: 3}}]}}");
    assert!(pgpool(&world).readiness_probe.unwrap().exec.is_some());
}

#[test]
fn a_hook_at_the_start_leaves_the_stop_alone() {
    let hook = |world: &World| pgpool(world).lifecycle.unwrap();
    let world = shaped("lifecycle: {postStart: {exec: {command: ['true']}}}");
    assert!(hook(&world).post_start.is_some());
    assert_eq!(hook(&world).pre_stop, hook(&World::plain()).pre_stop);
    let world = shaped("lifecycle: {preStop: {sleep: {seconds: 9}}}");
    assert_eq!(hook(&world).pre_stop.unwrap().sleep.unwrap().seconds, 9);
}

#[test]
fn the_port_of_pgpool_is_there_once() {
    let ports = pgpool(&shaped(
        "ports: [{containerPort: 9999, hostPort: 19999}, {containerPort: 8080}]",
    ))
    .ports;
    let ports = ports.unwrap();
    let built: Vec<_> = ports
        .iter()
        .map(|it| (it.container_port, it.name.as_deref(), it.host_port))
        .collect();
    assert_eq!(built, [(9999, Some("db"), Some(19999)), (8080, None, None)]);
}

#[test]
fn a_users_mount_takes_the_place_of_tmp() {
    let world = World::plain().spec(
        "podTemplate: {spec: {volumes: [{name: big, emptyDir: {}}], \
         containers: [{name: pgpool, volumeMounts: [{name: big, mountPath: /tmp/}]}]}}",
    );
    let mounts = pgpool(&world).volume_mounts.unwrap();
    let at_tmp = mounts
        .iter()
        .filter(|it| it.mount_path.trim_end_matches('/') == "/tmp");
    assert_eq!(at_tmp.map(|it| it.name.as_str()).collect::<Vec<_>>(), ["big"]);
}
