//! A Pgpool in front of a PostgreSQL whose namespace the provisioner may not read.

use serde_json::json;
use shared_types::conditions::Reason;

use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{self, DATABASE, Manifest, POOL};
use crate::namespace::operator_process::{Operator, OperatorArgs, with_logs};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api("backend::what_may_not_be_read_is_named", forbidden)]
}

/// A pool without TLS: here nothing is about certificates.
fn pool(ns: &TestNamespace) -> anyhow::Result<Manifest> {
    fixtures::plain_pgpool(ns.name())
}

/// A provisioner that may do everything in the namespace of the Pgpool and nothing in that of PostgreSQL.
async fn forbidden(context: Context) -> anyhow::Result<()> {
    let plane = context.plane_without_operators().await?;
    let ns = TestNamespace::create(&plane.client(), "forbidden").await?;
    let database = TestNamespace::create(&plane.client(), "forbidden-database").await?;
    database.backend().await?;
    let user = format!("limited-{}", ns.name());
    ns.apply(&grant(&user, ns.name())).await?;
    let kubeconfig = plane.user(&user, &user, None)?;
    let plan = OperatorArgs::new(&context.operator("provisioner")?, &kubeconfig).within(ns.name());
    let operator = Operator::start(plane, &user, plan).await?;
    let case = async {
        let pool = pool(&ns)?.with("/spec/postgresRef/namespace", json!(database.name()));
        ns.put(&pool).await?;
        let binding = format!("{}/{DATABASE}", database.name());
        ns.stalled(
            POOL,
            Reason::AppBindingForbidden,
            &["AppBinding", &binding, "the provisioner may not read it"],
        )
        .await?;
        database
            .apply(&role(
                &user,
                database.name(),
                "appcatalog.appscode.com",
                "appbindings",
            ))
            .await?;
        let secret = format!("{}/postgres-auth", database.name());
        ns.waiting(
            POOL,
            Reason::BackendSecretForbidden,
            &["Secret", &secret, "grant", "`get`"],
        )
        .await?;
        database
            .apply(&role(&user, database.name(), "", "secrets"))
            .await?;
        ns.workload(POOL).await?;
        anyhow::Ok(())
    };
    with_logs(case.await, || operator.log_lines(""))
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
