//! How long one reconcile works on the largest object that is admitted: `cargo e2e bench bounds`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use operator_runtime::testing::work::{Steps, cpu_time, has_every_field, print_steps};
use serde_json::{Value, json};
use shared_types::{Pgpool, limits};

use crate::fixtures::{Pki, now, observed, plain_pgpool, tls_pgpool};
use crate::pgpool::build::{Preview, build};
use crate::pgpool::decide::{Policy, decide};
use crate::pgpool::observe::{Lookup, Observed};
use crate::pgpool::validate::validate;
use crate::rotation_limiter::{ClusterRotationLimiter, Limits};

/// One object and all that it refers to.
struct Case {
    pgpool: Value,
    observed: Observed,
    /// What is decoded beside the Pgpool.
    secrets: Vec<Secret>,
}

impl Case {
    fn plain() -> Self {
        let pgpool = plain_pgpool();
        Self {
            observed: observed(&pgpool, &Pki::new()),
            pgpool: serde_json::to_value(&pgpool).unwrap(),
            secrets: Vec::new(),
        }
    }

    fn spec(mut self, fields: &Value) -> Self {
        merge(&mut self.pgpool["spec"], fields);
        self
    }

    fn steps(&self, accepted: bool) -> Steps {
        let text = self.pgpool.to_string();
        let secrets: Vec<_> = self
            .secrets
            .iter()
            .map(|secret| serde_json::to_string(secret).unwrap())
            .collect();
        let decode = cpu_time(|| {
            let secrets = secrets
                .iter()
                .map(|secret| serde_json::from_str::<Secret>(secret).unwrap());
            (secrets.count(), serde_json::from_str::<Pgpool>(&text).unwrap())
        });
        let pgpool: Pgpool = serde_json::from_str(&text).unwrap();
        let validated = validate(&pgpool, &self.observed.inputs);
        assert_eq!(validated.is_ok(), accepted, "{:?}", validated.err());
        let limiter = ClusterRotationLimiter::new(Limits::default());
        let key = kube::runtime::reflector::ObjectRef::from_obj(&pgpool);
        let limiter = limiter.for_pgpool(&key);
        let policy = || Policy {
            preview: &Preview,
            limiter: &limiter,
            handoff_grace: Duration::ZERO,
        };
        let decision = || decide(&pgpool, &validated, &self.observed, policy(), now());
        let decided = decision();
        vec![
            ("decode", decode),
            ("validate", cpu_time(|| validate(&pgpool, &self.observed.inputs))),
            ("verify and decide", cpu_time(|| decision().is_ok())),
            ("build", cpu_time(|| build(&validated, &decided))),
            ("compare", {
                let objects = build(&validated, &decided);
                cpu_time(|| {
                    objects.as_ref().is_none_or(|objects| {
                        is_same(&objects.stateful_set)
                            && is_same(&objects.foundation.users_secret)
                            && is_same(&objects.tls_copy)
                    })
                })
            }),
        ]
    }
}

/// As `apply` does when nothing has changed.
fn is_same<T: serde::Serialize>(object: &T) -> bool {
    let as_json = || serde_json::to_value(object).unwrap();
    has_every_field(&as_json(), &as_json())
}

fn merge(into: &mut Value, fields: &Value) {
    match (into, fields) {
        (Value::Object(into), Value::Object(fields)) => {
            for (name, value) in fields {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value.clone(),
    }
}

fn measure(input: &str, accepted: bool, small: &Case, large: &Case) {
    print_steps("provisioner", input, &small.steps(true), &large.steps(accepted));
}

fn secret(entries: &[(&str, Vec<u8>)]) -> Secret {
    let entries = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), ByteString(value.clone())));
    Secret {
        data: Some(entries.collect()),
        ..Secret::default()
    }
}

/// As many settings, and of as many bytes, as one file may have.
fn settings() -> String {
    let mut text = String::new();
    for number in 0..limits::SETTINGS {
        let _ = writeln!(text, "backend_application_name{number} = 'x'");
    }
    let rest = limits::SETTINGS_BYTES
        .saturating_sub(text.len())
        .saturating_sub(2);
    let _ = writeln!(text, "#{}", "x".repeat(rest));
    text
}

