//! What runs the user's scripts, run by the shell of this machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::pgpool::build::init_job::RUNNER;
use tempfile::TempDir;

/// A folder of scripts, and a `psql` that says what it is asked and fails on what it does not like.
fn folder(files: &[(&str, &str)]) -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let bin = folder.path().join(".bin");
    fs::create_dir(&bin).expect("a folder");
    let psql = bin.join("psql");
    fs::write(
        &psql,
        "#!/bin/sh\necho \"psql $*\"\nfor last; do :; done\n! grep -q wrong \"$last\"\n",
    )
    .expect("psql");
    fs::set_permissions(&psql, fs::Permissions::from_mode(0o755)).expect("psql");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        // As in a volume: not executable.
        fs::write(path, text).expect("a script");
    }
    folder
}

fn run(folder: &TempDir, what: &Path, with_psql: bool) -> Output {
    // Without psql the shell has nothing but itself.
    let path = if with_psql { "/usr/bin:/bin" } else { "/nowhere" };
    let bin = folder.path().join(if with_psql { ".bin" } else { "nowhere" });
    Command::new("/bin/sh")
        .args(["-c", RUNNER])
        .env_clear()
        .env("PGPOOL_INIT_SCRIPTS", what)
        .env("PATH", format!("{}:{path}", bin.display()))
        .output()
        .expect("a shell")
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_folder_runs_in_the_order_of_its_names_and_stops_at_the_first_failure() {
    let folder = folder(&[
        ("20-b.sql", "select 1"),
        ("10-a.sh", "echo first"),
        ("30-c.sh", "#!/bin/bash\nx=(1 2); echo \"third ${x[1]}\""),
        ("notes.txt", "exit 9"),
        ("deep/40.sh", "exit 9"),
        ("folder.sh/x", "exit 9"),
    ]);
    let output = run(&folder, folder.path(), true);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let places: Vec<_> = ["first", "psql -X -v ON_ERROR_STOP=1 -f", "third 2", "all done"]
        .iter()
        .map(|words| {
            said.find(words)
                .unwrap_or_else(|| panic!("no {words:?} in {said}"))
        })
        .collect();
    assert!(places.is_sorted(), "{said}");

    fs::write(folder.path().join("20-b.sql"), "wrong").expect("a script");
    let output = run(&folder, folder.path(), true);
    let said = self::said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("20-b.sql failed") && !said.contains("third"),
        "{said}"
    );
}

#[test]
fn one_script_ends_as_it_ends() {
    let folder = folder(&[
        ("plain", "echo \"I am $0\"; exit 7"),
        ("words.sh", "#! /bin/sh -e\nfalse\necho never"),
        ("interpreter", "#!/no/such/thing\n"),
        ("empty", ""),
        ("no-end", "echo here"),
    ]);
    for (name, code, words) in [
        ("plain", 7, "I am "),
        ("words.sh", 1, "words.sh failed"),
        ("interpreter", 127, "interpreter failed"),
        ("empty", 0, "all done"),
        ("no-end", 0, "here"),
    ] {
        let output = run(&folder, &folder.path().join(name), true);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(said.contains(words) && !said.contains("never"), "{name}: {said}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let folder = folder(&[("a b/x.txt", "")]);
    for (path, words) in [("gone", "scriptPath"), ("a b", "no *.sh and no *.sql")] {
        let output = run(&folder, &folder.path().join(path), true);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(66), "{path}: {said}");
        assert!(said.contains(words), "{path}: {said}");
    }
    let sql = folder.path().join("x.sql");
    fs::write(&sql, "select 1").expect("a script");
    let output = run(&folder, &sql, false);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(127), "{said}");
    assert!(said.contains("the image has no psql"), "{said}");
}
