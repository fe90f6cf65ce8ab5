//! What is in the way: each sentence names the object and the cure.

use std::sync::Arc;

use crate::pgpool::observe::Lookup;
use k8s_openapi::ByteString;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;

use super::support::{self, POSTGRES_CA, World, present, secret};

fn assert_says((reason, message): (Reason, String), expected: Reason, parts: &[&str]) {
    assert_eq!(reason, expected, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    assert!(
        message.ends_with('.') && message.starts_with(|c: char| !c.is_lowercase()),
        "no sentence: {message}"
    );
}

#[test]
fn what_is_absent_is_waited_for() {
    let world = World::plain().inputs(|inputs| inputs.version = Lookup::Absent);
    assert_says(
        world.waits(),
        Reason::VersionNotFound,
        &["PgpoolVersion `4.6.1`", "spec.version"],
    );
    let world = World::plain().inputs(|inputs| inputs.app_binding = Lookup::Absent);
    assert_says(
        world.waits(),
        Reason::AppBindingNotFound,
        &["AppBinding `db/pg`", "spec.postgresRef"],
    );
    let world = World::plain().inputs(|inputs| inputs.backend_secret = Some(Lookup::Absent));
    assert_says(
        world.waits(),
        Reason::BackendSecretNotFound,
        &["Secret `db/pg-auth`", "create it"],
    );
    let mut world = World::plain().spec("configuration: {secretName: mine}");
    world.inputs.configuration_secret = Some(Lookup::Absent);
    assert_says(
        world.waits(),
        Reason::ConfigurationSecretNotFound,
        &["Secret `demo/mine`", "pgpool.conf"],
    );
    let world = World::plain().spec("authSecret: {name: mine, externallyManaged: true}");
    assert_says(
        world.waits(),
        Reason::AuthSecretNotFound,
        &["Secret `demo/mine`", "externallyManaged"],
    );
    let world = World::plain().binding("tlsSecret: {name: pg-tls}");
    let world = world.inputs(|inputs| inputs.backend_tls_secret = Some(Lookup::Absent));
    assert_says(
        world.waits(),
        Reason::BackendSecretNotFound,
        &["Secret `db/pg-tls`"],
    );
}

#[test]
fn what_may_not_be_read_names_the_right() {
    let world = World::plain().inputs(|inputs| inputs.app_binding = Lookup::Forbidden);
    assert_says(
        world.waits(),
        Reason::AppBindingForbidden,
        &["AppBinding `db/pg`", "service account"],
    );
    let world = World::plain().inputs(|inputs| inputs.backend_secret = Some(Lookup::Forbidden));
    assert_says(
        world.waits(),
        Reason::BackendSecretForbidden,
        &["Secret `db/pg-auth`", "service account"],
    );
}

#[test]
fn what_is_being_read_is_no_news() {
    let world = World::plain().inputs(|inputs| inputs.backend_secret = Some(Lookup::Pending));
    assert_eq!(world.validate().unwrap_err(), Blocked::Unknown);
    let world = World::plain().inputs(|inputs| inputs.auth_secret = Lookup::Pending);
    assert_eq!(world.validate().unwrap_err(), Blocked::Unknown);
}

#[test]
fn a_binding_must_lead_somewhere() {
    let table = [
        ("secret: null", "names no Secret"),
        ("clientConfig: {service: null}", "has no address of PostgreSQL"),
        (
            "clientConfig: {service: {port: 0}}",
            "without a usable name or port",
        ),
        (
            "clientConfig: {service: {name: \"pg'\\nx\"}}",
            "without a usable name or port",
        ),
        (
            "clientConfig: {service: null, url: 'postgresql://'}",
            "usable host",
        ),
        (
            "clientConfig: {service: null, url: \"postgresql://a'b\"}",
            "usable host",
        ),
    ];
    for (change, part) in table {
        assert_says(
            World::plain().binding(change).rejected(),
            Reason::AppBindingInvalid,
            &["AppBinding `db/pg`", part],
        );
    }
}

#[test]
fn authorities_must_be_certificates() {
    for bundle in [
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let world = World::plain().backend_ca(bundle);
        assert_says(world.rejected(), Reason::AppBindingInvalid, &["caBundle"]);
        let mut world = World::plain().binding("tlsSecret: {name: pg-tls}");
        world.inputs.backend_tls_secret = Some(present([("ca.crt", bundle)]));
        assert_says(
            world.rejected(),
            Reason::BackendSecretInvalid,
            &["Secret `db/pg-tls`", "ca.crt"],
        );
    }
    let mut world = World::plain().binding("tlsSecret: {name: pg-tls}");
    world.inputs.backend_tls_secret = Some(present([("ca.crt", POSTGRES_CA)]));
    let backend = world.valid().backend;
    assert!(backend.tls);
    assert_eq!(backend.ca.len(), 1);
    let world = World::plain().binding("clientConfig: {service: {query: sslmode=verify-ca}}");
    assert_says(
        world.rejected(),
        Reason::AppBindingInvalid,
        &["caBundle", "verification"],
    );
}

#[test]
fn a_login_must_fit_a_line() {
    let long = "x".repeat(125);
    let table = [
        (("", "p"), "`username`"),
        (("a:b", "p"), "colon"),
        (("a\nb", "p"), "line break"),
        (("a\\b", "p"), "backslash"),
        (("#a", "p"), "comment"),
        (("a", ""), "`password`"),
        (("a", "p\n"), "line break"),
        (("a", &long), "124 bytes"),
    ];
    for ((user, password), part) in table {
        let mut world = World::plain();
        world.inputs.backend_secret = Some(present([("username", user), ("password", password)]));
        let (reason, message) = world.rejected();
        assert!(
            password.len() < 2 || !message.contains(password),
            "a password is shown: {message}"
        );
        // An AppBinding can take any key of a Secret for the user name.
        assert!(
            user.len() < 2 || !message.contains(user) && !message.contains(&format!("{user:?}")),
            "a user name is shown: {message}"
        );
        assert_says(
            (reason, message),
            Reason::BackendSecretInvalid,
            &["Secret `db/pg-auth`", part],
        );
    }
    let mut binary = secret([("username", "a")]);
    binary
        .data
        .as_mut()
        .unwrap()
        .insert("password".to_owned(), ByteString(vec![0xff]));
    let world =
        World::plain().inputs(|inputs| inputs.backend_secret = Some(Lookup::Present(Arc::new(binary))));
    assert_says(world.rejected(), Reason::BackendSecretInvalid, &["UTF-8"]);
}

#[test]
fn a_certificate_logs_in_as_the_one_it_is_issued_to() {
    let mut world = World::tls().spec("clientAuthMode: cert");
    world.valid();
    world.inputs.backend_secret = Some(present([("username", "admin"), ("password", "p")]));
    assert_says(
        world.rejected(),
        Reason::NotSupported,
        &["`admin`", "`postgres`", "clientAuthMode"],
    );
}

#[test]
fn whose_the_auth_secret_is() {
    let own = |world: &World| world.valid().auth_secret.ours;
    let login = [("username", "me"), ("password", "mine")];
    assert!(own(&World::plain()));
    assert!(own(&World::plain().spec("authSecret: {name: mine, kind: secret}")));
    // There without our labels: the user's, read and left alone.
    let world = World::plain().inputs(|inputs| inputs.auth_secret = present(login));
    assert!(!own(&world));
    let world = world.spec("authSecret: {name: mine, externallyManaged: true}");
    assert!(!own(&world));
    assert_eq!(world.valid().auth_secret.login.user, "me");

    let mut other = secret(login);
    other.metadata.labels = Some(World::plain().valid().selector);
    other
        .metadata
        .labels
        .as_mut()
        .unwrap()
        .insert("app.kubernetes.io/instance".to_owned(), "other".to_owned());
    let world = World::plain().inputs(|inputs| inputs.auth_secret = Lookup::Present(Arc::new(other)));
    assert_says(
        world.rejected(),
        Reason::NameConflict,
        &["Secret `demo/pool-auth`", "externallyManaged"],
    );
    world
        .spec("authSecret: {name: other, externallyManaged: true}")
        .valid();

    let world = World::plain().inputs(|inputs| inputs.auth_secret = present([("username", "me")]));
    assert_says(
        world.rejected(),
        Reason::AuthSecretInvalid,
        &["Secret `demo/pool-auth`", "`password`"],
    );
}

#[test]
fn an_auth_secret_of_someone_else_is_not_used() {
    use serde_json::json;
    let world = World::plain();
    let labels = serde_json::to_value(world.valid().selector).unwrap();
    let owner = serde_json::to_value(world.valid().owner).unwrap();
    let owned_by = |field: &str, value: &str| {
        let mut owner = owner.clone();
        owner[field] = json!(value);
        json!({ "labels": labels, "ownerReferences": [owner] })
    };
    let basic = "kubernetes.io/basic-auth";
    let rows = [
        (
            "another controller",
            owned_by("name", "other"),
            basic,
            json!(null),
            "Pgpool other",
        ),
        (
            "another kind",
            owned_by("kind", "PgBouncer"),
            basic,
            json!(null),
            "PgBouncer pool",
        ),
        (
            "another type",
            json!({ "labels": labels }),
            "kubernetes.io/tls",
            json!(null),
            "kubernetes.io/tls",
        ),
        (
            "immutable",
            json!({ "labels": labels }),
            basic,
            json!(true),
            "immutable",
        ),
    ];
    for (what, metadata, type_, immutable, words) in rows {
        let data = json!({ "username": "bWU=", "password": "bWluZQ==" });
        let theirs = json!({ "metadata": metadata, "type": type_, "immutable": immutable, "data": data });
        let theirs = Lookup::Present(Arc::new(serde_json::from_value(theirs).unwrap()));
        let world = World::plain().inputs(|inputs| inputs.auth_secret = theirs);
        let (reason, message) = world.rejected();
        assert!(message.contains(words), "{what}: {message}");
        assert_says(
            (reason, message),
            Reason::NameConflict,
            &["Secret `demo/pool-auth`"],
        );
    }
}

#[test]
fn the_auth_secret_is_no_other_secret_of_the_pgpool() {
    for (name, words) in [
        ("pool-users", "the password file"),
        ("pool-exporter", "the login"),
        ("pool-tls-0123456789", "a TLS copy"),
    ] {
        let world = World::plain().spec(&format!("authSecret: {{name: {name}, externallyManaged: true}}"));
        assert_says(world.rejected(), Reason::NameConflict, &[name, words]);
    }
    let world = World::tls().spec("authSecret: {name: pool-server-cert}");
    assert_says(world.rejected(), Reason::NameConflict, &["server certificate"]);
}

/// The fields of `spec.authSecret`, each with a row: what becomes of the Secret in the manifest of a user.
#[test]
fn every_field_of_the_auth_secret_counts() {
    let rows: [(&str, &[&str]); 7] = [
        ("apiGroup", &["apiGroup: virtual-secrets.dev"]),
        ("kind", &["kind: VirtualSecret"]),
        ("secretStoreName", &["secretStoreName: vault"]),
        ("name", &[]),
        ("externallyManaged", &[]),
        ("rotateAfter", &[]),
        ("activeFrom", &[]),
    ];
    let mut known: Vec<_> = rows.iter().map(|(field, _)| (*field).to_owned()).collect();
    known.sort();
    assert_eq!(
        super::arrival::names_of("/properties/authSecret"),
        known,
        "a field without a row"
    );
    for (field, refused) in rows {
        for asked in refused {
            let world = World::plain().spec(&format!("authSecret: {{name: mine, {asked}}}"));
            let (reason, message) = world.rejected();
            assert_says(
                (reason, message),
                Reason::NotSupported,
                &["spec.authSecret", asked, field],
            );
        }
    }
    // What says the same as nothing, in the spelling of a manifest that is in use.
    for plain in [
        "kind: secret",
        "kind: Secret",
        "kind: ''",
        "apiGroup: ''",
        "secretStoreName: ''",
    ] {
        let world = World::plain().spec(&format!("authSecret: {{name: mine, {plain}}}"));
        assert!(world.valid().auth_secret.ours, "{plain}");
    }
    let made = |asked: &str| {
        let world = World::plain().spec(&format!("authSecret: {asked}"));
        support::foundation(&world.valid())
            .auth_secret
            .map(|secret| secret.metadata.name.unwrap())
    };
    assert_eq!(made("{name: mine}").as_deref(), Some("mine"));
    assert_eq!(made("{name: ''}").as_deref(), Some("pool-auth"));
    // For recommendations and for people: they change nothing.
    assert_eq!(
        made("{rotateAfter: 720h, activeFrom: '2026-01-01T00:00:00Z'}").as_deref(),
        Some("pool-auth")
    );
    // Theirs, with our labels or without: read, and never built.
    let mut theirs = secret([("username", "me"), ("password", "mine")]);
    theirs.metadata.labels = Some(World::plain().valid().selector);
    let world =
        World::plain().spec("authSecret: {name: mine, externallyManaged: true}\ndeletionPolicy: WipeOut");
    let world = world.inputs(|inputs| inputs.auth_secret = Lookup::Present(Arc::new(theirs)));
    assert!(support::foundation(&world.valid()).auth_secret.is_none());
    assert_eq!(world.valid().auth_secret.login.user, "me");
}

#[test]
fn transforms_shape_the_secret() {
    let world = World::plain().binding(
        "secretTransforms: [{renameKey: {from: user, to: username}}, {addKey: {key: password, stringValue: added}}]",
    );
    let world = world.inputs(|inputs| inputs.backend_secret = Some(present([("user", "root")])));
    assert_eq!(world.pool_passwd(), "root:TEXTadded\n");
    let world = world.binding("secretTransforms: [{addKeysFrom: {secretRef: {name: more}}}]");
    assert_says(world.rejected(), Reason::AppBindingInvalid, &["addKeysFrom"]);
}

#[test]
fn the_catalog_must_be_usable() {
    for (version, part) in [
        ("four", "such as `4.6.1`"),
        ("3.7.0", "4.2 or newer"),
        ("", "such as"),
    ] {
        let world = World::plain().release(version);
        assert_says(
            world.rejected(),
            Reason::NotSupported,
            &["PgpoolVersion `4.6.1`", part],
        );
    }
    let mut world = World::plain();
    world.version.spec.pgpool.image = String::new();
    assert_says(world.rejected(), Reason::NotSupported, &["spec.pgpool.image"]);
    world = World::plain();
    world.version.spec.security_context = None;
    assert_eq!(world.valid().release.run_as_user, 70);
}

#[test]
fn what_the_schema_should_have_refused() {
    let table = [
        ("sslMode: require", "spec.tls.issuerRef"),
        ("clientAuthMode: cert", "spec.sslMode"),
        ("replicas: 0", "1 to 9"),
        ("replicas: 10", "1 to 9"),
    ];
    for (change, part) in table {
        assert_says(
            World::plain().spec(change).rejected(),
            Reason::ConfigurationInvalid,
            &[part],
        );
    }
    let without_tls = World::tls().spec("sslMode: disable\nclientAuthMode: cert");
    assert_says(
        without_tls.rejected(),
        Reason::ConfigurationInvalid,
        &["clientAuthMode"],
    );
    for name in ["x".repeat(53), "0pool".to_owned(), "a.b".to_owned()] {
        let mut world = World::plain();
        world.pgpool.metadata.name = Some(name.clone());
        assert_says(world.rejected(), Reason::NotSupported, &[&name, "52"]);
    }
}
