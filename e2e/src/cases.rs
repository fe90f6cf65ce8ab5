//! The test cases that need a cluster.

mod api;
mod cluster;
mod shared_fixtures;
mod smoke;

use std::path::Path;

use crate::case::Case;
use crate::guides;

pub(crate) use shared_fixtures::SharedFixtures;

/// All cases in the order in which they start. The guides are those that the book in the source tree `workspace` lists.
pub(crate) fn all(workspace: &Path) -> anyhow::Result<Vec<Case>> {
    let mut cases = smoke::cases();
    cases.extend(api::cases()?);
    cases.extend(cluster::cases());
    cases.extend(guides::cases(workspace)?);
    Ok(cases)
}
