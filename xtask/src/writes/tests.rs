use super::*;

#[test]
fn every_write_of_the_operators_passes_the_ownership_check() {
    let findings = findings(&workspace::crates().unwrap(), FILES);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

fn of(path: &str, text: &str) -> Crate {
    Crate {
        name: "provisioner".to_owned(),
        library: None,
        binaries: Vec::new(),
        dependencies: Vec::new(),
        sources: [(path.to_owned(), text.to_owned())].into(),
    }
}

#[test]
fn a_write_in_another_file_is_found() {
    let path = "provisioner/src/new.rs";
    let rows = [
        ("api.patch(name, &params, &patch)", 1),
        ("let request = self.api.replace_status(name);", 1),
        (
            "Api::<Secret>::all(client.clone())\n    .delete(name, &params)",
            1,
        ),
        (
            "Api::namespaced(client, f(namespace)).create(&params, &object)",
            1,
        ),
        ("secrets_api.delete_collection(&a, &b)", 1),
        ("client.request::<Value>(request)", 1),
        ("self\n        .applier\n        .delete(claim, live)", 1),
        ("let names = text.replace('a', \"b\");", 0),
        ("map.entry(key)", 0),
        ("// api.patch(name)", 0),
        ("api.get(name)", 0),
        ("\n#[cfg(test)]\nmod tests {\n    api.patch(x)\n}", 0),
    ];
    for (code, expected) in rows {
        let found = findings(&[of(path, code)], &[]);
        assert_eq!(found.len(), expected, "{code}: {found:?}");
    }
    let tests = of("provisioner/src/pgpool/tests/any.rs", "api.patch(x)");
    assert_eq!(findings(&[tests], &[]), [""; 0]);
}

#[test]
fn a_listed_file_has_to_ask_and_to_write() {
    let path = "provisioner/src/new.rs";
    let known = |bound| [(path, bound, "because")];
    let write = of(path, "api.patch(x)");
    assert_eq!(findings(&[write], &known(Bound::Claim)).len(), 1);
    let write = of(path, "claim.covers(x); api.patch(x)");
    assert_eq!(findings(&[write], &known(Bound::Claim)), [""; 0]);
    let write = of(path, "api.patch(x)");
    assert_eq!(findings(&[write], &known(Bound::Passed)), [""; 0]);
    assert_eq!(findings(&[of(path, "")], &known(Bound::Fixed)).len(), 1);
    assert_eq!(
        findings(&[of("provisioner/src/other.rs", "")], &known(Bound::Fixed)).len(),
        1
    );
}
