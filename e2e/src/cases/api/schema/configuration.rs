//! Rows of the settings, backends and scripts of a Pgpool.

use serde_json::json;

use super::pool;
use super::row::Row;

pub(super) fn rows() -> Vec<Row> {
    [configuration(), backends(), hosts(), init()]
        .into_iter()
        .flatten()
        .collect()
}

fn at(path: &'static str) -> Row {
    Row::of(pool, path)
}

fn configuration() -> Vec<Row> {
    vec![
        at("/spec/configuration/inline")
            .takes(json!({"pgpool.conf": "max_pool = 4"}))
            .takes(json!({}))
            .refuses(
                json!({"pool_hba.conf": "host all all all trust"}),
                "spec.configuration.inline knows one file: put the settings under the key pgpool.conf",
            ),
        at("/spec/configuration/secretName")
            .takes(json!("settings"))
            .takes(json!(""))
            .refuses(
                json!("a/b"),
                "spec.configuration.secretName is not the name of an object",
            ),
    ]
}

fn backends() -> Vec<Row> {
    let either = "spec.configuration.backends[] is one group or one host: set either groupName or hostName";
    let weight = "spec.configuration.backends[0].weight in body should be greater than or equal to 0";
    vec![
        at("/spec/configuration/backends")
            .takes(json!([{"groupName": "PRIMARY", "weight": 1}, {"groupName": "STANDBY", "weight": 0}]))
            .takes(json!([{"hostName": "a", "weight": 1}, {"hostName": "a", "port": 5433, "weight": 1}]))
            .takes(json!([]))
            .refuses(
                json!([{"groupName": "PRIMARY", "weight": 1}, {"hostName": "a", "weight": 1}]),
                "spec.configuration.backends names either groups or hosts: use groupName in every entry, or hostName",
            )
            .refuses(json!([{"weight": 1}]), either)
            .refuses(json!([{"groupName": "", "hostName": "", "weight": 1}]), either)
            .refuses(json!([{"groupName": "PRIMARY", "hostName": "a", "weight": 1}]), either)
            .refuses(
                json!([{"groupName": "PRIMARY", "port": 5432, "weight": 1}]),
                "spec.configuration.backends[].port belongs to a host: remove port, or set hostName",
            )
            .refuses(
                json!([{"hostName": "a", "weight": 1}, {"hostName": "a", "port": 5432, "weight": 2}]),
                "spec.configuration.backends has one server twice: remove the second entry",
            )
            .refuses(
                json!([{"groupName": "STANDBY", "weight": 1}, {"groupName": "STANDBY", "weight": 2}]),
                "spec.configuration.backends has one server twice: remove the second entry",
            )
            .refuses(json!([{"hostName": "a"}]), "spec.configuration.backends[0].weight: Required value")
            .refuses(json!([{"hostName": "a", "weight": -1}]), weight)
            .refuses(
                json!([{"hostName": "a", "weight": 100_000_001}]),
                "spec.configuration.backends[0].weight in body should be less than or equal to 100000000",
            )
            .refuses(
                json!([
                    {"hostName": "a", "flag": "ALWAYS_PRIMARY", "weight": 1},
                    {"hostName": "b", "flag": "ALWAYS_PRIMARY", "weight": 1},
                ]),
                "spec.configuration.backends has flag ALWAYS_PRIMARY twice: leave it",
            ),
    ]
}

