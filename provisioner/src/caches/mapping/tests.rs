use k8s_openapi::api::core::v1::Pod;

use shared_types::PgpoolVersion;

use super::*;
use crate::fixtures::{parse, plain_pgpool, tls_pgpool};

fn pgpools() -> Vec<Arc<Pgpool>> {
    let mut other = plain_pgpool();
    other.metadata.name = Some("other".to_owned());
    other.spec.version = "4.5.3".to_owned();
    let mut elsewhere = tls_pgpool();
    elsewhere.metadata.namespace = Some("shop".to_owned());
    elsewhere.spec.postgres_ref.namespace = None;
    [tls_pgpool(), other, elsewhere].map(Arc::new).to_vec()
}

fn shown(keys: impl IntoIterator<Item = ObjectRef<Pgpool>>) -> Vec<String> {
    keys.into_iter()
        .map(|key| format!("{}/{}", key.namespace.unwrap_or_default(), key.name))
        .collect()
}

fn labeled(labels: &str) -> Pod {
    parse(&format!(
        "metadata: {{name: any, namespace: demo, labels: {{{labels}}}}}"
    ))
}

#[test]
fn an_object_concerns_the_pgpool_in_its_labels() {
    let rows = [
        (
            "app.kubernetes.io/name: pgpools.kubedb.com, app.kubernetes.io/instance: pool",
            vec!["demo/pool"],
        ),
        (
            "app.kubernetes.io/name: postgreses.kubedb.com, app.kubernetes.io/instance: pool",
            vec![],
        ),
        ("app.kubernetes.io/name: pgpools.kubedb.com", vec![]),
        ("app.kubernetes.io/instance: pool", vec![]),
        ("", vec![]),
    ];
    for (labels, expected) in rows {
        assert_eq!(shown(by_label(labeled(labels).meta())), expected, "{labels}");
    }
}

#[test]
fn a_version_concerns_those_who_run_it() {
    let version = |name: &str| {
        let mut version: PgpoolVersion = parse(include_str!("../../fixtures/pgpool-version.yaml"));
        version.metadata.name = Some(name.to_owned());
        version
    };
    let concerned = |name| shown(by_version(version(name).meta(), &pgpools()));
    assert_eq!(concerned("4.6.1"), ["demo/pool", "shop/pool"]);
    assert_eq!(concerned("4.5.3"), ["demo/other"]);
    assert_eq!(concerned("4.4.5"), [""; 0]);
}

#[test]
fn an_app_binding_concerns_those_behind_it_and_the_one_it_tells_about() {
    let binding = |namespace: &str, name: &str, instance: Option<&str>| {
        let mut binding: AppBinding = parse(include_str!("../../fixtures/app-binding.yaml"));
        binding.metadata.namespace = Some(namespace.to_owned());
        binding.metadata.name = Some(name.to_owned());
        binding.metadata.labels = instance.map(names::selector_labels);
        binding
    };
    let concerned = |namespace, name, instance| {
        let binding = binding(namespace, name, instance);
        shown(by_app_binding(
            &binding,
            &pgpools(),
            AcrossNamespaces::Granted,
            &Refused::default(),
        ))
    };
    assert_eq!(concerned("demo", "pg", None), ["demo/pool"]);
    assert_eq!(concerned("db", "pg", None), ["demo/other"]);
    assert_eq!(
        concerned("shop", "pg", None),
        ["shop/pool"],
        "an empty namespace is that of the Pgpool"
    );
    let left_out = |namespace, name| {
        let binding = binding(namespace, name, None);
        shown(by_app_binding_left_out(
            binding.meta(),
            &pgpools(),
            &Refused::default(),
        ))
    };
    assert_eq!(left_out("demo", "pg"), ["demo/pool"], "also one that is left out");
    assert_eq!(left_out("db", "none"), [""; 0]);
    assert_eq!(concerned("demo", "other", None), [""; 0]);
    assert_eq!(
        concerned("demo", "other", Some("other")),
        ["demo/other"],
        "its own, as others find it"
    );
}

#[test]
fn who_was_refused_notices_nothing_but_consent() {
    let mut binding: AppBinding = parse(include_str!("../../fixtures/app-binding.yaml"));
    binding.metadata.namespace = Some("db".to_owned());
    let user: Secret =
        parse("metadata: {name: ann, namespace: db, labels: {app.kubernetes.io/instance: pg}}");
    let mut pgpools = pgpools();
    Arc::make_mut(&mut pgpools[1]).spec.sync_users = Some(true);
    let refused = Refused::default();
    let noticed = |binding: &AppBinding, across| {
        let by_user = shown(by_user_secret(&user, &pgpools, &refused));
        (
            shown(by_app_binding(binding, &pgpools, across, &refused)),
            by_user,
        )
    };
    let other = ["demo/other".to_owned()];
    let none: [String; 0] = [];
    let (granted, all) = (AcrossNamespaces::Granted, AcrossNamespaces::All);
    let mut withdrawn = binding.clone();
    withdrawn.metadata.annotations = None;
    let (by_binding, by_user) = noticed(&withdrawn, granted);
    assert_eq!(
        (&by_binding[..], &by_user[..]),
        (&other[..], &other[..]),
        "it uses both"
    );
    refused.set(&ObjectRef::from_obj(pgpools[1].as_ref()), true);
    for (binding, across, expected) in [
        (&withdrawn, granted, &none[..]),
        (&binding, granted, &other[..]),
        (&binding, AcrossNamespaces::None, &none[..]),
        (&withdrawn, all, &other[..]),
    ] {
        let (by_binding, by_user) = noticed(binding, across);
        assert_eq!(by_binding, expected);
        assert_eq!(by_user, none);
        let left_out = by_app_binding_left_out(binding.meta(), &pgpools, &refused);
        assert_eq!(shown(left_out), none);
    }
}
