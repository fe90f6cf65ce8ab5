//! Condition `UsersIncomplete`: which users the pool does not know, or not as asked, and why. There only while it
//! holds, since it concerns nobody else.

use jiff::Timestamp;
use kube::Resource;
use shared_types::Pgpool;
use shared_types::conditions::ConditionType;

use super::{Report, Said, Writer};
use crate::pgpool::validate::Complaint;

/// More complaints than a person reads at once.
const MOST: usize = 5;

impl Report {
    /// Adds what there is to tell about users; `None` when nobody can judge them now, and what was said stays.
    pub(crate) fn about_users(
        mut self,
        pgpool: &Pgpool,
        complaints: Option<&[Complaint]>,
        now: Timestamp,
    ) -> Self {
        let before = pgpool.status.as_ref().map(|status| status.conditions.as_slice());
        let writer = Writer {
            before: before.unwrap_or_default(),
            generation: pgpool.meta().generation,
            now,
        };
        let condition = match complaints {
            None => writer.write_or_keep(ConditionType::UsersIncomplete, None),
            Some(complaints) => {
                said(complaints).map(|said| writer.write(ConditionType::UsersIncomplete, said))
            }
        };
        if let Some(status) = &mut self.status {
            status.conditions.extend(condition);
        }
        self
    }
}

fn said(complaints: &[Complaint]) -> Option<Said> {
    let first = complaints.first()?;
    let told: Vec<_> = complaints
        .iter()
        .take(MOST)
        .map(|it| it.message.as_str())
        .collect();
    let more = complaints.len().saturating_sub(MOST);
    let rest = if more > 0 {
        format!(" And {more} more.")
    } else {
        String::new()
    };
    Some(Said::new(true, first.reason, format!("{}{rest}", told.join(" "))))
}
