//! Condition `UsersIncomplete`: which users the pool does not know, or not as requested, and why. It exists only while it
//! holds, since it concerns nobody else.

use shared_types::explanation::Explanation;

use super::NewCondition;

/// A condition names no more: its reader fixes them one by one.
const MAX_SHOWN: usize = 5;

pub(super) fn incomplete(problems: &[Explanation]) -> Option<NewCondition> {
    let first = problems.first()?;
    let messages = problems.iter().map(|it| it.message.as_str());
    let shown: Vec<_> = messages.take(MAX_SHOWN).collect();
    let more = problems.len().saturating_sub(MAX_SHOWN);
    let rest = if more > 0 {
        format!(" And {more} more.")
    } else {
        String::new()
    };
    let message = format!("{}{rest}", shown.join(" "));
    Some(NewCondition::new(true, first.reason, message))
}
