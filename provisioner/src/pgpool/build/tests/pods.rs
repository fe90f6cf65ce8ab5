//! `spec.podTemplate` and `spec.serviceTemplates`, by branch.

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shared_types::conditions::Reason;
use shared_types::reserved;

use super::support::{self, World};

pub(crate) fn pod(world: &World) -> PodSpec {
    support::stateful_set(&world.valid(), Some("pool-tls-0"))
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
}

pub(crate) fn shaped(container: &str) -> World {
    World::plain().spec(&format!(
        "podTemplate: {{spec: {{containers: [{{name: pgpool, {container}}}]}}}}"
    ))
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
        assert!(support::foundation(&world.valid()).service_account.is_none());
        assert_eq!(pod(&world).service_account_name.as_deref(), Some("mine"));
        assert_eq!(pod(&world).service_account, None);
    }
    // Even one of our name is theirs once they name it.
    let world = World::plain().spec("podTemplate: {spec: {serviceAccountName: pool}}");
    assert!(support::foundation(&world.valid()).service_account.is_none());
    let world = World::plain().spec("podTemplate: {spec: {serviceAccountName: ''}}");
    assert!(support::foundation(&world.valid()).service_account.is_some());
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
        let budget = support::foundation(&world.valid())
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
fn pods_spread_over_nodes_and_zones() {
    let spread = pod(&World::plain().spec("podTemplate: {spec: {podPlacementPolicy: {name: default}}}"))
        .topology_spread_constraints
        .unwrap();
    let built: Vec<_> = spread
        .iter()
        .map(|it| {
            (
                it.topology_key.as_str(),
                it.when_unsatisfiable.as_str(),
                it.max_skew,
            )
        })
        .collect();
    assert_eq!(
        built,
        [
            ("kubernetes.io/hostname", "ScheduleAnyway", 1),
            ("topology.kubernetes.io/zone", "ScheduleAnyway", 1)
        ]
    );
    let selector = spread[0].label_selector.as_ref().unwrap().match_labels.as_ref();
    assert_eq!(selector, Some(&World::plain().valid().selector));
}

#[test]
fn shared_memory_is_freed_where_kubernetes_allows_it() {
    let table = [
        ("{}", "kernel.shm_rmid_forced=1"),
        ("{hostIPC: true}", ""),
        (
            "{securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '0'}]}}",
            "net.ipv4.ip_unprivileged_port_start=0 kernel.shm_rmid_forced=1",
        ),
        (
            "{securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: '0'}]}}",
            "kernel.shm_rmid_forced=0",
        ),
    ];
    for (asked, expected) in table {
        let pod = pod(&World::plain().spec(&format!("podTemplate: {{spec: {asked}}}")));
        let sysctls = pod.security_context.unwrap().sysctls.unwrap_or_default();
        let sysctls: Vec<_> = sysctls
            .iter()
            .map(|it| format!("{}={}", it.name, it.value))
            .collect();
        assert_eq!(sysctls.join(" "), expected, "{asked}");
    }
}

#[test]
fn what_is_empty_is_left_out_and_what_is_the_users_is_kept() {
    let world = World::plain().spec(
        "podTemplate: {spec: {dnsPolicy: '', schedulerName: '', nodeSelector: {node-role.kubernetes.io/pool: ''}, \
         tolerations: [{key: a, operator: '', effect: ''}], containers: [{name: side, image: i, imagePullPolicy: '', \
         env: [{name: A, value: ''}], ports: [{containerPort: 1, hostPort: 0, protocol: ''}], \
         livenessProbe: {tcpSocket: {port: 1}, timeoutSeconds: 0}}]}}",
    );
    let pod = pod(&world);
    assert_eq!((&pod.dns_policy, &pod.scheduler_name), (&None, &None));
    assert_eq!(pod.node_selector.unwrap()["node-role.kubernetes.io/pool"], "");
    let toleration = &pod.tolerations.unwrap()[0];
    assert_eq!((&toleration.operator, &toleration.effect), (&None, &None));
    let side = pod.containers.iter().find(|it| it.name == "side").unwrap();
    assert_eq!(side.image_pull_policy, None);
    assert_eq!(side.env.as_ref().unwrap()[0].value, None);
    let port = &side.ports.as_ref().unwrap()[0];
    assert_eq!((port.host_port, &port.protocol), (None, &None));
    assert_eq!(side.liveness_probe.as_ref().unwrap().timeout_seconds, None);
}

#[test]
fn two_pools_share_an_account_and_alter_it_not() {
    let mut other = World::plain().spec("podTemplate: {spec: {serviceAccountName: shop}}");
    other.pgpool.metadata.name = Some("other".to_owned());
    let one = World::plain().spec("podTemplate: {spec: {serviceAccountName: shop}}");
    for world in [one, other] {
        assert_eq!(pod(&world).service_account_name.as_deref(), Some("shop"));
        assert!(support::foundation(&world.valid()).service_account.is_none());
    }
}
