//! Condition `UsersIncomplete`: which users the pool does not know, or not as requested, and why. It exists only while it
//! holds, since it concerns nobody else.

use super::NewCondition;
use crate::pgpool::validate::Complaint;

/// More complaints than a person reads at once.
const MOST: usize = 5;

pub(super) fn incomplete(complaints: &[Complaint]) -> Option<NewCondition> {
    let first = complaints.first()?;
    let messages = complaints.iter().map(|it| it.message.as_str());
    let shown: Vec<_> = messages.take(MOST).collect();
    let more = complaints.len().saturating_sub(MOST);
    let rest = if more > 0 {
        format!(" And {more} more.")
    } else {
        String::new()
    };
    let message = format!("{}{rest}", shown.join(" "));
    Some(NewCondition::new(true, first.reason, message))
}
