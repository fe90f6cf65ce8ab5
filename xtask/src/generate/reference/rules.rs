//! The page of rules: what is enforced, where, and what a user reads.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use shared_types::rules::is_limit_of_type;
use shared_types::{conditions::Reason, crds, limits, policies, rules};

use super::{GENERATED, cell};

/// Rules about more than one object, which the operators check, and the reason of the condition that reports them.
const CHECKED_BY_OPERATORS: &[(Reason, &str)] = &[
    (
        Reason::VersionNotFound,
        "`spec.version` names a `PgpoolVersion` that exists",
    ),
    (
        Reason::AppBindingNotFound,
        "`spec.postgresRef` names an `AppBinding` that exists",
    ),
    (
        Reason::AppBindingInvalid,
        "the `AppBinding` has one address of a PostgreSQL, and a query that can be parsed",
    ),
    (
        Reason::BackendSecretNotFound,
        "the Secret that the `AppBinding` names exists",
    ),
    (
        Reason::BackendSecretInvalid,
        "that Secret has `username` and `password`",
    ),
    (
        Reason::AuthSecretNotFound,
        "a Secret of the user in `spec.authSecret` exists",
    ),
    (
        Reason::AuthSecretInvalid,
        "that Secret has `username` and `password`",
    ),
    (
        Reason::ConfigurationSecretNotFound,
        "the Secret in `spec.configuration.secretName` exists",
    ),
    (
        Reason::ConfigurationInvalid,
        "each setting is one that pgpool knows, on its own line, and does not set TLS, authentication or paths; `X_USERNAME` \
         and `X_PASSWORD` come in pairs; each backend group has a known Service",
    ),
    (
        Reason::NotSupported,
        "`spec.authSecret` is a plain Secret; dates and names in certificates can be parsed",
    ),
    (
        Reason::NameConflict,
        "no other object has the name of a generated one. Long names are shortened (`<name>-metrics-exporter-cert` after 41 \
         characters), so those of two Pgpools may be equal; the older Pgpool keeps the object",
    ),
    (
        Reason::SecretNameConflict,
        "no other Pgpool or controller writes the Secret of a certificate",
    ),
    (Reason::IssuerNotFound, "the issuer exists"),
    (
        Reason::IssuerKindUnsupported,
        "the issuer is of a kind that cert-manager has",
    ),
    (
        Reason::WriteForbidden,
        "Kubernetes accepts the generated objects: permissions, quotas and policies of the cluster",
    ),
];

pub(super) fn page() -> String {
    let mut page = format!(
        "# Rules\n\n{GENERATED}\n\nThe API server rejects an invalid object before it is stored, even while both \
         operators are down. Rules that depend on other objects become conditions: the object is stored, running pods keep \
         running, and the condition says how to fix it. See [conditions](conditions.md).\n\n\
         - **schema**: a keyword of the definition, with the message of the API server\n\
         - **CEL**: a rule of the definition, with the message below after the path of the field\n\
         - **policy**: a `ValidatingAdmissionPolicy` of the chart `pgpool-crds`\n\
         - **condition**: reported by an operator, with this reason\n\n\
         `kubectl` rejects a field that a definition does not have (`unknown field`), because it requests strict \
         validation.\n\nObjects that were stored before a rule existed stay valid: the API server validates a field again only when it \
         changes, so an object with an old value can still be labeled, updated in its status, and deleted.\n"
    );
    for crd in crds::all() {
        let kind = &crd.spec.names.kind;
        let Some(schema) = crds::schema(kind) else {
            continue;
        };
        let _ = write!(
            page,
            "\n## {kind}\n\n| Field | Where | Message |\n|---|---|---|\n"
        );
        for (field, place, message) in rows(&schema) {
            let _ = writeln!(
                page,
                "| {} | {place} | {} |",
                cell(&format!("`{field}`")),
                cell(&message)
            );
        }
        if kind == "Pgpool" {
            add_policies(&mut page);
            add_conditions(&mut page);
        }
    }
    page.push_str(NAMESPACES);
    page
}

fn add_policies(page: &mut String) {
    page.push_str("\n### By policies\n\n| Policy | On | Effect | Message |\n|---|---|---|---|\n");
    for policies::Policy { policy, binding } in policies::all() {
        let name = policy.metadata.name.unwrap_or_default();
        let spec = policy.spec.unwrap_or_default();
        let rules = spec.match_constraints.and_then(|matches| matches.resource_rules);
        let operations: Vec<_> = rules
            .into_iter()
            .flatten()
            .flat_map(|rule| rule.operations.unwrap_or_default())
            .map(|operation| operation.to_lowercase())
            .collect();
        let denies = binding
            .spec
            .and_then(|spec| spec.validation_actions)
            .is_some_and(|actions| actions.iter().any(|action| action == "Deny"));
        for validation in spec.validations.into_iter().flatten() {
            let _ = writeln!(
                page,
                "| `{name}` | {} | {} | {} |",
                operations.join(", "),
                if denies { "rejects" } else { "warns" },
                cell(&validation.message.unwrap_or_default())
            );
        }
    }
}

