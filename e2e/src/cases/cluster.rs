//! What is true where pods run.

use super::Case;

/// Every case of the tier.
pub fn cases() -> Vec<Case> {
    Vec::new()
}
