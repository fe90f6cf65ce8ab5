//! The test cases that need a cluster.

mod api;
mod cluster;
mod smoke;

use std::path::Path;

use crate::case::Case;
use crate::guides;

/// All cases in the order in which they start. The guides are those that the book in the source tree `workspace` lists.
pub(crate) fn all(workspace: &Path) -> anyhow::Result<Vec<Case>> {
    let mut cases = smoke::cases();
    cases.extend(api::cases()?);
    cases.extend(cluster::cases());
    cases.extend(guides::cases(workspace)?);
    Ok(cases)
}
