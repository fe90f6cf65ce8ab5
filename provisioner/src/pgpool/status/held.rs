//! Condition `RotationHeld`: that a new certificate is not given to the pods yet, or is although it should wait. There only
//! while there is something to say.

use jiff::Timestamp;
use kube::Resource;
use shared_types::Pgpool;
use shared_types::conditions::ConditionType;

use super::{Report, Said, Writer};
use crate::pgpool::turn::Remark;

impl Report {
    /// Adds what there is to tell; `None` when nobody can judge it now, and what was said stays.
    pub(crate) fn about_rotation(
        mut self,
        pgpool: &Pgpool,
        remark: Option<Option<&Remark>>,
        now: Timestamp,
    ) -> Self {
        let before = pgpool.status.as_ref().map(|status| status.conditions.as_slice());
        let writer = Writer {
            before: before.unwrap_or_default(),
            generation: pgpool.meta().generation,
            now,
        };
        let condition = match remark {
            None => writer.write_or_keep(ConditionType::RotationHeld, None),
            Some(remark) => remark.map(|remark| {
                let said = Said::new(remark.holds, remark.reason, remark.message.clone());
                writer.write(ConditionType::RotationHeld, said)
            }),
        };
        if let Some(after) = remark.flatten().and_then(|remark| remark.after) {
            self.outcome = self.outcome.no_later_than(after);
        }
        if let Some(status) = &mut self.status {
            status.conditions.extend(condition);
        }
        self
    }
}