fn inline(text: &str) -> Value {
    json!({"configuration": {"inline": {"pgpool.conf": text}}})
}

/// A pod template of about this size: containers with variables, mounts and long arguments.
fn pod_template(bytes: usize) -> Value {
    let variable = |number: usize| json!({"name": format!("V{number}"), "value": "v"});
    let mount =
        |number: usize| json!({"name": format!("volume-{number}"), "mountPath": format!("/m/{number}")});
    let container = |number: usize| {
        json!({
            "name": format!("c{number}"), "image": "example.org/c:1",
            "env": (0..100).map(variable).collect::<Vec<_>>(),
            "volumeMounts": (0..60).map(mount).collect::<Vec<_>>(),
        })
    };
    let volumes: Vec<_> = (0..60)
        .map(|number| json!({"name": format!("volume-{number}"), "emptyDir": {}}))
        .collect();
    let mut containers: Vec<Value> = Vec::new();
    let mut size = 4096;
    while containers.len() < 24 {
        let next = container(containers.len());
        size += next.to_string().len();
        if size > bytes {
            break;
        }
        containers.push(next);
    }
    json!({"podTemplate": {"spec": {"containers": containers, "volumes": volumes}}})
}

fn user_variables(pairs: usize) -> Value {
    let pair = |number: usize| {
        [
            json!({"name": format!("U{number}_USERNAME"), "value": format!("user{number}")}),
            json!({"name": format!("U{number}_PASSWORD"), "value": "p".repeat(120)}),
        ]
    };
    let env: Vec<_> = (0..pairs).flat_map(pair).collect();
    json!({"podTemplate": {"spec": {"containers": [{"name": "pgpool", "env": env}]}}})
}

fn backends(count: usize) -> Value {
    let backend = |number: usize| json!({"hostName": format!("h{number}.{}", "x".repeat(240)), "weight": 1});
    json!({"configuration": {"backends": (0..count).map(backend).collect::<Vec<_>>()}})
}

fn labels(case: &mut Case) {
    for number in 0..limits::LABELS.saturating_sub(4) {
        case.pgpool["metadata"]["labels"][format!("example.org/label-{number}")] = "v".repeat(63).into();
    }
    for number in 0..200 {
        case.pgpool["metadata"]["annotations"][format!("example.org/note-{number}")] =
            "v".repeat(1000).into();
    }
}

fn synced(case: &mut Case, count: usize) {
    let user = |number: usize| {
        let mut user = secret(&[
            ("username", format!("user{number:0>59}").into_bytes()),
            ("password", vec![b'\\'; 124]),
        ]);
        user.metadata.name = Some(format!("user{number}"));
        user.metadata.namespace = Some("demo".to_owned());
        user
    };
    case.secrets.extend((0..count).map(user));
    let users: Vec<_> = case.secrets.iter().cloned().map(Arc::new).collect();
    case.observed.inputs.synced = Some(Lookup::Present(users));
    let mut file = String::new();
    for number in 0..count {
        let _ = writeln!(file, "user{number:0>59}:TEXT{}", "\\\\".repeat(124));
    }
    let file = secret(&[("pool_passwd", file.into_bytes())]);
    case.secrets.push(file.clone());
    case.observed.inputs.users_in_force = Some(Arc::new(file));
}

/// As many CAs as fit, of the PostgreSQL and in the Secrets of the certificates.
fn authorities(pki: &Pki) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..limits::CA_BUNDLE_CERTIFICATES {
        text.push_str(&pki.ca());
    }
    text.truncate(limits::CA_BUNDLE_BYTES);
    let end = text
        .rfind("-----BEGIN")
        .filter(|_| !text.ends_with("-----END CERTIFICATE-----\n"));
    text.truncate(end.unwrap_or(text.len()));
    text.into_bytes()
}

fn ca_bundle(case: &mut Case, pem: Vec<u8>) {
    let mut binding = case
        .observed
        .inputs
        .app_binding
        .present()
        .unwrap()
        .as_ref()
        .clone();
    binding.spec.client_config.ca_bundle = Some(ByteString(pem));
    case.observed.inputs.app_binding = Lookup::Present(Arc::new(binding));
}