fn hosts() -> Vec<Row> {
    vec![
        at("/spec/configuration/backends")
            .takes(json!([{"hostName": "192.0.2.1", "port": 1024, "weight": 1}]))
            .takes(json!([{"hostName": "2001:db8::1", "port": 65535, "weight": 1}]))
            .refuses(
                json!([{"hostName": "a", "port": 1023, "weight": 1}]),
                "spec.configuration.backends[0].port in body should be greater than or equal to 1024",
            )
            .refuses(
                json!([{"hostName": "a", "port": 65536, "weight": 1}]),
                "spec.configuration.backends[0].port in body should be less than or equal to 65535",
            )
            .refuses(
                json!([{"hostName": "postgresql://a:5432/b", "weight": 1}]),
                "spec.configuration.backends[].hostName is no host: give a DNS name or an IP address",
            )
            .refuses(
                json!([{"hostName": "a'\nb = 'c", "weight": 1}]),
                "spec.configuration.backends[].hostName is no host: give a DNS name or an IP address",
            ),
        at("/spec/configuration/backends")
            .takes(json!([{"hostName": "a", "flag": "ALWAYS_PRIMARY | DISALLOW_TO_FAILOVER", "weight": 1}]))
            .takes(json!([{"hostName": "a", "flag": "", "weight": 1}]))
            .refuses(
                json!([{"hostName": "a", "flag": "DISALLOW_TO_FAILOVER|ALLOW_TO_FAILOVER", "weight": 1}]),
                "spec.configuration.backends[].flag contradicts itself: keep one",
            )
            .refuses(
                json!([{"hostName": "a", "flag": "PRIMARY", "weight": 1}]),
                "spec.configuration.backends[].flag has an unknown word: use ALLOW_TO_FAILOVER",
            ),
    ]
}

fn init() -> Vec<Row> {
    let source = "spec.init.script has one source: set configMap, secret, git or another volume source";
    let root = "spec.init.script.git.args has a --root that is in use: leave it out for /init-scripts";
    let repo = "--repo=https://example.com/scripts";
    vec![
        at("/spec/init/script")
            .takes(json!({"configMap": {"name": "scripts"}}))
            .takes(json!({"scriptPath": "current", "git": {"args": [repo]}}))
            .refuses(json!({"scriptPath": "current"}), source)
            .refuses(json!({"configMap": {"name": "a"}, "git": {"args": [repo]}}), source),
        at("/spec/init/script")
            .takes(json!({"scriptPath": "a/b..sql", "secret": {"secretName": "scripts"}}))
            .refuses(
                json!({"scriptPath": "a/../../etc", "secret": {"secretName": "scripts"}}),
                "spec.init.script.scriptPath leaves its source: name a path below it, without ..",
            ),
        at("/spec/init/script/git")
            .takes(json!({"args": [], "env": [{"name": "GITSYNC_REPO", "value": "https://example.com/scripts"}]}))
            .takes(json!({"args": [repo, "--root=/scripts"]}))
            .takes(json!({"args": [repo, "--root=/init-scripts/sub"]}))
            .takes(json!({"args": [repo, "--root=/configuration"]}))
            .takes(json!({"args": [repo], "env": [{"name": "GITSYNC_ROOT", "value": "/scripts"}]}))
            .refuses(json!({"args": ["--depth=1"]}), "spec.init.script.git.args names no repository: add --repo=URL")
            .refuses(json!({"args": [repo, "--root=/config"]}), root)
            .refuses(json!({"args": [repo, "--root=/config/"]}), root)
            .refuses(json!({"args": [repo, "--root=//config/tls"]}), root)
            .refuses(json!({"args": [repo, "--root=/a/../config"]}), root)
            .refuses(json!({"args": [repo, "-root=/opt/pgpool-II/etc/x"]}), root)
            .refuses(json!({"args": [repo, "--root", "/config"]}), root)
            .refuses(json!({"args": [repo], "env": [{"name": "GITSYNC_ROOT", "value": "/config"}]}), root)
            .refuses(
                json!({"args": [repo], "authSecret": {"name": "a b"}}),
                "spec.init.script.git.authSecret.name is not the name of an object",
            )
            .refuses(
                json!({"args": [repo], "resources": {"limits": {"memory": "lots"}}}),
                "spec.init.script.git.resources has an amount that is none: write amounts such as 500m",
            )
            .refuses(json!({}), "spec.init.script.git.args: Required value"),
    ]
}
