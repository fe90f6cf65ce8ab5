//! The manifests that `KubeDB`'s users write, as samples of our own: each is accepted by the strictest validation and
//! reaches the state that it requests.

use anyhow::Context as _;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use local_cluster::{manifests, wait};
use serde_json::{Value, json};

use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{ISSUER, Manifest};
use crate::report::manifests::expectations::{self, Expectation};
use crate::report::manifests::{follow, prerequisites};

/// The samples that the schema is tested with, too.
const PGPOOLS: &str = include_str!("../../../../shared-types/tests/samples/pgpools.yaml");

const GONE: std::time::Duration = std::time::Duration::from_mins(1);

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster("samples::each_comes_to_its_state", each)]
}

async fn each(context: Context) -> anyhow::Result<()> {
    let ns = TestNamespace::existing(&context.client, &context.namespace);
    provide(&context, &ns).await?;
    let samples = expectations::samples()?;
    for sample in manifests::parse(PGPOOLS)? {
        let name = sample.name_any();
        let Some(expectation) = samples.get(&name) else {
            continue;
        };
        becomes(&context, &ns, sample, expectation)
            .await
            .with_context(|| format!("the sample {name}"))?;
    }
    Ok(())
}

/// One after the other: half a processor is the default of each, and the node has two.
async fn becomes(
    context: &Context,
    ns: &TestNamespace,
    sample: DynamicObject,
    expectation: &Expectation,
) -> anyhow::Result<()> {
    let name = sample.name_any();
    let sample = here(sample, ns.name());
    let api = manifests::api(ns.client(), ns.name(), &sample).await?;
    let strict = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(manifests::MANAGER)
    };
    api.patch(&name, &strict, &Patch::Apply(&sample)).await?;
    follow::follow(ns, &name, context.database().await?, expectation).await?;
    ns.delete::<shared_types::Pgpool>(&name).await?;
    wait::gone(&ns.api::<k8s_openapi::api::apps::v1::StatefulSet>(), &name, GONE).await
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

async fn provide(context: &Context, ns: &TestNamespace) -> anyhow::Result<()> {
    let database = context.database().await?;
    let namespace = ns.name();
    prerequisites::offer_versions(ns.client(), &["4.5.0"]).await?;
    ns.apply(ISSUER).await?;
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
        ns.put(&manifest).await?;
    }
    Ok(())
}
