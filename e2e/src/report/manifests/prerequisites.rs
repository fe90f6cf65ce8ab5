//! What the manifests of `KubeDB`'s documentation refer to: namespaces, `AppBindings`, Secrets, a service account,
//! versions. A reader of that documentation has created all of it before.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use shared_types::PgpoolVersion;

use crate::namespace::database::Database;
use crate::namespace::fixtures::Manifest;
use crate::namespace::test_ca::TestCa;
use crate::namespace::{TestNamespace, offer_version};
use local_cluster::manifests::{self, ensure_namespace};

/// The namespace of the examples, beside that of the quick start.
pub(crate) const DEMO: &str = "demo";
pub(crate) const POOL: &str = "pool";

pub(crate) const PGPOOL_CONF: &str = "num_init_children = 6\nmax_pool = 65\nchild_life_time = 400\n";

/// Who applies the examples.
pub(crate) const AUTHOR: &str = "author-of-examples";

const BINDINGS: [&str; 4] = ["ha-postgres", "quick-postgres", "pg-demo", "postgres"];
const CA_SECRETS: [&str; 2] = ["pgpool-ca", "pgpool-new-ca"];
const SETTINGS: [&str; 3] = ["pp-configuration", "pp-custom-config", "new-custom-config"];
const VERSIONS: [&str; 5] = ["4.4.5", "4.4.8", "4.5.0", "4.5.3", "4.6.0"];

/// Marks the catalog entries that are created here. They are replaced when the available images change.
const OURS: (&str, &str) = ("app.kubernetes.io/managed-by", "e2e");

/// Creates the two namespaces with all that the examples refer to.
///
/// # Errors
/// Also when one of the namespaces exists already: its content belongs to someone else.
pub(crate) async fn create(client: &Client, database: &Database) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in [DEMO, POOL] {
        ensure!(
            namespaces.get_opt(name).await?.is_none(),
            "the namespace {name} exists already: this report creates and deletes it, so delete it first"
        );
        ensure_namespace(client, name).await?;
        for object in rights_of_author() {
            manifests::apply_object(client, name, &object.object()?).await?;
        }
    }
    let ns = TestNamespace::existing(client, DEMO);
    ns.put(&database.credentials(DEMO)).await?;
    for name in BINDINGS {
        ns.put(&database.app_binding(DEMO, name).await?).await?;
    }
    for name in CA_SECRETS {
        ns.put_ca(name, &TestCa::new(name)?).await?;
    }
    for name in SETTINGS {
        let settings = json!({"pgpool.conf": PGPOOL_CONF});
        ns.put(&Manifest::secret(name, settings)).await?;
    }
    ns.put(&Manifest::service_account("my-custom-serviceaccount"))
        .await?;
    // A request for other credentials names this one.
    let user = Manifest::secret(
        "quick-pb-user-auth",
        json!({"username": "pcp", "password": "another-one"}),
    )
    .with("/type", json!("kubernetes.io/basic-auth"));
    TestNamespace::existing(client, POOL).put(&user).await?;
    offer_versions(client, &VERSIONS).await
}

/// The right to write pools and requests, and to create pods and certificates.
fn rights_of_author() -> [Manifest; 2] {
    let group = "rbac.authorization.k8s.io";
    let rule = |api: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [api], "resources": [resource], "verbs": verbs});
    let written = ["get", "create", "patch"];
    let rules = [
        rule("kubedb.com", "pgpools", &written),
        rule("ops.kubedb.com", "pgpoolopsrequests", &written),
        rule("", "pods", &["create"]),
        rule("cert-manager.io", "certificates", &["create"]),
    ];
    let reference = json!({"apiGroup": group, "kind": "Role", "name": AUTHOR});
    let subject = json!({"apiGroup": group, "kind": "User", "name": AUTHOR});
    let version = format!("{group}/v1");
    [
        Manifest::of(&version, "Role", AUTHOR, json!({"rules": rules})),
        Manifest::of(
            &version,
            "RoleBinding",
            AUTHOR,
            json!({"roleRef": reference, "subjects": [subject]}),
        ),
    ]
}

/// Adds versions to the catalog that someone else does not offer already, with the images of the newest one.
pub(crate) async fn offer_versions(client: &Client, versions: &[&str]) -> anyhow::Result<()> {
    offer_version(client).await?;
    let api: Api<PgpoolVersion> = Api::all(client.clone());
    let mut offered = api.list(&ListParams::default()).await?.items;
    offered.retain(|version| version.labels().get(OURS.0).is_none_or(|by| by != OURS.1));
    let newest = offered
        .iter()
        .max_by_key(|version| release(&version.spec.version));
    let newest = newest.context("the catalog is empty")?;
    for version in versions {
        if offered.iter().any(|offered| offered.name_any() == *version) {
            continue;
        }
        let mut spec = serde_json::to_value(&newest.spec)?;
        spec["version"] = json!(version);
        if spec.get("gitSyncer").is_none_or(Value::is_null) {
            spec["gitSyncer"] = json!({"image": "registry.example.com/git-sync:4"});
        }
        let labels = json!({(OURS.0): OURS.1});
        let entry = Manifest::of(
            "catalog.kubedb.com/v1alpha1",
            "PgpoolVersion",
            version,
            json!({"spec": spec}),
        )
        .with("/metadata/labels", labels);
        manifests::apply_object(client, "", &entry.object()?).await?;
    }
    Ok(())
}

fn release(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}
