use std::sync::Arc;

use serde_json::{Value, json};
use shared_types::PgpoolVersion;
use shared_types::explanation::Blocked;

use super::*;
use crate::fixtures::{inputs, plain_pgpool, tls_pgpool};
use crate::pgpool::observe::Lookup;

fn validated(script: &Value) -> Initialization {
    let mut pgpool = plain_pgpool();
    pgpool.spec.init = Some(serde_json::from_value(json!({ "script": script })).unwrap());
    let mut inputs = inputs(&pgpool);
    let mut version = PgpoolVersion::clone(inputs.version.present().unwrap());
    version.spec.git_syncer = Some(serde_json::from_value(json!({ "image": "git-sync:4" })).unwrap());
    inputs.version = Lookup::Present(Arc::new(version));
    initialization(&pgpool, &inputs)
}

fn wanted(script: &Value) -> Init {
    match validated(script) {
        Initialization::Wanted(init) => *init,
        other => panic!("{script}: {other:?}"),
    }
}

fn refused(script: &Value) -> String {
    match validated(script) {
        Initialization::Refused(Blocked::Stuck(explanation)) => explanation.message,
        other => panic!("{script}: {other:?}"),
    }
}

#[test]
fn the_path_stays_below_the_source() {
    let map = |path: &str| json!({ "configMap": { "name": "a" }, "scriptPath": path });
    for (path, expected) in [
        ("", "/init-scripts"),
        ("/", "/init-scripts"),
        ("init.sh", "/init-scripts/init.sh"),
        ("/a//./b/", "/init-scripts/a/b"),
        ("a b$(X)", "/init-scripts/a b$(X)"),
    ] {
        let init = wanted(&map(path));
        assert_eq!(
            (init.root.as_str(), init.path.as_str()),
            (ROOT, expected),
            "{path}"
        );
    }
    for path in ["..", "a/../../etc", "a\nb", "\u{1b}[2J"] {
        assert!(refused(&map(path)).contains("scriptPath"), "{path:?}");
    }
}

#[test]
fn there_is_exactly_one_source() {
    for (script, words) in [
        (json!({}), "names no source"),
        (json!({ "scriptPath": "a" }), "names no source"),
        (
            json!({ "configMap": { "name": "a" }, "secret": { "secretName": "b" } }),
            "2 sources (configMap, secret)",
        ),
        (
            json!({ "configMap": { "name": "a" }, "git": { "args": ["--repo=x"] } }),
            "2 sources (configMap, git)",
        ),
        (json!({ "configMap": "a" }), "is no volume"),
        (json!({ "git": { "args": [] } }), "git.args"),
        (json!({ "git": { "args": [" "] } }), "git.args"),
    ] {
        let message = refused(&script);
        assert!(message.contains(words), "{script}: {message}");
    }
}

#[test]
fn what_git_sync_is_not_told_is_added() {
    let git = |args: Value, path: Value| {
        let mut script = json!({ "git": { "args": args } });
        script["scriptPath"] = path;
        let init = wanted(&script);
        match init.source {
            Source::Git(git) => (git.args, init.root, init.path),
            Source::Volume(_) => panic!("{script}"),
        }
    };
    let cases = [
        (
            json!(["--repo=x"]),
            Value::Null,
            vec!["--repo=x", "--root=/init-scripts", "--link=current", "--one-time"],
            "/init-scripts/current",
        ),
        (
            json!(["--repo=x", "--one-time"]),
            json!("latest/sql"),
            vec!["--repo=x", "--one-time", "--root=/init-scripts", "--link=latest"],
            "/init-scripts/latest/sql",
        ),
        (
            json!(["--repo", "x", "--root", "/work/", "-link=a", "--one-time=true"]),
            json!("a/b.sh"),
            vec!["--repo", "x", "--root", "/work/", "-link=a", "--one-time=true"],
            "/work/a/b.sh",
        ),
        (
            json!(["--repo=x", "--rootless"]),
            Value::Null,
            vec![
                "--repo=x",
                "--rootless",
                "--root=/init-scripts",
                "--link=current",
                "--one-time",
            ],
            "/init-scripts/current",
        ),
    ];
    for (args, path, expected, runs) in cases {
        let (found, root, path) = git(args.clone(), path);
        assert_eq!(found, expected, "{args}");
        assert_eq!(path, runs, "{args}");
        assert!(path.starts_with(&root));
    }
    let by_environment = json!({ "git": {
        "args": ["--repo=x"],
        "env": [{ "name": "GITSYNC_LINK", "value": "now" }],
    } });
    assert_eq!(wanted(&by_environment).path, "/init-scripts/now");
}

#[test]
fn git_sync_keeps_off_the_folders_of_the_pool() {
    for root in [
        "/config",
        "/config/tls/",
        "/opt/pgpool-II/etc/x",
        "/opt",
        "/",
        "//run/./pgpool",
        "/etc/git-secret",
        "/tmp/x",
        "/x/../config",
        "scripts",
    ] {
        // No init containers in the pod template: the check does not depend on them.
        let script = json!({ "git": { "args": ["--repo=x", format!("--root={root}")] } });
        let message = refused(&script);
        assert!(message.contains("--root"), "{root}: {message}");
    }
    let script = json!({ "git": { "args": ["--repo=x", "--root=/init-scripts/deep"] } });
    assert_eq!(wanted(&script).root, "/init-scripts/deep");
}

#[test]
fn the_catalog_has_to_name_the_image_of_git_sync() {
    let mut pgpool = plain_pgpool();
    let init = json!({ "script": { "git": { "args": ["--repo=x"] } } });
    pgpool.spec.init = Some(serde_json::from_value(init).unwrap());
    match initialization(&pgpool, &inputs(&pgpool)) {
        Initialization::Refused(Blocked::Stuck(explanation)) => {
            assert_eq!(explanation.reason, Reason::NotSupported);
            assert!(
                explanation.message.contains("PgpoolVersion `4.6.1`"),
                "{explanation}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_user_may_say_that_all_is_done() {
    let mut pgpool = tls_pgpool();
    let read = |pgpool: &Pgpool| initialization(pgpool, &inputs(pgpool));
    assert!(matches!(read(&pgpool), Initialization::None));
    for (init, skipped) in [
        (json!({ "initialized": true }), true),
        (json!({ "initialized": true, "script": { "emptyDir": {} } }), true),
        (json!({ "initialized": false }), false),
        (
            json!({ "waitForInitialRestore": true, "archiver": { "x": 1 } }),
            false,
        ),
    ] {
        pgpool.spec.init = Some(serde_json::from_value(init.clone()).unwrap());
        let read = read(&pgpool);
        assert_eq!(matches!(read, Initialization::Skipped), skipped, "{init}");
        assert!(read.wanted().is_none());
    }
}
