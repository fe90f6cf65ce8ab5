//! What the manifests of `KubeDB`'s documentation refer to: namespaces, `AppBindings`, Secrets, an account, versions. All of it is
//! what a reader of that documentation has made before.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use local_cluster::manifests::{self, ensure_namespace};
use serde_json::{Value, json};
use shared_types::PgpoolVersion;

use crate::scene::authority::Authority;
use crate::scene::database::{Database, base64};
use crate::scene::fixtures::{self, Manifest};
use crate::scene::{Scene, offer_version};

/// Where the examples are, beside the pool of the quick start.
pub const DEMO: &str = "demo";
/// Where the pool of the quick start is.
pub const POOL: &str = "pool";

/// The `AppBindings` that the examples ask for.
const BINDINGS: [&str; 4] = ["ha-postgres", "quick-postgres", "pg-demo", "postgres"];
/// The Secrets with certificate authorities.
const AUTHORITIES: [&str; 2] = ["pgpool-ca", "pgpool-new-ca"];
/// The Secrets with settings.
const SETTINGS: [&str; 3] = ["pp-configuration", "pp-custom-config", "new-custom-config"];
/// What is in them: the three settings that the examples show.
pub const PGPOOL_CONF: &str = "num_init_children = 6\nmax_pool = 65\nchild_life_time = 400\n";
/// The versions of `KubeDB`'s catalogue.
pub const VERSIONS: [&str; 5] = ["4.4.5", "4.4.8", "4.5.0", "4.5.3", "4.6.0"];

/// Makes the two namespaces with all that the examples refer to.
///
/// # Errors
/// Also when one of the namespaces is there already: what is in it is somebody else's.
pub async fn prepare(client: &Client, database: &Database) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in [DEMO, POOL] {
        ensure!(
            namespaces.get_opt(name).await?.is_none(),
            "the namespace {name} is there already: it is made and removed by this report, so look into it and remove it first"
        );
        ensure_namespace(client, name).await?;
    }
    let scene = Scene::existing(client, DEMO);
    scene.put(&database.credentials(DEMO)).await?;
    for name in BINDINGS {
        scene.put(&binding(database, DEMO, name).await?).await?;
    }
    for name in AUTHORITIES {
        scene.put(&authority(name)?).await?;
    }
    for name in SETTINGS {
        scene.put(&secret(name, "pgpool.conf", PGPOOL_CONF)).await?;
    }
    scene.put(&account("my-custom-serviceaccount")).await?;
    // What a request for other credentials names.
    let user = Manifest(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "quick-pb-user-auth"},
        "type": "kubernetes.io/basic-auth", "stringData": {"username": "pcp", "password": "another-one"},
    }));
    Scene::existing(client, POOL).put(&user).await?;
    offer_versions(client, &VERSIONS).await
}

/// An `AppBinding` of any name for the PostgreSQL of the harness.
pub async fn binding(database: &Database, namespace: &str, name: &str) -> anyhow::Result<Manifest> {
    let place = database.scene().namespace();
    Ok(fixtures::app_binding(namespace)
        .named(name)
        .with("/spec/clientConfig/service/namespace", json!(place))
        .with("/spec/clientConfig/service/query", json!("sslmode=verify-ca"))
        .with(
            "/spec/clientConfig/caBundle",
            json!(base64(&database.authority().await?)),
        ))
}

/// A Secret with one file.
#[must_use]
pub fn secret(name: &str, key: &str, value: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value},
    }))
}

/// A service account.
#[must_use]
pub fn account(name: &str) -> Manifest {
    Manifest(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}))
}

fn authority(name: &str) -> anyhow::Result<Manifest> {
    let authority = Authority::new(name)?;
    Ok(Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": authority.certificate(), "tls.key": authority.key()},
    })))
}

/// Marks what was put into the catalogue here: it follows when the images that are at hand change.
const OURS: (&str, &str) = ("app.kubernetes.io/managed-by", "e2e");

/// Puts versions into the catalogue unless somebody offers them, with the images of the newest one that is there.
pub async fn offer_versions(client: &Client, versions: &[&str]) -> anyhow::Result<()> {
    offer_version(client).await?;
    let api: Api<PgpoolVersion> = Api::all(client.clone());
    let mut offered = api.list(&ListParams::default()).await?.items;
    offered.retain(|version| version.labels().get(OURS.0).is_none_or(|by| by != OURS.1));
    let newest = offered
        .iter()
        .max_by_key(|version| release(&version.spec.version))
        .context("the catalogue is empty")?;
    for version in versions {
        if offered.iter().any(|offered| offered.name_any() == *version) {
            continue;
        }
        let mut spec = serde_json::to_value(&newest.spec)?;
        spec["version"] = json!(version);
        if spec.get("gitSyncer").is_none_or(Value::is_null) {
            spec["gitSyncer"] = json!({"image": "registry.example.com/git-sync:4"});
        }
        let manifest = Manifest(json!({
            "apiVersion": "catalog.kubedb.com/v1alpha1",
            "kind": "PgpoolVersion",
            "metadata": {"name": version, "labels": {OURS.0: OURS.1}},
            "spec": spec,
        }));
        manifests::apply_object(client, "", &manifest.object()?).await?;
    }
    Ok(())
}

fn release(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}
