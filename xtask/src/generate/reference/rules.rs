//! The page of rules: what is enforced, where, and what a user reads.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use shared_types::{conditions::Reason, crds, policies, rules};

use super::{GENERATED, cell};

/// Reasons that stand for rules about more than one object; the operators tell them in conditions.
const ELSEWHERE: &[(Reason, &str)] = &[
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
        "the `AppBinding` says how to reach a PostgreSQL: one address, a query that can be read",
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
        "each setting is one that pgpool knows, on a line of its own, and leaves TLS, authentication and paths alone; `X_USERNAME` \
         and `X_PASSWORD` make a user; a backend group is one whose Service is known",
    ),
    (
        Reason::NotSupported,
        "`spec.authSecret` is a plain Secret; dates and names in certificates can be read",
    ),
    (
        Reason::NameConflict,
        "objects of the needed names are free: long names of two Pgpools may be cut to the same one, as \
         `<name>-metrics-exporter-cert` is after 41 characters; the older keeps it",
    ),
    (
        Reason::SecretNameConflict,
        "no other Pgpool and nobody else writes to the Secret of a certificate",
    ),
    (Reason::IssuerNotFound, "the issuer exists"),
    (
        Reason::IssuerKindUnsupported,
        "the issuer is of a kind that cert-manager knows",
    ),
    (
        Reason::WriteForbidden,
        "Kubernetes takes the generated objects: rights, quotas, policies of the cluster",
    ),
];

/// Writes the page.
pub(super) fn page() -> String {
    let mut page = format!(
        "# Rules\n\n{GENERATED}\n\nWhat the API server refuses, it refuses with both operators down and before anything is \
         stored. What depends on other objects becomes a condition: the object is stored, what runs keeps running, and the \
         condition says what to do. See [conditions](conditions.md).\n\n\
         - **schema**: a keyword of the definition, with the words of the API server\n\
         - **CEL**: a rule of the definition, with the message below after the path of the field\n\
         - **policy**: a `ValidatingAdmissionPolicy` of the chart `pgpool-crds`\n\
         - **condition**: told by an operator, under this reason\n\n\
         A field that a definition does not know is refused by `kubectl` (`unknown field`), which asks for strict \
         validation.\n\nWhat was stored before a rule existed stays as it is: the API server validates a field again when it \
         changes, so an object with an old value can still be labeled, get a status, and be deleted.\n"
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
                if denies { "refuses" } else { "warns" },
                cell(&validation.message.unwrap_or_default())
            );
        }
    }
}

fn add_conditions(page: &mut String) {
    page.push_str("\n### By conditions\n\n| What must hold | Reason |\n|---|---|\n");
    for (reason, rule) in ELSEWHERE {
        let _ = writeln!(page, "| {} | [`{reason}`](conditions.md#reasons) |", cell(rule));
    }
}

/// Deletion, as far as policies reach.
const NAMESPACES: &str = "
## Deletion of a protected Pgpool

`spec.deletionPolicy: DoNotTerminate` makes the API server refuse every deletion of the Pgpool: by a person, by a
controller, by garbage collection. The policy fails closed, and works with both operators down. To delete it, change the
field first:

    kubectl patch pgpool NAME --type merge -p '{\"spec\":{\"deletionPolicy\":\"Delete\"}}'

`kubectl delete namespace` is accepted all the same, since the API server does not look into a namespace. It then removes
everything it may: Secrets, Services and the workload of the pool are gone, and the pool with them. The Pgpool stays, the
namespace stays `Terminating`, and its condition `NamespaceDeletionContentFailure` names the Pgpool and the cure. Who must
not take a pool down this way should have no right to delete the namespace: no policy can stand in for that.

`kubectl delete crd pgpools.kubedb.com` removes every Pgpool without asking any policy. `helm uninstall` leaves the
definitions, but removes the policies; `--set policies.protection=false` switches the protection off.

Generated Secrets are not protected against deletion. The operators write them anew within seconds, and a policy in the way
would also stop garbage collection.
";

/// Every rule in a schema: its field, where it is enforced, its message.
fn rows(schema: &Value) -> Vec<(String, &'static str, String)> {
    let mut rows = Vec::new();
    rules::visit(schema, "", &mut |at, schema| {
        if !at.starts_with("status") {
            rows.extend(keywords(at, schema));
        }
    });
    let told = rules::rules_in(schema).into_iter().map(|rule| {
        let field = format!("{}{}", rule.at, rule.field.unwrap_or_default());
        let field = if field.is_empty() {
            "metadata.name".to_owned()
        } else {
            field
        };
        (field, "CEL", rule.message)
    });
    rows.extend(told);
    rows.sort();
    rows
}

fn keywords(at: &str, schema: &Map<String, Value>) -> Vec<(String, &'static str, String)> {
    let mut rows = Vec::new();
    let mut say = |field: &str, message: String| rows.push((field.to_owned(), "schema", message));
    let limits = [
        ("minimum", "should be greater than or equal to"),
        ("maximum", "should be less than or equal to"),
        ("maxItems", "Too many: must have at most"),
        ("maxProperties", "Too many: must have at most"),
        ("maxLength", "Too long: may not be more than"),
    ];
    for (keyword, words) in limits {
        if let Some(limit) = schema.get(keyword).and_then(Value::as_f64) {
            let unit = match keyword {
                "maxItems" | "maxProperties" => " items",
                "maxLength" => " bytes",
                _ => "",
            };
            say(at, format!("{words} {limit}{unit}"));
        }
    }
    let words = super::words(schema);
    if !words.is_empty() {
        say(
            at,
            format!("Unsupported value: supported values: {}", words.join(", ")),
        );
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        say(at, format!("should match `{pattern}`"));
    }
    if schema
        .get("x-kubernetes-list-type")
        .is_some_and(|kind| kind == "map")
    {
        say(at, "Duplicate value".to_owned());
    }
    // What types of Kubernetes require is theirs to say.
    if super::own_fields(schema).is_some() {
        let required = schema.get("required").and_then(Value::as_array);
        for field in required.into_iter().flatten().filter_map(Value::as_str) {
            let dot = if at.is_empty() { "" } else { "." };
            say(&format!("{at}{dot}{field}"), "Required value".to_owned());
        }
    }
    rows
}
