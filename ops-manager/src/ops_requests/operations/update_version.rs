//! `UpdateVersion`: another version of pgpool.

mod ranges;

use jiff::Timestamp;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::explanation::Explanation;
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolSpec};

use super::{Goal, Operation, Step, edit, wait_for};
use crate::ops_requests::observe::{Referenced, References};

pub(super) struct UpdateVersion;

impl Operation for UpdateVersion {
    fn steps(&self, _request: &PgpoolOpsRequest) -> Vec<Step> {
        vec![edit(), wait_for(Goal::Ready, OpsCondition::RestartPods)]
    }

    fn change(&self, request: &PgpoolOpsRequest, _start: Timestamp, spec: &mut PgpoolSpec) {
        if let Some(target) = target(request) {
            target.clone_into(&mut spec.version);
        }
    }

    fn references<'a>(&self, request: &'a PgpoolOpsRequest) -> References<'a> {
        References {
            target_version: target(request),
            ..References::default()
        }
    }

    fn reject(
        &self,
        request: &PgpoolOpsRequest,
        pgpool: &Pgpool,
        referenced: &Referenced,
    ) -> Option<Explanation<OpsReason>> {
        let target = target(request).unwrap_or_default();
        let Some(target_version) = &referenced.target_version else {
            return Some(Explanation::new(
                OpsReason::VersionNotFound,
                format!(
                    "PgpoolVersion {target} does not exist: choose one from the catalog, see kubectl get pgpoolversions"
                ),
            ));
        };
        // A current version that is no longer in the catalog has no constraints.
        let current_version = referenced.current_version.as_ref()?;
        let constraints = current_version.spec.update_constraints.as_ref()?;
        let version = &target_version.spec.version;
        let matches_any = |ranges: &[String]| ranges.iter().any(|range| ranges::contains(range, version));
        let allowed = constraints.allowlist.is_empty() || matches_any(&constraints.allowlist);
        if allowed && !matches_any(&constraints.denylist) {
            return None;
        }
        let current = &pgpool.spec.version;
        Some(Explanation::new(
            OpsReason::VersionNotAllowed,
            format!(
                "PgpoolVersion {current} does not allow an update to {target}: spec.updateConstraints allows {:?} and denies {:?}",
                constraints.allowlist, constraints.denylist
            ),
        ))
    }
}

fn target(request: &PgpoolOpsRequest) -> Option<&str> {
    request.spec.update_version.as_ref()?.target_version.as_deref()
}
