//! The workload with the newest certificates, and with every authority that is trusted beside them. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::Pgpool;

use super::{Plan, Workload, running};
use crate::pgpool::authorities;
use crate::pgpool::build::{self, TlsMaterial};
use crate::pgpool::observe::Observed;
use crate::pgpool::turn::{Turn, turn};
use crate::pgpool::validate::Validated;

/// Plans the workload with the newest certificates, or with those that run while it is not the turn of these.
pub(super) fn newest(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    material: TlsMaterial<'_>,
    plan: &mut Plan,
    now: Timestamp,
) {
    let issuers = build::issuers(&material);
    let earlier = authorities::earlier(pgpool, observed, &issuers, &validated.backend.ca, now);
    plan.look_again = authorities::due(pgpool, observed, &earlier, now);
    let material = TlsMaterial {
        earlier: &earlier,
        ..material
    };
    let copy = build::tls_copy(validated, &material);
    let stateful_set = build::workload(validated, Some(&copy.name_any()));
    let next = Workload {
        tls_copy: Some(copy),
        stateful_set,
    };
    let (turn, remark) = turn(pgpool, validated, observed, &next, now);
    plan.remark = remark;
    plan.workload = match turn {
        Turn::Now => Some(next),
        Turn::Later => running(validated, observed),
        Turn::Asks(ask) => {
            plan.asks = Some(ask);
            running(validated, observed)
        }
    };
}
