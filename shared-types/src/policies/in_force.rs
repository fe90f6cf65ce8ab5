//! Whether a policy is in force as this version of the operators expects it. Pure.

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{ANNOTATION_TENANCY, Policy, named};

/// Whether the API server enforces a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PolicyState {
    /// As expected.
    #[default]
    InForce,
    /// The administrators chose not to enforce it: tenancy `trusted`.
    Trusted,
    /// Not, or not as expected: what is missing or different, as a part of a sentence.
    Missing(String),
}

impl PolicyState {
    /// Why an operator cannot rely on the policy; `None` if it can, or need not.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        match self {
            Self::Missing(what) => Some(what),
            Self::InForce | Self::Trusted => None,
        }
    }
}

/// Compares the policy and the binding of a name with what this version expects. Fields that the API server fills in do not
/// count; what weakens the policy does: other expressions, exceptions, a binding that only warns.
#[must_use]
pub fn in_force(
    name: &str,
    policy: Option<&ValidatingAdmissionPolicy>,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> PolicyState {
    let Some(expected) = named(name) else {
        return PolicyState::Missing(format!("this version knows no policy {name}"));
    };
    let missing = |what: &str| PolicyState::Missing(format!("{what} {name}"));
    let Some(binding) = binding.filter(|it| it.metadata.deletion_timestamp.is_none()) else {
        return missing("there is no ValidatingAdmissionPolicyBinding");
    };
    let tenancy = binding.metadata.annotations.as_ref();
    let tenancy = tenancy.and_then(|annotations| annotations.get(ANNOTATION_TENANCY));
    let expects_tenancy = expected.binding.metadata.annotations.is_some();
    if expects_tenancy && tenancy.is_some_and(|tenancy| tenancy == "trusted") {
        return PolicyState::Trusted;
    }
    let Some(policy) = policy.filter(|it| it.metadata.deletion_timestamp.is_none()) else {
        return missing("there is no ValidatingAdmissionPolicy");
    };
    if !is_policy(expected, policy) {
        return PolicyState::Missing(format!(
            "the ValidatingAdmissionPolicy {name} is of another version or was edited"
        ));
    }
    if !is_binding(name, binding) {
        return PolicyState::Missing(format!(
            "the ValidatingAdmissionPolicyBinding {name} does not deny everywhere"
        ));
    }
    PolicyState::InForce
}

fn is_policy(expected: &Policy, found: &ValidatingAdmissionPolicy) -> bool {
    let (Some(expected), Some(found)) = (&expected.policy.spec, &found.spec) else {
        return false;
    };
    found.failure_policy.as_deref().unwrap_or("Fail") == "Fail"
        && found.validations == expected.validations
        && found.variables.as_deref().unwrap_or_default() == expected.variables.as_deref().unwrap_or_default()
        && found.match_conditions.as_deref().unwrap_or_default().is_empty()
        && found.param_kind.is_none()
        && covers(
            expected.match_constraints.as_ref(),
            found.match_constraints.as_ref(),
        )
}

/// No object that is expected to be checked is left out.
fn covers(expected: Option<&MatchResources>, found: Option<&MatchResources>) -> bool {
    let (Some(expected), Some(found)) = (expected, found) else {
        return false;
    };
    let rules = |of: &MatchResources| of.resource_rules.clone().unwrap_or_default();
    let same = |one: &NamedRuleWithOperations, other: &NamedRuleWithOperations| {
        one.api_groups == other.api_groups
            && one.api_versions == other.api_versions
            && one.operations == other.operations
            && one.resources == other.resources
            && other.resource_names.as_deref().unwrap_or_default().is_empty()
            && matches!(other.scope.as_deref(), None | Some("*"))
    };
    rules(expected)
        .iter()
        .all(|rule| rules(found).iter().any(|other| same(rule, other)))
        && selects_all(found)
}

fn selects_all(found: &MatchResources) -> bool {
    let all = |selector: Option<&LabelSelector>| {
        selector.is_none_or(|selector| *selector == LabelSelector::default())
    };
    all(found.namespace_selector.as_ref())
        && all(found.object_selector.as_ref())
        && found
            .exclude_resource_rules
            .as_deref()
            .unwrap_or_default()
            .is_empty()
}

fn is_binding(name: &str, found: &ValidatingAdmissionPolicyBinding) -> bool {
    let Some(spec) = &found.spec else { return false };
    let actions = spec.validation_actions.as_deref().unwrap_or_default();
    let everywhere = spec.match_resources.as_ref().is_none_or(|matches| {
        selects_all(matches) && matches.resource_rules.as_deref().unwrap_or_default().is_empty()
    });
    spec.policy_name.as_deref() == Some(name)
        && actions.iter().any(|action| action == "Deny")
        && spec.param_ref.is_none()
        && everywhere
}

#[cfg(test)]
mod tests {
    use super::super::{PROTECTION, REQUEST_RIGHTS, RIGHTS};
    use k8s_openapi::api::admissionregistration::v1::MatchCondition;

    use super::*;

    fn stored(name: &str) -> (ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding) {
        let Policy { mut policy, binding } = named(name).unwrap().clone();
        // What the API server fills in.
        let matches = policy.spec.as_mut().unwrap().match_constraints.as_mut().unwrap();
        matches.match_policy = Some("Equivalent".to_owned());
        matches.namespace_selector = Some(LabelSelector::default());
        matches.object_selector = Some(LabelSelector::default());
        for rule in matches.resource_rules.iter_mut().flatten() {
            rule.scope = Some("*".to_owned());
        }
        (policy, binding)
    }

    #[test]
    fn a_policy_as_the_chart_installs_it_is_in_force() {
        for name in [PROTECTION, RIGHTS, REQUEST_RIGHTS] {
            let (policy, binding) = stored(name);
            assert_eq!(
                in_force(name, Some(&policy), Some(&binding)),
                PolicyState::InForce
            );
            let (none, alone) = (
                in_force(name, None, Some(&binding)),
                in_force(name, Some(&policy), None),
            );
            assert!(none.missing().is_some() && alone.missing().is_some(), "{name}");
        }
    }

    #[test]
    fn trusted_is_for_policies_about_rights() {
        for (name, expected) in [(RIGHTS, true), (REQUEST_RIGHTS, true), (PROTECTION, false)] {
            let (_, mut binding) = stored(name);
            binding.metadata.annotations =
                Some([(ANNOTATION_TENANCY.to_owned(), "trusted".to_owned())].into());
            let state = in_force(name, None, Some(&binding));
            assert_eq!(state == PolicyState::Trusted, expected, "{name}: {state:?}");
        }
    }

    #[test]
    fn whatever_weakens_a_policy_counts_as_missing() {
        type Edit = fn(&mut ValidatingAdmissionPolicy, &mut ValidatingAdmissionPolicyBinding);
        let edits: [(&str, Edit); 8] = [
            ("ignores failures", |policy, _| {
                policy.spec.as_mut().unwrap().failure_policy = Some("Ignore".to_owned());
            }),
            ("another expression", |policy, _| {
                policy.spec.as_mut().unwrap().validations.as_mut().unwrap()[0].expression = "true".to_owned();
            }),
            ("one less", |policy, _| {
                policy.spec.as_mut().unwrap().validations.as_mut().unwrap().pop();
            }),
            ("an exception", |policy, _| {
                policy.spec.as_mut().unwrap().match_conditions = Some(vec![MatchCondition::default()]);
            }),
            ("one operation less", |policy, _| {
                let matches = policy.spec.as_mut().unwrap().match_constraints.as_mut().unwrap();
                matches.resource_rules.as_mut().unwrap()[0].operations = Some(Vec::new());
            }),
            ("only some namespaces", |_, binding| {
                let mut matches = MatchResources::default();
                let selector = matches.namespace_selector.get_or_insert_default();
                selector.match_labels = Some([("a".to_owned(), "b".to_owned())].into());
                binding.spec.as_mut().unwrap().match_resources = Some(matches);
            }),
            ("warns", |_, binding| {
                binding.spec.as_mut().unwrap().validation_actions = Some(vec!["Warn".to_owned()]);
            }),
            ("of another policy", |_, binding| {
                binding.spec.as_mut().unwrap().policy_name = Some("other".to_owned());
            }),
        ];
        for (what, edit) in edits {
            let (mut policy, mut binding) = stored(RIGHTS);
            edit(&mut policy, &mut binding);
            let state = in_force(RIGHTS, Some(&policy), Some(&binding));
            assert!(state.missing().is_some(), "{what}: {state:?}");
        }
    }
}
