//! The page about rights: what the author of each field of a `Pgpool` needs.

use std::fmt::Write;

use shared_types::rights::{FIELDS, plain};

use super::{GENERATED, cell};

pub(super) fn page() -> String {
    let mut page = format!(
        "# Rights\n\n{GENERATED}\n\nWhat the author of each field of a Pgpool needs besides the right to write it, in the namespace of the \
         Pgpool. A row is about all fields at and below its path, unless another row is about them. The policy \
         `rights.pgpools.kubedb.com` of the chart `pgpool-crds` checks it, when a field changes. Fields for which tenancy \
         `trusted` is needed are refused to everybody while the tenancy is `restricted`. See \
         [Security](../topics/security.md#who-may-do-what).\n\n| Field | Needs | |\n|---|---|---|\n"
    );
    for field in FIELDS {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            field.path,
            field.guard.meaning(),
            cell(field.note)
        );
    }
    page.push_str(
        "\n## Annotations of Services\n\nBeside keys without a prefix, a Service may have these while the tenancy is \
         `restricted`:\n\n",
    );
    list(&mut page, &plain::SERVICE_ANNOTATIONS);
    page.push_str(
        "\n## Labels and annotations\n\nKeys that need no other right, beside those without a prefix, begin with:\n\n",
    );
    list(&mut page, &plain::PLAIN_PREFIXES);
    page.push_str(
        "\n## Variables\n\nVariables that need `create` on `pods` even with a plain value begin with:\n\n",
    );
    list(&mut page, &plain::SPECIAL_VARIABLES);
    page
}

fn list(page: &mut String, items: &[&str]) {
    for item in items {
        let _ = writeln!(page, "- `{item}`");
    }
}
