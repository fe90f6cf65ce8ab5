//! The Job that runs the user's scripts.

use insta::assert_yaml_snapshot;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::Value;
use shared_types::names;

use crate::pgpool::build::init_job;

use super::support::{self, World, file, readable};

fn git(mut world: World) -> World {
    world.version.spec.git_syncer = Some(shared_types::pgpool_version::Image {
        image: "example.com/git-sync:4".to_owned(),
    });
    world
}

fn job(world: &World) -> Job {
    let validated = world.valid();
    let copy = validated.serves_tls().then_some("pool-tls-0123");
    support::init_job(&validated, copy)
}

fn pod(job: &Job) -> &PodSpec {
    let spec = job.spec.as_ref().expect("a spec");
    spec.template.spec.as_ref().expect("a pod")
}

fn named<'a>(containers: &'a [Container], name: &str) -> &'a Container {
    containers.iter().find(|it| it.name == name).expect(name)
}

/// The Job without the text of its runner, which has tests of its own.
fn shown(world: &World) -> Value {
    let mut job = readable(&job(world));
    let args = &mut job["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(args[0], init_job::RUNNER);
    *args = "the runner".into();
    job
}

#[test]
fn scripts_of_a_config_map() {
    let world = World::plain().spec("init: {script: {scriptPath: init.sh, configMap: {name: scripts}}}");
    assert_yaml_snapshot!("init-config-map", shown(&world));
    let secret = support::foundation(&world.valid()).users_secret;
    assert_eq!(
        file(&secret, "init-password"),
        world.valid().backend.login.password.expose()
    );
    // Nobody who has no scripts has it.
    let secret = support::foundation(&World::plain().valid()).users_secret;
    assert!(!secret.data.expect("data").contains_key("init-password"));
}

#[test]
fn scripts_of_a_secret_with_certificates() {
    let world = World::tls().spec("{clientAuthMode: cert, init: {script: {secret: {secretName: scripts}}}}");
    assert_yaml_snapshot!("init-secret", shown(&world));
}

#[test]
fn scripts_of_a_repository() {
    let world = git(World::plain()).spec(
        "init: {script: {scriptPath: current, git: {args: [--repo=https://example.com/x, --depth=1], \
         env: [{name: A, value: b}], resources: {limits: {memory: 64Mi}}, securityContext: {runAsUser: 65533}, \
         authSecret: {name: deploy-key}}}}",
    );
    assert_yaml_snapshot!("init-git", shown(&world));
}

#[test]
fn a_pod_of_scripts_is_no_pod_of_the_pool() {
    let world = World::shaped().spec("init: {script: {configMap: {name: scripts}}}");
    let job = job(&world);
    let template = &job.spec.as_ref().expect("a spec").template;
    let metadata = template.metadata.as_ref().expect("metadata");
    let labels = metadata.labels.as_ref().expect("labels");
    let selector = names::selector_labels("pool");
    assert!(!selector.iter().all(|(key, value)| labels.get(key) == Some(value)));
    // What watches all pods of all pools does not see it either.
    let watched = names::SELECTOR.split(',').filter_map(|term| term.split_once('='));
    assert!(
        !watched
            .into_iter()
            .all(|(key, value)| labels.get(key).is_some_and(|it| it == value))
    );
    assert_eq!(
        pod(&job).containers.len(),
        1,
        "a sidecar of the user would never end"
    );
    assert_eq!(job.metadata.owner_references, Some(vec![world.valid().owner]));
}

#[test]
fn scripts_see_what_the_user_gives_to_pgpool() {
    let world = World::plain().spec(
        "{init: {script: {configMap: {name: scripts}}}, podTemplate: {spec: {nodeSelector: {a: b}, \
         volumes: [{name: extra, emptyDir: {}}, {name: unused, emptyDir: {}}], containers: [{name: pgpool, \
         env: [{name: PGDATABASE, value: shop}, {name: COLOR, value: red}], \
         volumeMounts: [{name: extra, mountPath: /extra}]}, {name: other, image: x}]}}}",
    );
    let job = job(&world);
    let pod = pod(&job);
    let scripts = named(&pod.containers, init_job::SCRIPTS);
    let value = |name: &str| {
        let mut found = scripts.env.iter().flatten().filter(|it| it.name == name);
        let value = found.next().and_then(|it| it.value.clone());
        assert!(found.next().is_none(), "{name} stands there twice");
        value
    };
    assert_eq!(value("COLOR").as_deref(), Some("red"));
    assert_eq!(
        value("PGDATABASE").as_deref(),
        Some("shop"),
        "the user knows better"
    );
    assert_eq!(value("PGHOST").as_deref(), Some("localhost"));
    let mounts = |it: &Container| {
        let mounts = it.volume_mounts.iter().flatten();
        mounts.map(|mount| mount.mount_path.clone()).collect::<Vec<_>>()
    };
    assert!(mounts(scripts).contains(&"/extra".to_owned()));
    let volumes: Vec<_> = pod.volumes.iter().flatten().map(|it| it.name.as_str()).collect();
    assert!(
        volumes.contains(&"extra") && !volumes.contains(&"unused"),
        "{volumes:?}"
    );
    assert!(pod.node_selector.is_some());
}

#[test]
fn no_password_stands_in_the_pod_and_no_key_of_the_pool() {
    let worlds: [fn() -> World; 3] = [
        || World::plain().spec("init: {script: {configMap: {name: scripts}}}"),
        || World::tls().spec("init: {script: {configMap: {name: scripts}}}"),
        || World::tls().spec("{clientAuthMode: cert, init: {script: {configMap: {name: scripts}}}}"),
    ];
    for world in worlds.map(|world| Box::new(world())) {
        let job = job(&world);
        let text = serde_json::to_string(&job).expect("serializes");
        assert!(
            !text.contains(world.valid().backend.login.password.expose()),
            "{text}"
        );
        let scripts = named(&pod(&job).containers, init_job::SCRIPTS);
        for mount in scripts
            .volume_mounts
            .iter()
            .flatten()
            .filter(|it| it.name == "certs")
        {
            assert_eq!(mount.sub_path.as_deref(), Some("server-ca.pem"));
        }
    }
}

#[test]
fn what_kubernetes_would_expand_is_written_so_that_it_does_not() {
    let world = World::plain().spec("init: {script: {scriptPath: 'a$(PGHOST)', configMap: {name: scripts}}}");
    let job = job(&world);
    let scripts = named(&pod(&job).containers, init_job::SCRIPTS);
    let mut env = scripts.env.iter().flatten();
    let what = env.find(|it| it.name == "PGPOOL_INIT_SCRIPTS").expect("it");
    assert_eq!(what.value.as_deref(), Some("/init-scripts/a$$(PGHOST)"));
    assert!(!init_job::RUNNER.contains("$("), "nor in the runner");
}
