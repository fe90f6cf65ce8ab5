//! The workload with the newest certificates, and with every authority that is trusted beside them. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::Pgpool;

use super::Workload;
use crate::pgpool::authorities;
use crate::pgpool::desired::{self, TlsMaterial};
use crate::pgpool::observe::Observed;
use crate::pgpool::validate::Validated;

/// The workload with the newest certificates, and when time alone changes it.
pub(super) fn newest(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    material: TlsMaterial<'_>,
    now: Timestamp,
) -> (Workload, Option<Duration>) {
    let issuers = desired::issuers(&material);
    let earlier = authorities::earlier(pgpool, observed, &issuers, &validated.backend.ca, now);
    let look_again = authorities::due(pgpool, observed, &earlier, now);
    let material = TlsMaterial {
        earlier: &earlier,
        ..material
    };
    let copy = desired::tls_copy(validated, &material);
    let stateful_set = desired::workload(validated, Some(&copy.name_any()));
    let workload = Workload {
        tls_copy: Some(copy),
        stateful_set,
    };
    (workload, look_again)
}
