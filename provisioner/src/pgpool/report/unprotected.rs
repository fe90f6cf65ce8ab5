//! Condition `Unprotected`: which policy the `Pgpool` relies on in vain. It exists only while it holds.

use shared_types::conditions::Reason;
use shared_types::{DeletionPolicy, Pgpool};

use super::NewCondition;
use crate::pgpool::observe::Inputs;
use crate::pgpool::validate::guarded_fields;

pub(super) fn unprotected(pgpool: &Pgpool, inputs: &Inputs) -> Option<NewCondition> {
    let mut problems = Vec::new();
    if pgpool.spec.deletion_policy() == DeletionPolicy::DoNotTerminate
        && let Some(missing) = inputs.protection.missing()
    {
        problems.push(format!(
            "`spec.deletionPolicy` is `DoNotTerminate`, and nothing prevents a deletion: {missing}."
        ));
    }
    if let Some(missing) = inputs.rights.missing()
        && let Some(guarded) = guarded_fields(pgpool)
    {
        problems.push(format!(
            "Nobody checks whether whoever writes {} may do so: {missing}.",
            guarded.paths()
        ));
    }
    if problems.is_empty() {
        return None;
    }
    problems.push("Install or upgrade the chart `pgpool-crds`.".to_owned());
    Some(NewCondition::new(true, Reason::NotProtected, problems.join(" ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared_types::policies::PolicyState;

    use super::*;
    use crate::fixtures;

    fn missing(what: &str) -> PolicyState {
        PolicyState::Missing(what.to_owned())
    }

    #[test]
    fn a_pgpool_says_which_policy_it_misses() {
        let mut protected = fixtures::plain_pgpool();
        protected.spec.deletion_policy = Some(DeletionPolicy::DoNotTerminate);
        let mut shaped = fixtures::plain_pgpool();
        let template = json!({"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}});
        shaped.spec.pod_template = Some(serde_json::from_value(template).unwrap());
        let none = Inputs {
            protection: missing("no protection"),
            rights: missing("no rights"),
            ..Inputs::default()
        };
        let all = Inputs::default();
        let trusted = Inputs {
            rights: PolicyState::Trusted,
            ..Inputs::default()
        };
        for (pgpool, inputs, expected) in [
            (&fixtures::plain_pgpool(), &none, None),
            (&protected, &none, Some("no protection")),
            (&shaped, &none, Some("no rights")),
            (&protected, &all, None),
            (&shaped, &all, None),
            (&shaped, &trusted, None),
        ] {
            let new = unprotected(pgpool, inputs);
            assert_eq!(new.is_some(), expected.is_some(), "{new:?}");
            for (new, part) in new.iter().zip(expected) {
                assert_eq!(new.reason, Reason::NotProtected);
                assert!(new.message.contains(part), "{}", new.message);
            }
        }
    }
}
