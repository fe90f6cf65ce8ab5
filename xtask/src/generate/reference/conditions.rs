//! The page of conditions and their reasons.

use std::fmt::Write as _;

use shared_types::conditions::{ConditionType, OpsCondition, OpsReason, Reason};

use super::{GENERATED, cell};

/// Writes the page.
pub(super) fn page() -> String {
    let mut page = format!(
        "# Conditions\n\n{GENERATED}\n\nA Pgpool tells in `status.conditions` where it stands. Each condition has a status \
         (`True`, `False`, `Unknown`), a reason from the list below, and a message that names the object and the next step. \
         The time of transition moves with the status alone.\n\n\
         ```sh\nkubectl wait --for=condition=Ready pgpool/NAME --timeout=10m\n\
         kubectl get pgpool NAME -o jsonpath='{{range .status.conditions[*]}}{{.type}}={{.status}} {{.reason}}: \
         {{.message}}{{\"\\n\"}}{{end}}'\n```\n\n\
         ## Types\n\n| Type | Holds when |\n|---|---|\n"
    );
    for ty in ConditionType::ALL {
        let _ = writeln!(page, "| `{ty}` | {} |", cell(&ty.meaning()));
    }
    page.push_str("\n## Reasons\n\n| Reason | |\n|---|---|\n");
    for reason in Reason::ALL {
        let _ = writeln!(page, "| `{reason}` | {} |", cell(&reason.meaning()));
    }
    requests(&mut page);
    page
}

/// The part about requests.
fn requests(page: &mut String) {
    page.push_str(
        "\n# Conditions of a PgpoolOpsRequest\n\nA request tells each step that is done by a condition of its own, whose \
         reason is its type. The last one is `Successful`, `Failed` or `Skipped`, and then nothing changes any more.\n\n\
         ```sh\nkubectl wait --for=condition=Successful pgpoolopsrequest/NAME --timeout=10m\n```\n\n\
         | Type | Holds when |\n|---|---|\n",
    );
    for ty in OpsCondition::ALL {
        let _ = writeln!(page, "| `{ty}` | {} |", cell(&ty.meaning()));
    }
    page.push_str("\n| Reason to wait or to give up | |\n|---|---|\n");
    for reason in OpsReason::ALL {
        let _ = writeln!(page, "| `{reason}` | {} |", cell(&reason.meaning()));
    }
}
