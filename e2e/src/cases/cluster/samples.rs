//! The manifests that `KubeDB`'s users write, in the words of this project: each is accepted by the strictest validation and
//! comes to the state that it asks for.

use anyhow::Context as _;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use local_cluster::{manifests, wait};
use serde_json::{Value, json};

use crate::case::{Case, Context};
use crate::report::manifests::expectations::{self, Expectation};
use crate::report::manifests::{follow, prerequisites};
use crate::scene::Scene;
use crate::scene::fixtures::{ISSUER, Manifest};

/// The samples that the schema is tested with, too.
const PGPOOLS: &str = include_str!("../../../../shared-types/tests/samples/pgpools.yaml");

/// Time for a pool to be gone.
const GONE: std::time::Duration = std::time::Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    vec![Case::cluster("samples::each_comes_to_its_state", each)]
}

async fn each(context: Context) -> anyhow::Result<()> {
    let scene = Scene::existing(&context.client, &context.namespace);
    provide(&context, &scene).await?;
    let samples = expectations::samples()?;
    for sample in manifests::parse(PGPOOLS)? {
        let name = sample.name_any();
        let Some(expectation) = samples.get(&name) else {
            continue;
        };
        becomes(&context, &scene, sample, expectation)
            .await
            .with_context(|| format!("the sample {name}"))?;
    }
    Ok(())
}

/// One after the other: half a processor is the default of each, and the node has two.
async fn becomes(
    context: &Context,
    scene: &Scene,
    sample: DynamicObject,
    expectation: &Expectation,
) -> anyhow::Result<()> {
    let name = sample.name_any();
    let sample = here(sample, scene.namespace());
    let api = manifests::api(scene.client(), scene.namespace(), &sample).await?;
    let strict = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(manifests::MANAGER)
    };
    api.patch(&name, &strict, &Patch::Apply(&sample)).await?;
    follow::follow(scene, &name, context.database().await?, expectation).await?;
    scene.delete::<shared_types::Pgpool>(&name).await?;
    wait::gone(
        &scene.api::<k8s_openapi::api::apps::v1::StatefulSet>(),
        &name,
        GONE,
    )
    .await
}

/// The sample in the namespace of the case, with the one PostgreSQL of all cases; three pods are small ones.
fn here(mut sample: DynamicObject, namespace: &str) -> DynamicObject {
    sample.metadata.namespace = Some(namespace.to_owned());
    let spec = &mut sample.data["spec"];
    spec["postgresRef"]["namespace"] = json!(namespace);
    if let Some(issuer) = spec.pointer_mut("/tls/issuerRef/name") {
        *issuer = json!("platform-ca");
    }
    if spec["replicas"] == 3 {
        let small = json!({"requests": {"cpu": "50m", "memory": "64Mi"}});
        spec["podTemplate"] = json!({"spec": {"containers": [{"name": "pgpool", "resources": small}]}});
    }
    sample
}

async fn provide(context: &Context, scene: &Scene) -> anyhow::Result<()> {
    let database = context.database().await?;
    let namespace = scene.namespace();
    prerequisites::offer_versions(scene.client(), &["4.5.0"]).await?;
    scene.apply(ISSUER).await?;
    let labels: Value = json!({
        "app.kubernetes.io/name": "postgreses.kubedb.com",
        "app.kubernetes.io/instance": "orders",
    });
    let john = Manifest::secret("john", json!({"username": "john", "password": "of john"}));
    for manifest in [
        database.credentials(namespace),
        database.app_binding(namespace, "orders").await?,
        Manifest::secret(
            "orders-pool-settings",
            json!({"pgpool.conf": prerequisites::PGPOOL_CONF}),
        ),
        Manifest::secret("reports", json!({"password": "of reports"})),
        Manifest::secret("git-credentials", json!({"token": "of git"})),
        Manifest::service_account("own-account"),
        john.with("/metadata/labels", labels),
    ] {
        scene.put(&manifest).await?;
    }
    Ok(())
}
