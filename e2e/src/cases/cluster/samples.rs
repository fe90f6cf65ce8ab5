//! The manifests that `KubeDB`'s users write, in the words of this project: each is accepted by the strictest validation and
//! comes to the state that it asks for.

use anyhow::Context as _;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use local_cluster::{manifests, wait};
use serde_json::{Value, json};

use crate::case::{Case, Context};
use crate::report::manifests::expectations::{self, Expectation, SAMPLES};
use crate::report::manifests::{ground, play};
use crate::scene::Scene;
use crate::scene::fixtures::{ISSUER, Manifest};

/// The samples that the schema is tested with, too.
const PGPOOLS: &str = include_str!("../../../../shared-types/tests/samples/pgpools.yaml");

/// Time for a pool to be gone.
const GONE: std::time::Duration = std::time::Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    vec![Case::cluster("samples::each_comes_to_its_state", |context| {
        Box::pin(each(context))
    })]
}

async fn each(context: Context) -> anyhow::Result<()> {
    let scene = Scene::existing(&context.client, &context.namespace);
    provide(&context, &scene).await?;
    for sample in manifests::parse(PGPOOLS)? {
        let name = sample.name_any();
        let Some(expectation) = expectations::of(SAMPLES, &name) else {
            continue;
        };
        follow(&context, &scene, sample, expectation)
            .await
            .with_context(|| format!("the sample {name}"))?;
    }
    Ok(())
}

/// One after the other: half a processor is the default of each, and the node has two.
async fn follow(
    context: &Context,
    scene: &Scene,
    sample: DynamicObject,
    expectation: Expectation,
) -> anyhow::Result<()> {
    let name = sample.name_any();
    let sample = here(sample, scene.namespace());
    let api = manifests::api(scene.client(), scene.namespace(), &sample).await?;
    let strict = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(manifests::MANAGER)
    };
    api.patch(&name, &strict, &Patch::Apply(&sample)).await?;
    play::follow(scene, &name, context.database().await?, expectation).await?;
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
    ground::offer_versions(scene.client(), &["4.5.0"]).await?;
    scene.apply(ISSUER).await?;
    let labels: Value = json!({
        "app.kubernetes.io/name": "postgreses.kubedb.com",
        "app.kubernetes.io/instance": "orders",
    });
    let john = Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "john", "labels": labels},
        "stringData": {"username": "john", "password": "of john"},
    }));
    for manifest in [
        database.credentials(namespace),
        ground::binding(database, namespace, "orders").await?,
        ground::secret("orders-pool-settings", "pgpool.conf", ground::PGPOOL_CONF),
        ground::secret("reports", "password", "of reports"),
        ground::secret("git-credentials", "token", "of git"),
        ground::account("own-account"),
        john,
    ] {
        scene.put(&manifest).await?;
    }
    Ok(())
}
