//! `spec.monitor`, by branch: the exporter, how it reaches pgpool in each mode, and what Prometheus discovers.

use k8s_openapi::api::core::v1::{Container, PodSpec, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shared_types::conditions::Reason;

use super::support::{self, World, file, material};
use crate::pgpool::build;
use crate::pgpool::decide::{Preview, TlsMaterial, Workload, fixtures};

pub(crate) fn monitored(world: World, monitor: &str) -> World {
    world.spec(&format!("monitor: {monitor}"))
}

pub(crate) fn builtin(world: World) -> World {
    monitored(world, "{agent: prometheus.io/builtin}")
}

fn pod(world: &World) -> PodSpec {
    let workload = support::stateful_set(&world.valid(), Some("pool-tls-0"));
    workload.spec.unwrap().template.spec.unwrap()
}

fn exporter(world: &World) -> Container {
    let found = pod(world).containers.into_iter().find(|it| it.name == "exporter");
    found.expect("an exporter")
}

pub(crate) fn stats(world: &World) -> Service {
    support::foundation(&world.valid())
        .stats_service
        .expect("a stats Service")
}

fn env(container: &Container, name: &str) -> Option<String> {
    let mut env = container.env.iter().flatten();
    env.find(|it| it.name == name).and_then(|it| it.value.clone())
}

#[test]
fn nobody_scrapes_and_nothing_is_there() {
    let worlds: [fn() -> World; 3] = [World::plain, World::tls, || {
        World::tls().spec("clientAuthMode: cert")
    }];
    for world in worlds.map(|world| Box::new(world())) {
        let foundation = support::foundation(&world.valid());
        assert!(foundation.stats_service.is_none() && foundation.exporter_secret.is_none());
        assert!(support::service_monitor(&world.valid()).is_none());
        let pod = pod(&world);
        assert_eq!(pod.containers.len(), 1);
        let volumes = pod.volumes.unwrap();
        assert!(volumes.iter().all(|volume| !volume.name.starts_with("exporter")));
        if world.valid().serves_tls() {
            let copy = support::tls_copy(&world.valid(), &material());
            assert_eq!(copy.data.unwrap().len(), 4);
        }
    }
}

#[test]
fn the_data_source_follows_the_mode() {
    let disable = "localhost:9999/postgres?sslmode=disable&connect_timeout=10";
    let require = "localhost:9999/postgres?sslmode=require&connect_timeout=10";
    let ca = "&sslrootcert=/tls/certs/ca.pem";
    let pair = "&sslcert=/tls/certs/tls.crt&sslkey=/run/pgpool-exporter/tls.key";
    let verify = |mode| format!("localhost:9999/postgres?sslmode={mode}&connect_timeout=10{ca}");
    let table = [
        ("disable", disable.to_owned()),
        ("allow", require.to_owned()),
        ("prefer", require.to_owned()),
        ("require", require.to_owned()),
        ("verify-ca", verify("verify-ca")),
        ("verify-full", verify("verify-full")),
    ];
    for (ssl_mode, expected) in table {
        for auth in ["md5", "scram", "cert"] {
            if (ssl_mode, auth) == ("disable", "cert") {
                continue;
            }
            let world = builtin(World::tls()).spec(&format!("sslMode: {ssl_mode}\nclientAuthMode: {auth}"));
            let exporter = exporter(&world);
            let (shows, uri) = (auth == "cert", env(&exporter, "DATA_SOURCE_URI").unwrap());
            let expected = format!("{expected}{}", if shows { pair } else { "" });
            assert_eq!(uri, expected, "{ssl_mode} {auth}");
            assert_eq!(
                env(&exporter, "DATA_SOURCE_USER"),
                shows.then(|| "postgres".to_owned())
            );
            assert_eq!(
                support::foundation(&world.valid()).exporter_secret.is_some(),
                !shows
            );
            mounted(&world, ssl_mode.starts_with("verify"), shows);
        }
    }
}

#[test]
fn without_a_ca_the_exporter_verifies_nothing() {
    for mode in ["verify-ca", "verify-full"] {
        for auth in ["scram", "cert"] {
            let world = builtin(World::tls()).spec(&format!("sslMode: {mode}\nclientAuthMode: {auth}"));
            let workload = Workload {
                server_ca: false,
                ..fixtures::workload(Some("pool-tls-0123"))
            };
            let workload = build::Preview.stateful_set(&world.valid(), &workload);
            let pod = workload.spec.unwrap().template.spec.unwrap();
            let exporter = pod.containers.iter().find(|it| it.name == "exporter").unwrap();
            let uri = env(exporter, "DATA_SOURCE_URI").unwrap();
            assert!(
                uri.contains("sslmode=require") && !uri.contains("sslrootcert"),
                "{uri}"
            );
            let volumes = serde_json::to_string(&pod.volumes).unwrap();
            assert!(
                !volumes.contains("\"path\":\"ca.pem\"") || auth == "cert",
                "{volumes}"
            );
        }
    }
}

#[test]
fn a_certificate_without_its_host_is_verified_by_its_chain() {
    for (ssl_mode, expected) in [
        ("require", "sslmode=require&"),
        ("verify-ca", "sslmode=verify-ca&"),
        ("verify-full", "sslmode=verify-ca&"),
    ] {
        let world = builtin(World::tls()).spec(&format!("sslMode: {ssl_mode}"));
        let workload = Workload {
            names_exporter_host: false,
            ..fixtures::workload(Some("pool-tls-0123"))
        };
        let workload = build::Preview.stateful_set(&world.valid(), &workload);
        let pod = workload.spec.unwrap().template.spec.unwrap();
        let exporter = pod.containers.iter().find(|it| it.name == "exporter").unwrap();
        let uri = env(exporter, "DATA_SOURCE_URI").unwrap();
        assert!(uri.contains(expected), "{ssl_mode}: {uri}");
        assert_eq!(uri.contains("sslrootcert"), ssl_mode != "require", "{uri}");
    }
}

/// What the exporter sees of files: never the key of the server.
fn mounted(world: &World, verifies: bool, shows: bool) {
    let volumes = pod(world).volumes.unwrap();
    let keys = |name: &str| {
        let volume = volumes.iter().find(|it| it.name == name)?;
        let secret = volume.secret.as_ref()?;
        assert_eq!(secret.default_mode, Some(0o440));
        let items = secret.items.iter().flatten();
        Some(
            items
                .map(|it| format!("{}={}", it.path, it.key))
                .collect::<Vec<_>>(),
        )
    };
    let expected = match (verifies, shows) {
        (false, false) => None,
        (true, false) => Some(vec!["ca.pem=server-ca.pem"]),
        (false, true) => Some(vec!["tls.crt=exporter.crt", "tls.key=exporter.key"]),
        (true, true) => Some(vec![
            "ca.pem=server-ca.pem",
            "tls.crt=exporter.crt",
            "tls.key=exporter.key",
        ]),
    };
    assert_eq!(
        keys("exporter-certs"),
        expected.map(|keys| keys.into_iter().map(str::to_owned).collect())
    );
    let paths: Vec<_> = exporter(world)
        .volume_mounts
        .unwrap()
        .into_iter()
        .map(|it| it.mount_path)
        .collect();
    let own = if shows {
        "/run/pgpool-exporter"
    } else {
        "/etc/pgpool-exporter"
    };
    let all = if verifies || shows {
        vec!["/tls/certs", own]
    } else {
        vec![own]
    };
    assert_eq!(paths, all);
    // The key of the exporter is none of pgpool's business.
    if shows {
        assert_eq!(
            keys("certs").unwrap(),
            [
                "tls.crt=tls.crt",
                "tls.key=tls.key",
                "ca.pem=ca.pem",
                "server-ca.pem=server-ca.pem"
            ]
        );
    }
}

#[test]
fn a_renewed_pair_of_the_exporter_is_a_new_copy_only_where_it_logs_in_by_it() {
    let renewed = || TlsMaterial {
        exporter_certificate: b"another leaf\n",
        exporter_key: b"another key\n",
        ..material()
    };
    let names = |world: &World| {
        [material(), renewed()].map(|it| support::tls_copy(&world.valid(), &it).metadata.name.unwrap())
    };
    let [before, after] = names(&builtin(World::tls()));
    assert_eq!(before, after);
    let cert = World::tls().spec("clientAuthMode: cert");
    let [before, after] = names(&cert);
    assert_eq!(before, after);
    let [before, after] = names(&builtin(cert));
    assert_ne!(before, after);
}

#[test]
fn no_password_stands_in_the_pod() {
    for world in [builtin(World::plain()), builtin(World::tls())] {
        let workload = serde_json::to_string(&support::stateful_set(&world.valid(), Some("x"))).unwrap();
        assert!(!workload.contains("hunter2"), "{workload}");
        let secret = support::foundation(&world.valid()).exporter_secret.unwrap();
        assert_eq!(file(&secret, "username"), "postgres");
        assert_eq!(file(&secret, "password"), "hunter2");
    }
}

#[test]
fn the_port_is_the_users_or_the_usual_one() {
    let table = [
        ("{agent: prometheus.io/builtin}", 9719),
        ("{agent: prometheus.io/builtin, prometheus: {exporter: {}}}", 9719),
        (
            "{agent: prometheus.io/builtin, prometheus: {exporter: {port: 0}}}",
            9719,
        ),
        (
            "{agent: prometheus.io/builtin, prometheus: {exporter: {port: 56790}}}",
            56790,
        ),
    ];
    for (monitor, port) in table {
        let world = monitored(World::plain(), monitor);
        let exporter = exporter(&world);
        assert_eq!(exporter.args.unwrap()[0], format!("--web.listen-address=:{port}"));
        assert_eq!(exporter.ports.unwrap()[0].container_port, port);
        let service = stats(&world);
        let listed = &service.spec.unwrap().ports.unwrap()[0];
        assert_eq!(
            (listed.port, &listed.target_port),
            (port, &Some(IntOrString::String("metrics".to_owned())))
        );
        let annotations = service.metadata.annotations.unwrap();
        assert_eq!(annotations["prometheus.io/port"], port.to_string());
    }
    for port in ["-1", "9999", "9595", "65536"] {
        let world = monitored(
            World::plain(),
            &format!("{{agent: prometheus.io/builtin, prometheus: {{exporter: {{port: {port}}}}}}}"),
        );
        let (reason, message) = world.rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid);
        assert!(
            message.contains(port) && message.contains("exporter.port"),
            "{message}"
        );
    }
}

