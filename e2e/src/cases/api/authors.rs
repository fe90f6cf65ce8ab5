//! What the authors of Pgpools and requests may ask for: each row of `fixtures/authors.yaml`, as users with narrow Roles,
//! with no operator running.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Request;
use local_cluster::{manifests, wait};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::case::{Case, Context};
use crate::namespace::fixtures::Manifest;
use crate::namespace::{SOON, TestNamespace};

const ROWS: &str = include_str!("../../../fixtures/authors.yaml");

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "authors::each_needs_the_right_to_what_is_made",
            each_needs_the_right,
        ),
        Case::api(
            "authors::a_field_counts_only_when_it_changes",
            only_what_changes_counts,
        ),
        Case::api("authors::the_largest_objects_can_be_checked", largest_objects),
        Case::api(
            "authors::only_a_right_to_the_whole_cluster_exempts",
            only_ops_manager_is_exempt,
        ),
    ]
}

/// What an author needs besides the right to write the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Need {
    Nothing,
    Pods,
    Services,
    Certificates,
    Account,
    Patch,
    Trusted,
}

impl Need {
    /// The users of this test, each with one right; [`Self::Trusted`] has all of them.
    const USERS: [Self; 7] = [
        Self::Nothing,
        Self::Pods,
        Self::Services,
        Self::Certificates,
        Self::Account,
        Self::Patch,
        Self::Trusted,
    ];

    fn user(self, ns: &TestNamespace) -> String {
        format!("author-{self:?}-{}", ns.name()).to_lowercase()
    }

    fn rules(self) -> Vec<Value> {
        let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
        let pods = rule("", "pods", &["create"]);
        let services = rule("", "services", &["create"]);
        let certificates = rule("cert-manager.io", "certificates", &["create"]);
        let patch = rule("kubedb.com", "pgpools", &["patch"]);
        let account = json!({
            "apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["deployer"], "verbs": ["impersonate"],
        });
        match self {
            Self::Nothing => vec![],
            Self::Pods => vec![pods],
            Self::Services => vec![services],
            Self::Certificates => vec![certificates, patch],
            Self::Account => vec![account],
            Self::Patch => vec![patch],
            Self::Trusted => vec![rule("*", "*", &["*"])],
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    set: BTreeMap<String, Value>,
    needs: Need,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    pgpools: Vec<Row>,
    requests: Vec<Row>,
}

fn rows(ns: &TestNamespace) -> anyhow::Result<Rows> {
    serde_yaml::from_str(&ROWS.replace("NAMESPACE", ns.name())).context("reading fixtures/authors.yaml")
}

/// The parts of refusals that the rows expect.
#[cfg(test)]
pub(super) fn expected_words() -> impl Iterator<Item = String> {
    let Rows { pgpools, requests } = serde_yaml::from_str(ROWS).unwrap();
    let rows = pgpools.into_iter().chain(requests);
    rows.map(|row| row.message).filter(|message| !message.is_empty())
}

impl Row {
    fn on(&self, mut manifest: Manifest) -> Manifest {
        for (path, value) in &self.set {
            manifest = match path.as_str() {
                "/spec" => {
                    let merged = manifest.0["spec"].as_object().into_iter().flatten();
                    let mut merged: serde_json::Map<_, _> =
                        merged.map(|(k, v)| (k.clone(), v.clone())).collect();
                    merged.extend(
                        value
                            .as_object()
                            .into_iter()
                            .flatten()
                            .map(|(k, v)| (k.clone(), v.clone())),
                    );
                    manifest.with(path, Value::Object(merged))
                }
                _ => manifest.with(path, value.clone()),
            };
        }
        manifest
    }
}

fn smallest_pool() -> Manifest {
    let spec = json!({"version": "4.5.0", "postgresRef": {"name": "postgres"}});
    Manifest::of("kubedb.com/v1alpha2", "Pgpool", "pool", json!({"spec": spec}))
}

fn smallest_request() -> Manifest {
    let spec = json!({"databaseRef": {"name": "pool"}});
    Manifest::of(
        "ops.kubedb.com/v1alpha1",
        "PgpoolOpsRequest",
        "request",
        json!({"spec": spec}),
    )
}

/// A user for each need, who may write Pgpools without patching them and create requests.
async fn users(ns: &TestNamespace) -> anyhow::Result<()> {
    for need in Need::USERS {
        let user = need.user(ns);
        let mut rules = vec![
            json!({"apiGroups": ["kubedb.com"], "resources": ["pgpools"], "verbs": ["get", "create", "update"]}),
            json!({"apiGroups": ["ops.kubedb.com"], "resources": ["pgpoolopsrequests"], "verbs": ["create"]}),
        ];
        rules.extend(need.rules());
        let api = "rbac.authorization.k8s.io";
        let reference = json!({"apiGroup": api, "kind": "Role", "name": user});
        let subject = json!({"apiGroup": api, "kind": "User", "name": user});
        for (kind, rest) in [
            ("Role", json!({"rules": rules})),
            (
                "RoleBinding",
                json!({"roleRef": reference, "subjects": [subject]}),
            ),
        ] {
            let object = Manifest::of(&format!("{api}/v1"), kind, &user, rest).object()?;
            manifests::apply_object(ns.client(), ns.name(), &object).await?;
        }
    }
    Ok(())
}

/// Sends a request as a user; the message of the API server when it refuses.
async fn send(
    ns: &TestNamespace,
    user: &str,
    mut request: http::Request<Vec<u8>>,
) -> anyhow::Result<Result<(), String>> {
    request
        .headers_mut()
        .insert("Impersonate-User", user.parse().context("a user")?);
    match ns.client().request::<DynamicObject>(request).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Err(status.message.clone())),
        Err(error) => Err(error).context(user.to_owned()),
    }
}

