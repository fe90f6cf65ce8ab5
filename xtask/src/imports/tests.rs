use super::*;
use crate::workspace::Sources;

#[test]
fn this_workspace_keeps_its_rules() {
    let findings = check().unwrap();
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// A crate of these files, where `lib.rs` stands for `demo/src/lib.rs`.
fn crate_of(files: &[(&str, &str)]) -> Crate {
    let sources: Sources = files
        .iter()
        .map(|(path, text)| (format!("demo/src/{path}"), (*text).to_owned()))
        .collect();
    let main = "demo/src/main.rs".to_owned();
    Crate {
        name: "demo".to_owned(),
        library: Some(("demo/src/lib.rs".to_owned(), "demo".to_owned())),
        binaries: if sources.contains_key(&main) {
            vec![main]
        } else {
            Vec::new()
        },
        dependencies: Vec::new(),
        sources,
    }
}

/// Every import between files, as "a imports X from b".
fn imports_of(files: &[(&str, &str)]) -> Vec<String> {
    let tree = Tree::of(&crate_of(files)).unwrap();
    let edges = resolve::edges(&tree);
    let texts = edges
        .keys()
        .map(|(from, to)| link_text(&tree, &edges, *from, *to));
    texts
        .map(|text| text.replace("demo/src/", "").replace(".rs", ""))
        .collect()
}

/// The files of each cycle.
fn cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let tree = Tree::of(&crate_of(files)).unwrap();
    let edges = resolve::edges(&tree);
    let mut findings = import_cycles(&tree, &edges);
    for finding in &mut findings {
        finding.paths = finding
            .paths
            .iter()
            .map(|path| {
                path.trim_start_matches("demo/src/")
                    .trim_end_matches(".rs")
                    .to_owned()
            })
            .collect();
    }
    findings.into_iter().map(|finding| finding.paths).collect()
}

#[test]
fn every_kind_of_import_is_seen() {
    for (what, code) in [
        ("an import", "use crate::b::B;"),
        (
            "a renamed import",
            "use super::b as other; fn f() -> other::B { other::B }",
        ),
        ("a group", "use crate::{b::{self, B as C}};"),
        ("an import in a function", "fn f() { use crate::b::B; }"),
        ("a type", "struct A(crate::b::B);"),
        ("a generic argument", "fn f(_: Vec<super::b::B>) {}"),
        ("an associated function", "fn f() { crate::b::B::new(); }"),
        ("an implemented trait", "struct A; impl crate::b::B for A {}"),
        (
            "the tokens of a macro",
            "fn f() { format!(\"{}\", crate::b::B); }",
        ),
        ("an attribute", "#[serde(default = \"crate::b::B\")] struct A;"),
        (
            "a module in between",
            "use self::inner::B; mod inner { pub(super) use crate::b::B; }",
        ),
        ("the parent's import", "use super::B;"),
        ("a glob", "use crate::b::*; fn f(_: B) {}"),
        ("a macro's item", "use crate::made::B;"),
    ] {
        let imports = imports_of(&[
            (
                "lib.rs",
                "mod a; mod b; mod made { pub use super::b::*; } use b::B;",
            ),
            ("a.rs", code),
            ("b.rs", "pub struct B;"),
        ]);
        assert!(
            imports
                .iter()
                .any(|import| import.starts_with("a imports") && import.ends_with("from b")),
            "{what}: {imports:?}"
        );
    }
}

#[test]
fn what_only_tests_compile_is_left_out() {
    for code in [
        "#[cfg(test)] use crate::b::B;",
        "#[cfg(all(test, unix))] mod tests { use crate::b::B; }",
        "#[cfg(test)] mod tests;",
        "struct A; impl A { #[cfg(test)] fn f(_: crate::b::B) {} }",
        "fn f() { #[cfg(test)] use crate::b::B; }",
    ] {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", code),
            ("b.rs", "pub struct B;"),
        ];
        assert_eq!(imports_of(&files), Vec::<String>::new(), "{code}");
    }
    let with_a_feature = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "#[cfg(any(test, feature = \"testing\"))] use crate::b::B;",
        ),
        ("b.rs", "pub struct B;"),
    ];
    assert_eq!(imports_of(&with_a_feature), ["a imports B from b"]);
}

#[test]
fn a_name_may_be_a_module_and_a_function() {
    let imports = imports_of(&[
        ("lib.rs", "mod build; mod user;"),
        ("build.rs", "mod workload; pub use workload::workload;"),
        ("build/workload.rs", "pub fn workload() {}"),
        ("user.rs", "use crate::build::workload; fn f() { workload(); }"),
    ]);
    assert_eq!(
        imports,
        [
            "build imports workload from build/workload",
            "user imports workload from build/workload"
        ]
    );
}

#[test]
fn a_cycle_through_a_re_export_is_found() {
    let files = [
        ("lib.rs", "mod a; mod b; mod middle;"),
        ("a.rs", "pub struct A; use crate::middle::Renamed;"),
        ("middle.rs", "pub use super::b::B as Renamed;"),
        ("b.rs", "pub struct B; use super::a as x; fn f(_: x::A) {}"),
    ];
    assert_eq!(cycles_of(&files), [["a", "b"]]);
}