#[test]
fn the_users_wishes_reach_the_container() {
    let world = World::plain().spec(
        "podTemplate: {spec: {containers: [{name: exporter, imagePullPolicy: Always, \
         resources: {limits: {memory: 1Gi}}, env: [{name: TZ, value: UTC}, {name: A, value: a}], \
         volumeMounts: [{name: scratch, mountPath: /scratch}], ports: [{containerPort: 80}]}], \
         volumes: [{name: scratch, emptyDir: {}}]}}",
    );
    let world = monitored(
        world,
        "{agent: prometheus.io, prometheus: {exporter: {args: ['--log.level=debug'], env: [{name: A, value: b}], \
         resources: {limits: {memory: 64Mi}}, securityContext: {runAsUser: 1000}}}}",
    );
    let exporter = exporter(&world);
    assert_eq!(exporter.image.as_deref(), Some("example.com/exporter:1.2.2"));
    assert_eq!(exporter.image_pull_policy.as_deref(), Some("Always"));
    assert_eq!(
        exporter.args.as_ref().unwrap().last().unwrap(),
        "--log.level=debug"
    );
    assert_eq!(
        [env(&exporter, "TZ"), env(&exporter, "A")],
        ["UTC", "b"].map(|it| Some(it.to_owned()))
    );
    assert_eq!(exporter.resources.unwrap().limits.unwrap()["memory"].0, "64Mi");
    let context = exporter.security_context.unwrap();
    assert_eq!(
        (context.run_as_user, context.run_as_group),
        (Some(1000), Some(70))
    );
    assert_eq!(
        (
            context.run_as_non_root,
            context.allow_privilege_escalation,
            context.read_only_root_filesystem
        ),
        (Some(true), Some(false), Some(true))
    );
    assert!(
        exporter
            .volume_mounts
            .unwrap()
            .iter()
            .any(|it| it.mount_path == "/scratch")
    );
    assert_eq!(exporter.ports.unwrap().len(), 2);
    assert!(exporter.readiness_probe.is_none() && exporter.liveness_probe.is_none());
}

