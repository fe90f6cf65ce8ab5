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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_can_be_read_and_has_a_name_of_its_own() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cases = all(&workspace).unwrap();
        let names: BTreeSet<_> = cases.iter().map(|case| case.name.clone()).collect();
        assert_eq!(names.len(), cases.len());
        assert!(names.contains("issuers::one_of_the_cluster_issues"));
    }
}
