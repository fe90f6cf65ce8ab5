//! Names of certificates, as short as a condition needs them.

use crate::limits;

/// Shortens a name to fit into a condition.
pub(crate) fn shortened(text: String) -> String {
    if text.chars().nth(limits::SHOWN_NAME).is_none() {
        return text;
    }
    text.chars().take(limits::SHOWN_NAME).chain(['…']).collect()
}