#[test]
fn what_cannot_be_is_refused() {
    let agent = "agent: prometheus.io/builtin";
    let table = [
        ("{}", "spec.monitor.agent"),
        (
            &format!("{{{agent}, prometheus: {{exporter: {{args: ['--web.listen-address=:80']}}}}}}"),
            "spec.monitor.prometheus.exporter.port",
        ),
        (
            &format!("{{{agent}, prometheus: {{exporter: {{args: ['--web.telemetry-path=/x']}}}}}}"),
            "`--web.telemetry-path=/x`",
        ),
        (
            &format!(
                "{{{agent}, prometheus: {{exporter: {{env: [{{name: DATA_SOURCE_NAME, value: x}}]}}}}}}"
            ),
            "`DATA_SOURCE_NAME`",
        ),
    ];
    for (monitor, part) in table {
        let (reason, message) = monitored(World::plain(), monitor).rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{monitor}");
        assert!(
            message.contains(part) && message.contains("spec.monitor"),
            "{message}"
        );
    }
    for (field, cure) in [
        ("image: mine", "PgpoolVersion"),
        ("command: [x]", "`spec.monitor`"),
        ("args: [x]", "spec.monitor.prometheus.exporter.args"),
        ("env: [{name: DATA_SOURCE_PASS, value: x}]", "`DATA_SOURCE_PASS`"),
        (
            "volumeMounts: [{name: v, mountPath: /tls/certs/}]",
            "`/tls/certs`",
        ),
        (
            "volumeMounts: [{name: v, mountPath: /etc/pgpool-exporter}]",
            "`/etc/pgpool-exporter`",
        ),
    ] {
        let template = format!("podTemplate: {{spec: {{containers: [{{name: exporter, {field}}}]}}}}");
        let (reason, message) = builtin(World::plain().spec(&template)).rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{field}");
        assert!(
            message.contains(cure) && message.contains("spec.podTemplate"),
            "{message}"
        );
    }
    let mut world = builtin(World::plain());
    world.version.spec.exporter = None;
    let (reason, message) = world.rejected();
    assert_eq!(reason, Reason::NotSupported);
    assert!(
        message.contains("PgpoolVersion `4.6.1`") && message.contains("spec.exporter.image"),
        "{message}"
    );
}

#[test]
fn an_exporter_of_the_users_own_is_left_alone() {
    let template = "podTemplate: {spec: {containers: [{name: exporter, image: mine, args: [x]}]}}";
    let exporter = exporter(&World::plain().spec(template));
    assert_eq!(exporter.image.as_deref(), Some("mine"));
    assert!(exporter.command.is_none());
}
