//! The page of conditions and their reasons.

use std::fmt::Write as _;

use shared_types::conditions::{ConditionType, OpsCondition, OpsReason, Reason};

use super::{GENERATED, cell};

pub(super) fn page() -> String {
    let mut page = format!(
        "# Conditions\n\n{GENERATED}\n\n`status.conditions` of a Pgpool reports its state. Each condition has a status \
         (`True`, `False`, `Unknown`), a reason from the list below, and a message that names the object and the next step. \
         `lastTransitionTime` changes with the status only.\n\n\
         ```sh\nkubectl wait --for=condition=Ready pgpool/NAME --timeout=10m\n\
         kubectl get pgpool NAME -o jsonpath='{{range .status.conditions[*]}}{{.type}}={{.status}} {{.reason}}: \
         {{.message}}{{\"\\n\"}}{{end}}'\n```\n\n\
         ## Types\n\n| Type | `True` when |\n|---|---|\n"
    );
    for ty in ConditionType::ALL {
        let _ = writeln!(page, "| `{ty}` | {} |", cell(&ty.meaning()));
    }
    page.push_str("\n## Reasons\n\n| Reason | Meaning |\n|---|---|\n");
    for reason in Reason::ALL {
        let _ = writeln!(page, "| `{reason}` | {} |", cell(&reason.meaning()));
    }
    requests(&mut page);
    page
}

fn requests(page: &mut String) {
    page.push_str(
        "\n# Conditions of a PgpoolOpsRequest\n\nEach completed step of a request has a condition, whose reason \
         equals its type. The last condition is `Successful`, `Failed` or `Skipped`; after it, nothing changes.\n\n\
         ```sh\nkubectl wait --for=condition=Successful pgpoolopsrequest/NAME --timeout=10m\n```\n\n\
         | Type | `True` when |\n|---|---|\n",
    );
    for ty in OpsCondition::ALL {
        let _ = writeln!(page, "| `{ty}` | {} |", cell(&ty.meaning()));
    }
    page.push_str("\n| Reason to wait or to fail | Meaning |\n|---|---|\n");
    for reason in OpsReason::ALL {
        let _ = writeln!(page, "| `{reason}` | {} |", cell(&reason.meaning()));
    }
}
