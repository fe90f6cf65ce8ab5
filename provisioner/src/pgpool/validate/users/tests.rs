//! Which users the pool knows, and what is reported about the others.

use serde_json::{Value, json};
use shared_types::explanation::Blocked;

use super::*;
use crate::fixtures::{inputs, plain_pgpool};
use crate::pgpool::validate::{Validated, validate};

/// A labeled Secret, as the cache has it; `minute` is its age.
fn secret(name: &str, minute: u8, data: &Value) -> Arc<Secret> {
    let data: serde_json::Map<_, _> = data.as_object().unwrap().clone();
    let mut secret: Secret = serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "backend", "creationTimestamp": format!("2026-11-24T10:{minute:02}:00Z"),
        },
        "type": "Opaque",
    }))
    .unwrap();
    let entry = |(key, value): (String, Value)| {
        (
            key,
            k8s_openapi::ByteString(value.as_str().unwrap().as_bytes().to_vec()),
        )
    };
    secret.data = Some(data.into_iter().map(entry).collect());
    Arc::new(secret)
}

fn user(name: &str, minute: u8, user: &str, password: &str) -> Arc<Secret> {
    secret(name, minute, &json!({ "username": user, "password": password }))
}

fn with_secrets(secrets: Vec<Arc<Secret>>, in_force: &str) -> Validated {
    let mut pgpool = plain_pgpool();
    pgpool.spec.sync_users = Some(true);
    pgpool.spec.postgres_ref.namespace = Some("backend".to_owned());
    let mut inputs = inputs(&pgpool);
    inputs.synced = Some(Lookup::Present(secrets));
    inputs.users_in_force = Some(secret("pool-users", 0, &json!({ "pool_passwd": in_force })));
    validate(&pgpool, &inputs).unwrap()
}

/// Users beside the one of the `AppBinding`.
fn known(validated: &Validated) -> Vec<(&str, &str)> {
    let users = validated.users.iter().filter(|user| user.user != "postgres");
    users
        .map(|user| (user.user.as_str(), user.password.expose()))
        .collect()
}

fn reasons(validated: &Validated) -> Vec<Reason> {
    validated.user_complaints.iter().map(|it| it.reason).collect()
}

#[test]
fn good_secrets_make_users_and_the_word_user_will_do() {
    let secrets = vec![
        user("ann", 1, "ann", "a:b\\c"),
        secret("bob", 2, &json!({ "user": "bob", "password": "b" })),
        secret(
            "both",
            3,
            &json!({ "user": "wrong", "username": "cid", "password": "c" }),
        ),
        // The same twice is no conflict.
        user("ann-again", 4, "ann", "a:b\\c"),
    ];
    let validated = with_secrets(secrets, "");
    assert_eq!(known(&validated), [("ann", "a:b\\c"), ("bob", "b"), ("cid", "c")]);
    assert!(reasons(&validated).is_empty());
}

#[test]
fn a_bad_secret_is_named_and_keeps_nobody_else_away() {
    let long = "n".repeat(64);
    let bad = [
        json!({ "username": "bad" }),
        json!({ "password": "x" }),
        json!({}),
        json!({ "username": "", "password": "x" }),
        json!({ "username": "bad", "password": "" }),
        json!({ "username": "bad:TEXTx", "password": "x" }),
        json!({ "username": "bad\nhost all all all trust", "password": "x" }),
        json!({ "username": "bad\u{7}", "password": "x" }),
        json!({ "username": "bad\u{0}", "password": "x" }),
        json!({ "username": "#bad", "password": "x" }),
        json!({ "username": "bad", "password": "x\nmallory:TEXTx" }),
        json!({ "username": "bad", "password": "x".repeat(125) }),
        json!({ "username": long, "password": "x" }),
    ];
    for data in bad {
        let validated = with_secrets(vec![secret("bad", 1, &data), user("good", 2, "good", "g")], "");
        assert_eq!(known(&validated), [("good", "g")], "{data}");
        assert_eq!(reasons(&validated), [Reason::UserSecretInvalid], "{data}");
        let message = &validated.user_complaints[0].message;
        assert!(message.contains("`backend/bad`"), "{message}");
        assert!(!message.contains("xx") && !message.contains('\n'), "{message}");
    }
}