fn add_conditions(page: &mut String) {
    page.push_str("\n### By conditions\n\n| What must hold | Reason |\n|---|---|\n");
    for (reason, rule) in CHECKED_BY_OPERATORS {
        let _ = writeln!(page, "| {} | [`{reason}`](conditions.md#reasons) |", cell(rule));
    }
}

/// About deletion and what policies cannot prevent.
const NAMESPACES: &str = "
## Deletion of a protected Pgpool

`spec.deletionPolicy: DoNotTerminate` makes the API server reject every deletion of the Pgpool: by a person, a
controller or garbage collection. The policy fails closed and works while both operators are down. To delete the Pgpool,
change the field first:

    kubectl patch pgpool NAME --type merge -p '{\"spec\":{\"deletionPolicy\":\"Delete\"}}'

`kubectl delete namespace` is still accepted, because the API server does not check what a namespace contains. It deletes
the Secrets, Services and the workload of the pool, so the pool stops. The Pgpool stays, the namespace stays
`Terminating`, and its condition `NamespaceDeletionContentFailure` names the Pgpool and how to fix it. To prevent this,
do not grant the permission to delete the namespace: no policy can replace that.

`kubectl delete crd pgpools.kubedb.com` deletes every Pgpool; policies do not apply to it. `helm uninstall` keeps the
definitions, but removes the policies; `--set policies.protection=false` turns the protection off.

Generated Secrets are not protected against deletion. The operators recreate them within seconds, and a policy would
also block garbage collection.
";

/// Every rule in a schema: its field, where it is enforced, its message.
fn rows(schema: &Value) -> Vec<(String, &'static str, String)> {
    let mut rows = Vec::new();
    rules::visit(schema, "", &mut |at, schema| {
        if !at.starts_with("status") {
            rows.extend(keywords(at, schema));
        }
    });
    let from_rules = rules::rules_in(schema).into_iter().map(|rule| {
        let field = format!("{}{}", rule.at, rule.field.unwrap_or_default());
        let field = if field.is_empty() {
            "metadata.name".to_owned()
        } else {
            field
        };
        (field, "CEL", rule.message)
    });
    rows.extend(from_rules);
    rows.sort();
    rows
}

/// A limit of every field that names no other; the page of limits lists them once.
fn is_general(keyword: &str, limit: f64) -> bool {
    let general: &[i64] = match keyword {
        "maxItems" => &[limits::ITEMS],
        "maxProperties" => &[limits::ENTRIES],
        "maxLength" => &[limits::TEXT, limits::LONG_TEXT],
        _ => &[],
    };
    #[allow(clippy::cast_precision_loss, reason = "limits are small")]
    general.iter().any(|it| (*it as f64 - limit).abs() < 0.5)
}

fn keywords(at: &str, schema: &Map<String, Value>) -> Vec<(String, &'static str, String)> {
    let mut rows = Vec::new();
    let mut add = |field: &str, message: String| rows.push((field.to_owned(), "schema", message));
    let limits = [
        ("minimum", "should be greater than or equal to"),
        ("maximum", "should be less than or equal to"),
        ("maxItems", "Too many: must have at most"),
        ("maxProperties", "Too many: must have at most"),
        ("maxLength", "Too long: may not be more than"),
    ];
    for (keyword, words) in limits {
        let limit = schema.get(keyword).and_then(Value::as_f64);
        if let Some(limit) = limit.filter(|limit| !is_limit_of_type(*limit) && !is_general(keyword, *limit)) {
            let unit = match keyword {
                "maxItems" | "maxProperties" => " items",
                "maxLength" => " bytes",
                _ => "",
            };
            add(at, format!("{words} {limit}{unit}"));
        }
    }
    let words = super::words(schema);
    if !words.is_empty() {
        add(
            at,
            format!("Unsupported value: supported values: {}", words.join(", ")),
        );
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        add(at, format!("should match `{pattern}`"));
    }
    if schema
        .get("x-kubernetes-list-type")
        .is_some_and(|kind| kind == "map")
    {
        add(at, "Duplicate value".to_owned());
    }
    // Required fields of Kubernetes types are described in its own reference.
    if super::own_fields(schema).is_some() {
        let required = schema.get("required").and_then(Value::as_array);
        for field in required.into_iter().flatten().filter_map(Value::as_str) {
            let dot = if at.is_empty() { "" } else { "." };
            add(&format!("{at}{dot}{field}"), "Required value".to_owned());
        }
    }
    rows
}