async fn create(
    ns: &TestNamespace,
    user: &str,
    manifest: &Manifest,
    dry_run: bool,
) -> anyhow::Result<Result<(), String>> {
    let object = manifest.object()?;
    let api = manifests::api(ns.client(), ns.name(), &object).await?;
    let parameters = PostParams {
        dry_run,
        ..PostParams::default()
    };
    let request = Request::new(api.resource_url()).create(&parameters, serde_json::to_vec(&object)?)?;
    send(ns, user, request).await
}

/// Whether the policies are in force: the API server reads them now and then.
async fn in_force(ns: &TestNamespace) -> anyhow::Result<()> {
    let host = smallest_pool().with("/spec/podTemplate/spec/hostNetwork", json!(true));
    let edit = Row {
        set: BTreeMap::from([("/spec".to_owned(), json!({"type": "RotateAuth"}))]),
        needs: Need::Patch,
        message: String::new(),
    };
    let edit = edit.on(smallest_request());
    wait::until("the policies are in force", SOON, || async {
        for manifest in [&host, &edit] {
            let made = create(ns, &Need::Nothing.user(ns), manifest, true).await?;
            ensure!(made.is_err(), "not yet");
        }
        Ok(())
    })
    .await
}

async fn each_needs_the_right(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    users(&ns).await?;
    in_force(&ns).await?;
    let mut wrong = Vec::new();
    let Rows { pgpools, requests } = rows(&ns)?;
    let pgpools = pgpools.into_iter().map(|row| (smallest_pool(), row));
    let requests = requests.into_iter().map(|row| (smallest_request(), row));
    for (smallest, row) in pgpools.chain(requests) {
        let manifest = row.on(smallest);
        for user in Need::USERS {
            let may = match row.needs {
                Need::Nothing => true,
                Need::Trusted => false,
                // Who may create certificates may patch, too.
                Need::Patch if user == Need::Certificates => true,
                need => user == need || user == Need::Trusted,
            };
            match (create(&ns, &user.user(&ns), &manifest, true).await, may) {
                (Ok(Ok(())), true) => {}
                // Of a request, the first refusal is about the right to patch.
                (Ok(Err(text)), false)
                    if text.contains(&row.message) || text.contains("spec.type is an edit") => {}
                (seen, _) => wrong.push(format!("{user:?}, {:?}: {seen:?}", row.set)),
            }
        }
    }
    ensure!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// A pool that its administrator made is edited by somebody without rights: what was there may stay, and not change.
async fn only_what_changes_counts(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    users(&ns).await?;
    in_force(&ns).await?;
    let (poor, rich) = (Need::Patch.user(&ns), Need::Trusted.user(&ns));
    let mut wrong = Vec::new();
    for row in rows(&ns)?.pgpools {
        if matches!(row.needs, Need::Nothing | Need::Trusted) {
            continue;
        }
        let manifest = row.on(smallest_pool());
        if let Err(refusal) = create(&ns, &rich, &manifest, false).await? {
            bail!("{:?}: {refusal}", row.set);
        }
        let object = manifest.object()?;
        let api = manifests::api(ns.client(), ns.name(), &object).await?;
        let patch = |change: Value| {
            let parameters = PatchParams {
                dry_run: true,
                ..PatchParams::default()
            };
            Request::new(api.resource_url()).patch("pool", &parameters, &Patch::Merge(change))
        };
        let unrelated = patch(json!({"spec": {"replicas": 3}, "metadata": {"annotations": {"a": "b"}}}))?;
        if let Err(refusal) = send(&ns, &poor, unrelated).await? {
            wrong.push(format!("{:?}: an unrelated edit is refused: {refusal}", row.set));
        }
        let other = smallest_pool().with("/spec/replicas", json!(2));
        if let Err(refusal) = create(&ns, &poor, &other.clone().named("other"), false).await? {
            wrong.push(format!("a plain pool is refused: {refusal}"));
        }
        let change = patch_of(&row);
        let api_other = Request::new(api.resource_url());
        let request = api_other.patch(
            "other",
            &PatchParams {
                dry_run: true,
                ..PatchParams::default()
            },
            &Patch::Merge(change),
        )?;
        if send(&ns, &poor, request).await?.is_ok() {
            wrong.push(format!("{:?}: may be added later", row.set));
        }
        for name in ["pool", "other"] {
            api.delete(name, &DeleteParams::default()).await?;
        }
    }
    ensure!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// The row as a merge patch.
fn patch_of(row: &Row) -> Value {
    let mut manifest = row.on(Manifest(json!({})));
    manifest.0.take()
}

/// ops-manager writes what the author of a request may ask for. A Role in a namespace does not make anybody ops-manager, and
/// what is forbidden is forbidden to ops-manager, too.
async fn only_ops_manager_is_exempt(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    users(&ns).await?;
    in_force(&ns).await?;
    let (poor, carrier) = (Need::Patch.user(&ns), Need::Nothing.user(&ns));
    let group = "rbac.authorization.k8s.io";
    let rules = json!({"rules": [{
        "apiGroups": ["operators.pgpool.kubedb.com"], "resources": ["pgpoolopsrequests"], "verbs": ["carryout"],
    }]});
    for (user, role, binding) in [
        (&poor, "Role", "RoleBinding"),
        (&carrier, "ClusterRole", "ClusterRoleBinding"),
    ] {
        let name = format!("carryout-{user}");
        let subjects = json!([{"apiGroup": group, "kind": "User", "name": user}]);
        let reference = json!({"apiGroup": group, "kind": role, "name": name});
        let bound = json!({"roleRef": reference, "subjects": subjects});
        for (kind, rest) in [(role, rules.clone()), (binding, bound)] {
            let object = Manifest::of(&format!("{group}/v1"), kind, &name, rest).object()?;
            manifests::apply_object(ns.client(), ns.name(), &object).await?;
        }
    }
    let issuer = json!({"kind": "ClusterIssuer", "name": "ca"});
    let guarded = smallest_pool().with("/spec/tls/issuerRef", issuer);
    let forbidden = smallest_pool().with("/spec/podTemplate/spec/hostPID", json!(true));
    wait::until("the right of ops-manager is known", SOON, || async {
        let made = create(&ns, &carrier, &guarded, true).await?;
        ensure!(made.is_ok(), "{made:?}");
        Ok(())
    })
    .await?;
    ensure!(
        create(&ns, &poor, &guarded, true).await?.is_err(),
        "a Role exempts"
    );
    ensure!(
        create(&ns, &carrier, &forbidden, true).await?.is_err(),
        "hostPID is accepted"
    );
    Ok(())
}

/// Lists at their limits cost less than the API server spends on an expression.
async fn largest_objects(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    users(&ns).await?;
    in_force(&ns).await?;
    let variables: Vec<_> = (0..256)
        .map(|number| json!({"name": format!("{}{number}", "V".repeat(240)), "value": "v"}))
        .collect();
    let names: Vec<_> = (0..100)
        .map(|number| format!("pool-{number}.pool-pods.{}.svc", ns.name()))
        .collect();
    let containers: Vec<_> = (0..32)
        .map(|number| json!({"name": format!("c{number}"), "image": "a", "env": variables[..64], "ports": [{"containerPort": 80}]}))
        .collect();
    let volumes: Vec<_> = (0..128)
        .map(|number| json!({"name": format!("v{number}"), "secret": {"secretName": "s"}}))
        .collect();
    let labels: BTreeMap<_, _> = (0..128)
        .map(|number| (format!("app.kubernetes.io/{number}"), "x"))
        .collect();
    let pool = smallest_pool()
        .with("/metadata/labels", json!(labels))
        .with(
            "/spec/podTemplate/metadata",
            json!({"labels": labels, "annotations": labels}),
        )
        .with(
            "/spec/podTemplate/spec",
            json!({"containers": containers, "initContainers": [], "volumes": volumes}),
        )
        .with(
            "/spec/tls",
            json!({"issuerRef": {"kind": "Issuer", "name": "ca"}, "certificates": [
                {"alias": "server", "dnsNames": names}, {"alias": "client", "dnsNames": names},
                {"alias": "metrics-exporter", "dnsNames": names},
            ]}),
        );
    let rich = Need::Trusted.user(&ns);
    if let Err(refusal) = create(&ns, &rich, &pool, false).await? {
        bail!("{refusal}");
    }
    let object = pool.object()?;
    let api = manifests::api(ns.client(), ns.name(), &object).await?;
    let request = Request::new(api.resource_url()).patch(
        "pool",
        &PatchParams::default(),
        &Patch::Merge(json!({"spec": {"replicas": 3}})),
    )?;
    if let Err(refusal) = send(&ns, &Need::Patch.user(&ns), request).await? {
        bail!("{refusal}");
    }
    Ok(())
}