#[test]
fn what_is_in_force_stays_when_its_secret_turns_bad() {
    let bad = secret("ann", 1, &json!({ "username": "ann" }));
    let validated = with_secrets(vec![bad], "ann:TEXTa\\:b\\\\c\n");
    assert_eq!(known(&validated), [("ann", "a:b\\c")]);
    assert_eq!(reasons(&validated), [Reason::UserSecretInvalid]);
    // A Secret that is gone takes its user along.
    assert!(known(&with_secrets(Vec::new(), "ann:TEXTa\n")).is_empty());
}

#[test]
fn of_two_passwords_the_one_in_force_stays_or_the_oldest_counts() {
    let secrets = || vec![user("new", 2, "ann", "new"), user("old", 1, "ann", "old")];
    for (in_force, expected, first) in [
        ("", "old", "backend/old"),
        ("ann:TEXTnew\n", "new", "backend/new"),
        ("ann:TEXTneither\n", "old", "backend/old"),
    ] {
        let validated = with_secrets(secrets(), in_force);
        assert_eq!(known(&validated), [("ann", expected)], "{in_force:?}");
        assert_eq!(reasons(&validated), [Reason::UserConflict]);
        let message = &validated.user_complaints[0].message;
        assert!(message.starts_with(&format!("Secret `{first}`")), "{message}");
        assert!(
            message.contains("backend/old") && message.contains("backend/new"),
            "{message}"
        );
    }
}

#[test]
fn the_user_of_the_binding_is_not_replaced() {
    let before = with_secrets(Vec::new(), "");
    let login = |validated: &Validated| {
        let user = validated
            .users
            .iter()
            .find(|user| user.user == "postgres")
            .unwrap();
        user.password.clone()
    };
    let validated = with_secrets(vec![user("other", 1, "postgres", "other")], "");
    assert!(login(&validated) == login(&before));
    assert_eq!(reasons(&validated), [Reason::UserConflict]);
    // Its own Secret bears the labels too, and may have changed a moment ago.
    let validated = with_secrets(vec![user("pg-auth", 1, "postgres", "changed")], "");
    assert!(login(&validated) == login(&before));
    assert!(reasons(&validated).is_empty());
}

#[test]
fn secrets_that_are_not_about_users_are_passed_over() {
    let mut certificate = Secret::clone(&secret("cert", 1, &json!({ "tls.crt": "x" })));
    certificate.type_ = Some("kubernetes.io/tls".to_owned());
    let validated = with_secrets(vec![Arc::new(certificate)], "");
    assert!(reasons(&validated).is_empty());
}

#[test]
fn without_the_right_to_look_nobody_is_shut_out() {
    let mut pgpool = plain_pgpool();
    pgpool.spec.sync_users = Some(true);
    let mut inputs = inputs(&pgpool);
    inputs.users_in_force = Some(secret(
        "pool-users",
        0,
        &json!({ "pool_passwd": "ann:TEXTa\npostgres:TEXTold\n" }),
    ));
    inputs.synced = Some(Lookup::Forbidden);
    let validated = validate(&pgpool, &inputs).unwrap();
    assert_eq!(known(&validated), [("ann", "a")]);
    assert_eq!(reasons(&validated), [Reason::UserSecretForbidden]);
    inputs.synced = Some(Lookup::Pending);
    assert!(matches!(validate(&pgpool, &inputs), Err(Blocked::Unknown)));
}

