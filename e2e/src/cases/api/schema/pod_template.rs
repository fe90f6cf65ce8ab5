//! Rows of the pods of a Pgpool.

use serde_json::{Value, json};

use super::pool;
use super::row::Row;

pub(super) fn rows() -> Vec<Row> {
    [
        pod(),
        env(),
        mounts("/spec/podTemplate/spec/containers"),
        mounts("/spec/podTemplate/spec/initContainers"),
        ours(),
        exporter(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn at(path: &'static str) -> Row {
    Row::of(pool, path).given(
        "/spec/podTemplate/spec",
        json!({"volumes": [{"name": "mine", "emptyDir": {}}]}),
    )
}

fn pod() -> Vec<Row> {
    let volume =
        "spec.podTemplate.spec.volumes[].name is taken by a volume of the generated pod: choose another";
    vec![
        at("/spec/podTemplate/spec/volumes")
            .takes(json!([{"name": "certs-of-mine", "emptyDir": {}}]))
            .refuses(json!([{"name": "certs", "emptyDir": {}}]), volume)
            .refuses(json!([{"name": "pgpool-config", "emptyDir": {}}]), volume)
            .refuses(json!([{"name": "exporter-certs", "emptyDir": {}}]), volume)
            .refuses(json!([{"name": "pgpool-pcp-config", "emptyDir": {}}]), volume)
            .refuses(json!([{"name": "init-scripts", "emptyDir": {}}]), volume)
            .refuses(
                json!([{"name": "a"}, {"name": "a"}]),
                "spec.podTemplate.spec.volumes[1]: Duplicate value",
            ),
        at("/spec/podTemplate/spec/serviceAccountName")
            .takes(json!("own"))
            .takes(json!(""))
            .refuses(
                json!("A/b"),
                "spec.podTemplate.spec.serviceAccountName is not the name of an object",
            ),
        at("/spec/podTemplate/spec/serviceAccount")
            .takes(json!("own"))
            .refuses(
                json!("A/b"),
                "spec.podTemplate.spec.serviceAccount is not the name of an object",
            ),
        at("/spec/podTemplate/spec/terminationGracePeriodSeconds")
            .takes(json!(0))
            .refuses(
                json!(-1),
                "terminationGracePeriodSeconds in body should be greater than or equal to 0",
            ),
        at("/spec/podTemplate/spec/resources")
            .takes(json!({"limits": {"cpu": 2, "memory": 536_870_912}}))
            .refuses(
                json!({"limits": {"cpu": "two"}}),
                "spec.podTemplate.spec.resources has an amount that is none: write amounts such as 500m",
            ),
    ]
}

fn env() -> Vec<Row> {
    let reserved = "containers[].env of container pgpool sets a variable that is reserved: remove";
    let variable = |name: &str, variable: &str| json!([{"name": name, "image": "a", "env": [{"name": variable, "value": "b"}]}]);
    let pgpool = |variable: &str| json!([{"name": "pgpool", "env": [{"name": variable, "value": "b"}]}]);
    vec![
        at("/spec/podTemplate/spec/containers")
            .takes(pgpool("REPORTS_USERNAME"))
            .takes(variable("other", "POSTGRES_PASSWORD"))
            .refuses(pgpool("POSTGRES_USERNAME"), reserved)
            .refuses(pgpool("POSTGRES_PASSWORD"), reserved)
            .refuses(pgpool("PGPOOL_PCP_USER"), reserved)
            .refuses(pgpool("PGPOOL_PCP_PASSWORD"), reserved)
            .refuses(pgpool("PGPOOL_PASSWORD_ENCRYPTION_METHOD"), reserved)
            .refuses(pgpool("PGPOOL_ENABLE_POOL_PASSWD"), reserved)
            .refuses(pgpool("PGPOOL_SKIP_PASSWORD_ENCRYPTION"), reserved),
    ]
}

/// What holds in every container.
fn mounts(list: &'static str) -> Vec<Row> {
    let mount = |path: &str| json!([{"name": "other", "image": "a", "volumeMounts": [{"name": "mine", "mountPath": path}]}]);
    let amount =
        |amount: Value| json!([{"name": "other", "image": "a", "resources": {"requests": {"cpu": amount}}}]);
    let (taken, nowhere, absent, image, resources) = if list.ends_with("initContainers") {
        (
            "spec.podTemplate.spec.initContainers[].volumeMounts[].mountPath is taken: mount the volume elsewhere",
            "spec.podTemplate.spec.initContainers[].volumeMounts[].mountPath is no place for a volume",
            "spec.podTemplate.spec.initContainers mounts a volume that is not there: add it to",
            "spec.podTemplate.spec.initContainers[] has no image: set it",
            "spec.podTemplate.spec.initContainers[].resources has an amount that is none",
        )
    } else {
        (
            "spec.podTemplate.spec.containers[].volumeMounts[].mountPath is taken: mount the volume elsewhere",
            "spec.podTemplate.spec.containers[].volumeMounts[].mountPath is no place for a volume",
            "spec.podTemplate.spec.containers mounts a volume that is not there: add it to",
            "spec.podTemplate.spec.containers[] has no image: set it",
            "spec.podTemplate.spec.containers[].resources has an amount that is none",
        )
    };
    vec![
        at(list)
            .takes(mount("/data"))
            .takes(mount("/configuration"))
            .takes(mount("/etc/config/"))
            .takes(mount("/run/pgpool"))
            .refuses(mount("/config"), taken)
            .refuses(mount("/config/"), taken)
            .refuses(mount("/config/tls"), taken)
            .refuses(mount("//config/./x"), taken)
            .refuses(mount("config"), taken)
            .refuses(mount("/tls/certs"), taken)
            .refuses(mount("/init-scripts/a"), taken)
            .refuses(mount("/a/../config"), nowhere)
            .refuses(mount("/"), nowhere)
            .refuses(mount(""), nowhere),
        at(list)
            .takes(json!([{"name": "other", "image": "a", "volumeMounts": [{"name": "pgpool-run", "mountPath": "/a"}]}]))
            .refuses(
                json!([{"name": "other", "image": "a", "volumeMounts": [{"name": "nowhere", "mountPath": "/a"}]}]),
                absent,
            ),
        at(list)
            .takes(json!([{"name": "git-sync"}]))
            .refuses(json!([{"name": "other"}]), image),
        at(list)
            .takes(amount(json!(1)))
            .takes(amount(json!("500m")))
            .takes(amount(json!("0.5")))
            .refuses(amount(json!("half")), resources)
            .refuses(amount(json!("-1")), resources)
            .refuses(amount(json!(-1)), resources),
        at(list)
            .takes(json!([{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]))
            .refuses(json!([{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]), "[1]: Duplicate value")
            .refuses(json!([{"image": "a"}]), "[0].name: Required value"),
    ]
}

/// What holds in container `pgpool`.
fn ours() -> Vec<Row> {
    let taken = "containers[].volumeMounts of container pgpool takes a path that is mounted already: mount";
    let fixed = "spec.podTemplate.spec.containers[] of name pgpool follows from spec.version: leave out image, command, args";
    let mount =
        |path: &str| json!([{"name": "pgpool", "volumeMounts": [{"name": "mine", "mountPath": path}]}]);
    vec![
        at("/spec/podTemplate/spec/containers")
            .takes(mount("/logs"))
            .takes(mount("/tmp/mine"))
            .takes(mount("/opt/pgpool-II/share"))
            .refuses(mount("/opt/pgpool-II/etc"), taken)
            .refuses(mount("/opt//pgpool-II/./tls/x"), taken)
            .refuses(mount("/run/pgpool/"), taken)
            .refuses(mount("/var/run/pgpool"), taken)
            .takes(mount("/tmp/")),
        at("/spec/podTemplate/spec/containers")
            .takes(json!([{"name": "pgpool", "imagePullPolicy": "Always"}]))
            .refuses(json!([{"name": "pgpool", "image": "a"}]), fixed)
            .refuses(json!([{"name": "pgpool", "command": ["a"]}]), fixed)
            .refuses(json!([{"name": "pgpool", "args": ["a"]}]), fixed),
    ]
}

/// What holds in container `exporter`, and the name that init containers cannot have.
fn exporter() -> Vec<Row> {
    let with = |field: &str, value: Value| {
        let mut container = json!({"name": "exporter"});
        container[field] = value;
        json!([container])
    };
    let mount = |path: &str| with("volumeMounts", json!([{"name": "mine", "mountPath": path}]));
    vec![
        at("/spec/podTemplate/spec/containers")
            .takes(mount("/etc/mine"))
            .takes(with("env", json!([{"name": "A", "value": "b"}])))
            .refuses(
                mount("/etc/pgpool-exporter/"),
                "containers[].volumeMounts of container exporter takes a path that is mounted already: mount",
            )
            .refuses(
                with("env", json!([{"name": "DATA_SOURCE_URI", "value": "b"}])),
                "containers[].env of container exporter sets a variable that is reserved: remove",
            )
            .refuses(
                with("args", json!(["--a"])),
                "spec.podTemplate.spec.containers[] of name exporter follows from spec.monitor: leave out image, command, args",
            ),
        at("/spec/podTemplate/spec/initContainers")
            .takes(json!([{"name": "first", "image": "a"}]))
            .refuses(
                json!([{"name": "pgpool", "image": "a"}]),
                "spec.podTemplate.spec.initContainers[].name is taken: rename the init container",
            ),
    ]
}
