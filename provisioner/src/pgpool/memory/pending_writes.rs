//! What this process has just written and its caches do not show yet. Adds to the runtime's pending writes the part
//! of the status that the provisioner writes.

use std::ops::Deref;
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use shared_types::{Pgpool, PgpoolStatus};

use crate::own_status::{ours, over};

#[cfg(test)]
mod tests;

/// The last writes for each `Pgpool`.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingWrites(operator_runtime::PendingWrites<Pgpool, PgpoolStatus>);

impl Deref for PendingWrites {
    type Target = operator_runtime::PendingWrites<Pgpool, PgpoolStatus>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl PendingWrites {
    /// Remembers our part of the status as it was written over what `pgpool` shows.
    pub(crate) fn status(&self, pgpool: &Pgpool, written: PgpoolStatus) {
        let shown = ours(&pgpool.status.clone().unwrap_or_default());
        self.part(&ObjectRef::from_obj(pgpool), shown, written);
    }

    /// Returns a `Pgpool` with our part of the status as it was written last.
    pub(crate) fn with_status(&self, pgpool: Arc<Pgpool>) -> Arc<Pgpool> {
        let shown = ours(&pgpool.status.clone().unwrap_or_default());
        let current = self.current_part(&ObjectRef::from_obj(pgpool.as_ref()), shown.clone());
        if current == shown {
            return pgpool;
        }
        let mut pgpool = Pgpool::clone(&pgpool);
        pgpool.status = Some(over(pgpool.status.unwrap_or_default(), current));
        Arc::new(pgpool)
    }
}
