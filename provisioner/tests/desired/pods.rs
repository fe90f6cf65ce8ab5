//! `spec.podTemplate` and `spec.serviceTemplates`, by branch.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use provisioner::pgpool::desired;
use shared_types::conditions::Reason;
use shared_types::reserved;

use crate::support::World;

fn pod(world: &World) -> PodSpec {
    desired::workload(&world.valid(), Some("pool-tls-0"))
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
}

fn shaped(container: &str) -> World {
    World::plain().spec(&format!(
        "podTemplate: {{spec: {{containers: [{{name: pgpool, {container}}}]}}}}"
    ))
}

fn pgpool(world: &World) -> Container {
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
fn what_is_taken_is_refused() {
    for name in reserved::VOLUMES {
        let world = World::plain().spec(&format!("podTemplate: {{spec: {{volumes: [{{name: {name}}}]}}}}"));
        assert!(world.rejected().1.contains(&format!("`{name}`")));
    }
    let spec = |spec: &str| World::plain().spec(&format!("podTemplate: {{spec: {{{spec}}}}}"));
    let table = [
        (
            "initContainers: [{name: x, image: i, volumeMounts: [{name: v, mountPath: /config}]}]",
            "container `x`",
        ),
        (
            "initContainers: [{name: pgpool, image: i}]",
            "init container `pgpool`",
        ),
        ("containers: [{name: side}]", "`side` without an image"),
        (
            "containers: [{name: side, image: i, env: [{name: A, value: '1'}, {name: A, value: '2'}]}]",
            "`A` twice in `spec.containers[side].env`",
        ),
        (
            "containers: [{name: side, image: i, ports: [{containerPort: 1}, {containerPort: 1, protocol: TCP}]}]",
            "`1/TCP` twice",
        ),
        (
            "hostAliases: [{ip: 10.0.0.1}, {ip: 10.0.0.1}]",
            "`10.0.0.1` twice in `spec.hostAliases`",
        ),
        (
            "containers: [{name: pgpool, ports: [{containerPort: 9999, name: sql}]}]",
            "`db` is port 9999",
        ),
        (
            "containers: [{name: pgpool, ports: [{containerPort: 5000, name: db}]}]",
            "`db` is port 9999",
        ),
    ];
    for (asked, part) in table {
        let (reason, message) = spec(asked).rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{asked}");
        assert!(message.contains(part), "{asked}: {message}");
    }
    for fine in [
        "volumes: [{name: run, emptyDir: {}}, {name: tmp, emptyDir: {}}]",
        "containers: [{name: exporter}]",
        "containers: [{name: pgpool, volumeMounts: [{name: v, mountPath: /configuration}, {name: v, mountPath: /opt/pgpool-II/share}]}]",
        "containers: [{name: side, image: i, ports: [{containerPort: 1}, {containerPort: 1, protocol: UDP}]}]",
    ] {
        spec(fine).valid();
    }
}

#[test]
fn what_says_the_same_as_nothing_is_left_out() {
    let world = World::plain().spec(
        "podTemplate: {spec: {hostNetwork: false, hostPID: false, hostIPC: false, \
         automountServiceAccountToken: false, shareProcessNamespace: false, \
         securityContext: {runAsNonRoot: false}, \
         volumes: [{name: data, persistentVolumeClaim: {claimName: c, readOnly: false}}], \
         containers: [{name: side, image: i, tty: false, stdin: false, stdinOnce: false, \
         securityContext: {readOnlyRootFilesystem: false}, \
         volumeMounts: [{name: data, mountPath: /a, readOnly: false}, {name: data, mountPath: /b, readOnly: true}]}]}}",
    );
    let pod = pod(&world);
    assert_eq!((pod.host_network, pod.host_pid, pod.host_ipc), (None, None, None));
    let kept = (pod.automount_service_account_token, pod.share_process_namespace);
    assert_eq!(kept, (Some(false), Some(false)));
    assert_eq!(pod.security_context.unwrap().run_as_non_root, Some(false));
    let claims = pod
        .volumes
        .iter()
        .flatten()
        .filter_map(|it| it.persistent_volume_claim.as_ref());
    assert_eq!(claims.map(|it| it.read_only).collect::<Vec<_>>(), [None]);
    let side = pod.containers.iter().find(|it| it.name == "side").unwrap();
    assert_eq!((side.tty, side.stdin, side.stdin_once), (None, None, None));
    let context = side.security_context.as_ref().unwrap();
    assert_eq!(context.read_only_root_filesystem, Some(false));
    let mounts = side.volume_mounts.iter().flatten();
    assert_eq!(
        mounts.map(|it| it.read_only).collect::<Vec<_>>(),
        [None, Some(true)]
    );
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
fn no_secret_stands_in_the_pod() {
    let world = shaped("env: [{name: APP_USERNAME, value: app}, {name: APP_PASSWORD, value: open-sesame}]");
    let text = serde_json::to_string(&pod(&world)).unwrap();
    for word in ["open-sesame", "hunter2", "sixteen-letters!"] {
        assert!(!text.contains(word), "{word} stands in the pod");
    }
}

#[test]
fn a_user_names_the_account_of_the_pods() {
    for field in ["serviceAccountName", "serviceAccount"] {
        let world = World::plain().spec(&format!("podTemplate: {{spec: {{{field}: mine}}}}"));
        assert!(desired::foundation(&world.valid()).service_account.is_none());
        assert_eq!(pod(&world).service_account_name.as_deref(), Some("mine"));
        assert_eq!(pod(&world).service_account, None);
    }
    // Even one of our name is theirs once they name it.
    let world = World::plain().spec("podTemplate: {spec: {serviceAccountName: pool}}");
    assert!(desired::foundation(&world.valid()).service_account.is_none());
    let world = World::plain().spec("podTemplate: {spec: {serviceAccountName: ''}}");
    assert!(desired::foundation(&world.valid()).service_account.is_some());
}

#[test]
fn a_drain_takes_a_minority() {
    let expected = [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 2),
        (6, 2),
        (7, 3),
        (8, 3),
        (9, 4),
    ];
    for (replicas, taken) in expected {
        let world = World::plain().spec(&format!("replicas: {replicas}"));
        let budget = desired::foundation(&world.valid())
            .pod_disruption_budget
            .spec
            .unwrap();
        assert_eq!(
            budget.max_unavailable,
            Some(IntOrString::Int(taken)),
            "{replicas}"
        );
    }
}

#[test]
fn the_binding_follows_a_moved_port() {
    let world = World::tls()
        .spec("serviceTemplates: [{alias: primary, spec: {ports: [{name: primary, port: 5432}]}}]");
    let service = desired::foundation(&world.valid())
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
fn an_affinity_timeout_turns_affinity_on() {
    let world = World::plain().spec(
        "serviceTemplates: [{alias: primary, spec: {sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}}}]",
    );
    let spec = desired::foundation(&world.valid()).primary_service.spec.unwrap();
    assert_eq!(spec.session_affinity.as_deref(), Some("ClientIP"));
}
