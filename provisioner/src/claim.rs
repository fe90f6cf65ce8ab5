//! What belongs to a `Pgpool`: nothing else is changed or deleted for it.

use kube::ResourceExt;
use operator_runtime::Claim;
use shared_types::{Pgpool, names};

/// The claim of a `Pgpool` on its objects.
pub(crate) fn of(pgpool: &Pgpool) -> Claim {
    Claim::new(
        names::owner_reference(pgpool),
        names::selector_labels(&pgpool.name_any()),
    )
}