/// The users and complaints of an environment, and what of it reaches the pod.
fn environment(
    env: &str,
    found: &Lookup<Arc<Secret>>,
    in_force: &str,
) -> Result<(Validated, Vec<String>), Blocked> {
    let mut pgpool = plain_pgpool();
    let template = format!("{{spec: {{containers: [{{name: pgpool, env: {env}}}]}}}}");
    pgpool.spec.pod_template = Some(crate::fixtures::parse(&template));
    let mut inputs = inputs(&pgpool);
    inputs.env_secrets = crate::pgpool::observe::env_users::referred_secrets(&pgpool)
        .into_iter()
        .map(|name| (name, found.clone()))
        .collect();
    inputs.users_in_force = Some(secret("pool-users", 0, &json!({ "pool_passwd": in_force })));
    let validated = validate(&pgpool, &inputs)?;
    let env = validated.pod.pgpool.env.iter().flatten();
    let names = env.map(|variable| variable.name.clone()).collect();
    Ok((validated, names))
}

const REFERENCE: &str = "[{name: MY_APP_USERNAME, value: app}, {name: MY_APP_PASSWORD, valueFrom: {secretKeyRef: {name: s, \
                         key: pw}}}]";

#[test]
fn pairs_may_come_from_secrets_and_never_reach_the_pod() {
    let there = Lookup::Present(secret("s", 1, &json!({ "pw": "secret" })));
    let (validated, env) = environment(REFERENCE, &there, "").unwrap();
    assert_eq!(known(&validated), [("app", "secret")]);
    assert!(env.is_empty() && reasons(&validated).is_empty());

    let missing = Lookup::Present(secret("s", 1, &json!({ "other": "secret" })));
    for (found, reason) in [
        (Lookup::Absent, Reason::UserSecretNotFound),
        (missing, Reason::UserSecretInvalid),
    ] {
        let (validated, env) = environment(REFERENCE, &found, "").unwrap();
        assert!(known(&validated).is_empty() && env.is_empty());
        assert_eq!(reasons(&validated), [reason]);
        let message = &validated.user_complaints[0].message;
        assert!(
            message.contains("demo/s") && message.contains("`MY_APP_PASSWORD`"),
            "{message}"
        );
        let (validated, _) = environment(REFERENCE, &found, "app:TEXTbefore\n").unwrap();
        assert_eq!(known(&validated), [("app", "before")], "who is in stays");
        let optional = REFERENCE.replace("key: pw", "key: pw, optional: true");
        let (validated, _) = environment(&optional, &found, "").unwrap();
        assert!(reasons(&validated).is_empty());
    }
    assert!(matches!(
        environment(REFERENCE, &Lookup::Pending, ""),
        Err(Blocked::Unknown)
    ));
    let forbidden = environment(REFERENCE, &Lookup::Forbidden, "");
    let Err(Blocked::Waiting(explanation)) = forbidden else {
        panic!("not waiting");
    };
    assert_eq!(explanation.reason, Reason::UserSecretForbidden);
}

#[test]
fn half_a_pair_is_told_and_other_sources_are_refused() {
    let nothing = Lookup::Absent;
    let (validated, env) = environment("[{name: A_USERNAME, value: a}]", &nothing, "").unwrap();
    assert_eq!(reasons(&validated), [Reason::UserVariableIncomplete]);
    assert_eq!(env, ["A_USERNAME"]);
    let (validated, env) = environment("[{name: A_PASSWORD, value: a}]", &nothing, "").unwrap();
    assert_eq!(reasons(&validated), [Reason::UserVariableIncomplete]);
    assert!(env.is_empty(), "a password has no place in a pod");
    let field = "[{name: A_USERNAME, value: a}, {name: A_PASSWORD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]";
    let refused = environment(field, &nothing, "");
    let Err(Blocked::Stuck(Explanation { message, .. })) = refused else {
        panic!("not refused")
    };
    assert!(
        message.contains("`A_PASSWORD`") && message.contains("secretKeyRef"),
        "{message}"
    );
}
