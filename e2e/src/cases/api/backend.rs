//! What a Pgpool refers to beside its issuer: the `AppBinding`, its Secret, the catalogue. Each may be missing
//! or unreadable, and each may come later.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use shared_types::AppBinding;
use shared_types::conditions::Reason;

use crate::case::{Case, Context};
use crate::cases::props::served;
use crate::scene::Scene;
use crate::scene::fixtures::{self, DATABASE, Manifest, POOL};
use crate::scene::operator::{Operator, Plan, explained};

pub fn cases() -> Vec<Case> {
    vec![
        Case::api("backend::a_missing_app_binding_is_awaited", |context| {
            served(context, no_binding)
        }),
        Case::api("backend::an_app_binding_must_name_a_secret", |context| {
            served(context, no_reference)
        }),
        Case::api("backend::a_missing_secret_is_awaited", |context| {
            served(context, no_secret)
        }),
        Case::api("backend::a_secret_must_hold_a_password", |context| {
            served(context, no_password)
        }),
        Case::api("backend::an_unknown_version_is_awaited", |context| {
            served(context, no_version)
        }),
        Case::api("backend::what_may_not_be_read_is_named", forbidden),
    ]
}

/// A pool without TLS: here nothing is about certificates.
fn pool(scene: &Scene) -> anyhow::Result<Manifest> {
    Ok(fixtures::pgpool(scene.namespace())?
        .without("/spec/tls")
        .with("/spec/sslMode", json!("disable")))
}

async fn no_binding(scene: Scene) -> anyhow::Result<()> {
    scene.delete::<AppBinding>(DATABASE).await?;
    scene.put(&pool(&scene)?).await?;
    let place = format!("{}/{DATABASE}", scene.namespace());
    scene
        .waiting(
            POOL,
            Reason::AppBindingNotFound,
            &["AppBinding", &place, "create it"],
        )
        .await?;
    scene.no_workload(POOL).await?;
    scene.backend().await?;
    scene.workload(POOL).await?;
    Ok(())
}

async fn no_reference(scene: Scene) -> anyhow::Result<()> {
    change_binding(&scene, json!({"spec": {"secret": null}})).await?;
    scene.put(&pool(&scene)?).await?;
    let place = format!("{}/{DATABASE}", scene.namespace());
    scene
        .stalled(
            POOL,
            Reason::AppBindingInvalid,
            &["AppBinding", &place, "set `spec.secret.name`"],
        )
        .await?;
    scene.no_workload(POOL).await?;
    change_binding(&scene, json!({"spec": {"secret": {"name": "postgres-auth"}}})).await?;
    scene.workload(POOL).await?;
    Ok(())
}

async fn no_secret(scene: Scene) -> anyhow::Result<()> {
    scene.delete::<Secret>("postgres-auth").await?;
    scene.put(&pool(&scene)?).await?;
    let place = format!("{}/postgres-auth", scene.namespace());
    scene
        .waiting(
            POOL,
            Reason::BackendSecretNotFound,
            &["Secret", &place, "create it"],
        )
        .await?;
    scene.no_workload(POOL).await?;
    scene.backend().await?;
    scene.workload(POOL).await?;
    Ok(())
}

async fn no_password(scene: Scene) -> anyhow::Result<()> {
    scene.delete::<Secret>("postgres-auth").await?;
    let lacking = fixtures::credentials(scene.namespace(), "")
        .with("/type", json!("Opaque"))
        .without("/stringData/password");
    scene.put(&lacking).await?;
    scene.put(&pool(&scene)?).await?;
    let place = format!("{}/postgres-auth", scene.namespace());
    scene
        .stalled(
            POOL,
            Reason::BackendSecretInvalid,
            &["Secret", &place, "`password`"],
        )
        .await?;
    scene.no_workload(POOL).await?;
    scene
        .put(&lacking.with("/stringData/password", json!("secret")))
        .await?;
    scene.workload(POOL).await?;
    Ok(())
}

async fn no_version(scene: Scene) -> anyhow::Result<()> {
    scene
        .put(&pool(&scene)?.with("/spec/version", json!("9.9.9")))
        .await?;
    scene
        .waiting(
            POOL,
            Reason::VersionNotFound,
            &["PgpoolVersion", "9.9.9", "create it"],
        )
        .await?;
    scene.no_workload(POOL).await?;
    scene.edit(POOL, json!({"version": "4.3.5"})).await?;
    scene.workload(POOL).await?;
    Ok(())
}

async fn change_binding(scene: &Scene, change: serde_json::Value) -> anyhow::Result<()> {
    let api = scene.api::<AppBinding>();
    api.patch(DATABASE, &PatchParams::default(), &Patch::Merge(&change))
        .await?;
    Ok(())
}

/// A provisioner that may do everything in the namespace of the Pgpool and nothing in that of PostgreSQL.
async fn forbidden(context: Context) -> anyhow::Result<()> {
    let plane = context.quiet().await?;
    let scene = Scene::create(&plane.client(), "forbidden").await?;
    let database = Scene::create(&plane.client(), "forbidden-database").await?;
    database.backend().await?;
    let user = format!("limited-{}", scene.namespace());
    scene.apply(&grant(&user, scene.namespace())).await?;
    let kubeconfig = plane.user(&user, &user, None)?;
    let plan = Plan::new(&context.operator("provisioner")?, &kubeconfig).within(scene.namespace());
    let operator = Operator::start(plane, &user, plan).await?;
    let case = async {
        let pool = pool(&scene)?.with("/spec/postgresRef/namespace", json!(database.namespace()));
        scene.put(&pool).await?;
        let binding = format!("{}/{DATABASE}", database.namespace());
        scene
            .waiting(
                POOL,
                Reason::AppBindingForbidden,
                &["AppBinding", &binding, "grant", "`get`"],
            )
            .await?;
        database
            .apply(&role(
                &user,
                database.namespace(),
                "appcatalog.appscode.com",
                "appbindings",
            ))
            .await?;
        let secret = format!("{}/postgres-auth", database.namespace());
        scene
            .waiting(
                POOL,
                Reason::BackendSecretForbidden,
                &["Secret", &secret, "grant", "`get`"],
            )
            .await?;
        database
            .apply(&role(&user, database.namespace(), "", "secrets"))
            .await?;
        scene.workload(POOL).await?;
        anyhow::Ok(())
    };
    explained(case.await, || operator.said(""))
}

/// Everything in one namespace, and the kinds of the cluster.
fn grant(user: &str, namespace: &str) -> String {
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: all, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {user}}}
rules:
- {{apiGroups: [catalog.kubedb.com], resources: [pgpoolversions], verbs: [get, list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {user}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
    )
}

/// Reading one kind in one namespace.
fn role(user: &str, namespace: &str, group: &str, resource: &str) -> String {
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: read-{resource}, namespace: {namespace}}}
rules:
- {{apiGroups: ['{group}'], resources: [{resource}], verbs: [get, list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: read-{resource}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: read-{resource}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
    )
}