#[test]
fn a_cycle_through_globs_is_found() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::*; pub use b::*;"),
        ("a.rs", "pub struct A; fn f(_: crate::B) {}"),
        ("b.rs", "pub struct B; use super::*; fn f(_: A) {}"),
    ];
    assert_eq!(cycles_of(&files), [["a", "b"]]);
}

#[test]
fn a_cycle_between_the_library_and_its_binary_is_none() {
    let files = [
        ("lib.rs", "pub mod a;"),
        ("a.rs", "pub fn run() {}"),
        ("main.rs", "use demo::a::run; fn main() { run() }"),
    ];
    assert_eq!(imports_of(&files), ["main imports run from a"]);
    assert!(cycles_of(&files).is_empty());
}

#[test]
fn a_module_and_its_descendants_are_no_cycle() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; mod c; pub struct A; fn f() { b::f() }"),
        ("a/b.rs", "use super::{A, c::C}; pub fn f() {}"),
        ("a/c.rs", "mod d; pub struct C; use super::A;"),
        ("a/c/d.rs", "use crate::a::{A, c::C};"),
    ];
    assert!(cycles_of(&files).is_empty());
}

#[test]
fn siblings_are_a_cycle_and_so_is_a_parent_with_a_stranger() {
    let siblings = [
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; mod c;"),
        ("a/b.rs", "pub struct B; use super::c::C;"),
        ("a/c.rs", "pub struct C; use super::b::B;"),
    ];
    assert_eq!(cycles_of(&siblings), [["a/b", "a/c"]]);
    let stranger = [
        ("lib.rs", "mod a; mod s;"),
        ("a.rs", "mod b; pub use b::B; pub struct A; use crate::s::S;"),
        ("a/b.rs", "pub struct B; use super::A;"),
        ("s.rs", "pub struct S; use crate::a::B;"),
    ];
    assert_eq!(cycles_of(&stranger), [["a", "a/b", "s"]]);
}

#[test]
fn the_shortest_cycle_is_told_file_by_file() {
    let one = crate_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub struct A; use crate::b::B;"),
        ("b.rs", "pub struct B; use crate::{a::A, c::C};"),
        ("c.rs", "pub struct C; use crate::a::A;"),
    ]);
    let tree = Tree::of(&one).unwrap();
    let findings = import_cycles(&tree, &resolve::edges(&tree));
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "cycle: 3 files import each other; the shortest cycle:\n    \
         demo/src/a.rs imports B from demo/src/b.rs\n    \
         demo/src/b.rs imports A from demo/src/a.rs"
    );
}

#[test]
fn a_step_may_not_import_a_later_one() {
    let one = crate_of(&[
        ("lib.rs", "mod pool;"),
        ("pool.rs", "mod observe; mod validate; mod stray; mod names;"),
        ("pool/observe.rs", "pub struct Observed; use super::names::Late;"),
        ("pool/validate.rs", "pub mod user; use super::observe::Observed;"),
        ("pool/validate/user.rs", "pub struct Late;"),
        ("pool/names.rs", "pub use super::validate::user::Late;"),
        ("pool/stray.rs", ""),
    ]);
    let tree = Tree::of(&one).unwrap();
    let steps = Steps {
        folder: "demo/src/pool",
        modules: &["names", "observe", "validate", "decide"],
    };
    let findings: Vec<String> = upward_steps(&steps, &tree, &resolve::edges(&tree))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        findings,
        [
            "step: demo/src/pool/decide is in the table of rules.rs and not there",
            "step: demo/src/pool/stray.rs has no place in the table of rules.rs",
            "step: demo/src/pool/observe.rs imports Late from demo/src/pool/validate/user.rs, \
             which is a later step",
            "step: demo/src/pool/names.rs imports Late from demo/src/pool/validate/user.rs, \
             which is a later step",
        ]
    );
}

#[test]
fn a_crate_may_depend_on_lower_layers_only() {
    let with = |name: &str, dependencies: &[&str]| {
        let mut one = crate_of(&[]);
        one.name = name.to_owned();
        one.dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        one
    };
    let crates = [
        with("low", &["high"]),
        with("high", &["low", "next"]),
        with("next", &[]),
        with("odd", &[]),
    ];
    let findings: Vec<String> = layers(&crates, &[&["low"], &["high", "next"], &["gone"]])
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        findings,
        [
            "layer: low depends on high, which is no lower layer",
            "layer: high depends on next, which is no lower layer",
            "layer: odd has no layer: give it one in rules.rs",
            "layer: gone has a layer in rules.rs and is no crate of this workspace",
        ]
    );
}

#[test]
fn long_and_unused_files_are_found() {
    let long = "\n".repeat(LONGEST_FILE + 1);
    let one = crate_of(&[
        (
            "lib.rs",
            "mod long; #[cfg(test)] mod fixtures; #[cfg(test)] mod tests;",
        ),
        ("long.rs", &long),
        ("tests.rs", &long),
        ("tests/more.rs", &long),
        ("fixtures.rs", ""),
        ("gone.rs", ""),
    ]);
    let tree = Tree::of(&one).unwrap();
    let found = |findings: Vec<Finding>| -> Vec<String> {
        findings.into_iter().flat_map(|finding| finding.paths).collect()
    };
    assert_eq!(found(long_files(&tree)), ["demo/src/long.rs"]);
    assert_eq!(found(unused_files(&one, &tree)), ["demo/src/gone.rs"]);
}
