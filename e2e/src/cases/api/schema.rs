//! The rules that the API server itself keeps, each with one manifest that it accepts and one that it refuses
//! with a message that names the field and the cure.

use anyhow::{Context as _, bail, ensure};
use kube::api::{PostParams, TypeMeta};
use serde_json::{Value, json};

use crate::cases::{Case, Context};
use crate::manifests;
use crate::scene::Scene;
use crate::scene::fixtures::{self, Manifest};

pub fn cases() -> Vec<Case> {
    vec![Case::api("schema::each_rule_accepts_and_refuses", |context| {
        Box::pin(each_rule_accepts_and_refuses(context))
    })]
}

/// A change to the fixture, and the words of the refusal; none when it is accepted.
type Rule = (
    &'static str,
    fn(Manifest) -> Manifest,
    Option<&'static [&'static str]>,
);

const RULES: &[Rule] = &[
    ("the fixture", |pool| pool, None),
    (
        "TLS without certificates",
        |pool| pool.without("/spec/tls"),
        Some(&[
            "spec.sslMode",
            "set spec.tls.issuerRef, or set spec.sslMode to disable",
        ]),
    ),
    ("no TLS and no certificates", |pool| plain(pool), None),
    (
        "certificates without an issuer",
        |pool| pool.without("/spec/tls/issuerRef"),
        Some(&["spec.tls needs an issuer", "set spec.tls.issuerRef"]),
    ),
    (
        "client certificates without TLS",
        |pool| plain(pool).with("/spec/clientAuthMode", json!("cert")),
        Some(&["spec.clientAuthMode cert needs TLS", "set spec.tls.issuerRef"]),
    ),
    (
        "client certificates with TLS switched off",
        |pool| {
            pool.with("/spec/clientAuthMode", json!("cert"))
                .with("/spec/sslMode", json!("disable"))
        },
        Some(&[
            "spec.clientAuthMode cert needs TLS",
            "a spec.sslMode other than disable",
        ]),
    ),
    (
        "client certificates with TLS",
        |pool| pool.with("/spec/clientAuthMode", json!("cert")),
        None,
    ),
    (
        "client certificates with the mode that certificates bring",
        |pool| {
            pool.with("/spec/clientAuthMode", json!("cert"))
                .without("/spec/sslMode")
        },
        None,
    ),
    (
        "an unknown alias",
        |pool| pool.with("/spec/tls/certificates/0/alias", json!("servre")),
        Some(&[
            "spec.tls.certificates[0].alias",
            "supported values",
            "\"server\", \"client\", \"metrics-exporter\"",
        ]),
    ),
    (
        "another alias",
        |pool| pool.with("/spec/tls/certificates/0/alias", json!("metrics-exporter")),
        None,
    ),
    (
        "one alias twice",
        |pool| {
            pool.with(
                "/spec/tls/certificates",
                json!([{"alias": "server"}, {"alias": "server"}]),
            )
        },
        Some(&["spec.tls.certificates[1]", "Duplicate"]),
    ),
    (
        "an unknown mode",
        |pool| pool.with("/spec/sslMode", json!("disabled")),
        Some(&["spec.sslMode", "\"disable\""]),
    ),
    (
        "ten replicas",
        |pool| pool.with("/spec/replicas", json!(10)),
        Some(&["spec.replicas", "9"]),
    ),
    (
        "nine replicas",
        |pool| pool.with("/spec/replicas", json!(9)),
        None,
    ),
    (
        "a name that cannot name a Service",
        |pool| pool.named("1pool"),
        Some(&["metadata.name", "start with a letter"]),
    ),
];

fn plain(pool: Manifest) -> Manifest {
    pool.without("/spec/tls").with("/spec/sslMode", json!("disable"))
}

async fn each_rule_accepts_and_refuses(context: Context) -> anyhow::Result<()> {
    let scene = context.scene().await?;
    for (title, change, refusal) in RULES {
        let pool = change(fixtures::pgpool(scene.namespace())?);
        judged(&scene, &pool, *refusal)
            .await
            .with_context(|| (*title).to_owned())?;
    }
    Ok(())
}

/// Offers a manifest to the API server, which is to judge it and keep nothing.
async fn judged(scene: &Scene, manifest: &Manifest, refusal: Option<&[&str]>) -> anyhow::Result<()> {
    let object = manifest.object()?;
    ensure!(
        object.types
            == Some(TypeMeta {
                api_version: "kubedb.com/v1alpha2".into(),
                kind: "Pgpool".into()
            })
    );
    let api = manifests::api(scene.client(), scene.namespace(), &object).await?;
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match (api.create(&parameters, &object).await, refusal) {
        (Ok(created), None) => {
            let asked = &manifest.0["spec"];
            ensure!(
                kept(asked, &created.data["spec"]),
                "a field was dropped from {asked}: {}",
                created.data["spec"]
            );
            Ok(())
        }
        (Ok(_), Some(_)) => bail!("it was accepted"),
        (Err(error), None) => Err(error).context("it was refused"),
        (Err(error), Some(words)) => {
            let kube::Error::Api(status) = &error else {
                return Err(error).context("no answer");
            };
            ensure!(status.code == 422, "not refused as invalid: {error}");
            for word in words {
                ensure!(
                    status.message.contains(word),
                    "the refusal does not say {word:?}: {}",
                    status.message
                );
            }
            Ok(())
        }
    }
}

/// Everything that was asked for stands in what was made of it.
fn kept(asked: &Value, made: &Value) -> bool {
    match (asked, made) {
        (Value::Object(asked), Value::Object(made)) => asked
            .iter()
            .all(|(key, value)| made.get(key).is_some_and(|made| kept(value, made))),
        (Value::Array(asked), Value::Array(made)) => {
            asked.len() == made.len() && asked.iter().zip(made).all(|(asked, made)| kept(asked, made))
        }
        (asked, made) => asked == made,
    }
}