/// Three certificates, each with the most names and the most CAs.
fn certificates(names: usize) -> Case {
    let pki = Pki::new();
    let mut pgpool = tls_pgpool();
    let tls = pgpool.spec.tls.as_mut().unwrap();
    let listed = |alias: &str| {
        json!({
            "alias": alias,
            "dnsNames": (0..names).map(|number| format!("n{number}.{}example", "x.".repeat(110))).collect::<Vec<_>>(),
            "ipAddresses": (0..names).map(|number| format!("10.0.0.{number}")).collect::<Vec<_>>(),
        })
    };
    tls.certificates = ["server", "metrics-exporter"]
        .iter()
        .map(|alias| serde_json::from_value(listed(alias)).unwrap())
        .collect();
    let mut seen = observed(&pgpool, &pki);
    seen.complete_for = Duration::from_hours(1);
    if names > 0 {
        for certificate in &mut seen.certificates {
            let mut secret = certificate.secret.present().unwrap().as_ref().clone();
            let data = secret.data.get_or_insert_default();
            data.insert("ca.crt".to_owned(), ByteString(authorities(&pki)));
            certificate.secret = Lookup::Present(Arc::new(secret));
        }
    }
    let secrets = seen.certificates.iter().filter_map(|it| it.secret.present());
    Case {
        secrets: secrets.map(|secret| secret.as_ref().clone()).collect(),
        pgpool: serde_json::to_value(&pgpool).unwrap(),
        observed: seen,
    }
}

/// Everything at once, as much of each as fits into the spec.
fn everything() -> Case {
    let mut case = certificates(100);
    let pki = Pki::new();
    synced(&mut case, limits::SYNCED_SECRETS);
    ca_bundle(&mut case, authorities(&pki));
    labels(&mut case);
    let file = secret(&[("pgpool.conf", settings().into_bytes())]);
    case.secrets.push(file.clone());
    case.observed.inputs.configuration_secret = Some(Lookup::Present(Arc::new(file)));
    let case = case
        .spec(&json!({"syncUsers": true, "configuration": {"secretName": "settings"}}))
        .spec(&backends(128));
    let left = limits::SPEC_BYTES.saturating_sub(case.pgpool["spec"].to_string().len());
    case.spec(&pod_template(left))
}

#[test]
#[ignore = "a measurement: cargo e2e bench bounds"]
fn bounds() {
    let plain = Case::plain();
    let spec = |fields: &Value| Case::plain().spec(fields);
    measure("settings, inline", true, &plain, &spec(&inline(&settings())));
    let long = format!("{} = 1\n", "a".repeat(limits::SETTINGS_BYTES.saturating_sub(5)));
    measure("a setting with a long name", true, &plain, &spec(&inline(&long)));
    let unknown = format!("{} = 1\n", "a".repeat(limits::SETTING_NAME_BYTES));
    measure(
        "a setting that is not known",
        true,
        &plain,
        &spec(&inline(&unknown)),
    );
    measure(
        "pod template",
        true,
        &plain,
        &spec(&pod_template(limits::SPEC_BYTES)),
    );
    let refused = json!({"podTemplate": {"metadata": {"annotations": {"a": "x".repeat(1_400_000)}}}});
    measure("a spec that is too large", false, &plain, &spec(&refused));
    measure(
        "users in the environment",
        true,
        &plain,
        &spec(&user_variables(128)),
    );
    measure("backends", true, &plain, &spec(&backends(128)));
    let mut labeled = Case::plain();
    labels(&mut labeled);
    measure("labels and annotations", true, &plain, &labeled);
    let mut users = Case::plain().spec(&json!({"syncUsers": true}));
    synced(&mut users, limits::SYNCED_SECRETS);
    measure("users in labeled Secrets", true, &plain, &users);
    let mut trusting = Case::plain();
    ca_bundle(&mut trusting, authorities(&Pki::new()));
    measure("CA certificates of PostgreSQL", true, &plain, &trusting);
    let small = certificates(0);
    measure(
        "certificates with most names and CAs",
        true,
        &small,
        &certificates(100),
    );
    measure("everything at once", true, &small, &everything());
}
