//! Admission policies, for what a rule in a schema cannot express: it depends on the operation or on another object, or
//! should only warn. They work while both operators are down.
//!
//! A policy that rejects fails closed. A policy that only warns never blocks a request.

mod cel;
mod in_force;
mod pgpool_rights;
mod request_rights;
mod restricted;

use std::sync::LazyLock;

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, NamedRuleWithOperations, ParamKind, ParamRef, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
    Validation, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::ObjectMeta;

pub use in_force::{PolicyState, in_force};
pub use pgpool_rights::{OPERATOR_GROUP, OPERATOR_RESOURCE};

/// Rejects the deletion of Pgpools with `spec.deletionPolicy: DoNotTerminate`.
pub const PROTECTION: &str = "protection.pgpools.kubedb.com";
/// Rejects what the author of a Pgpool may not make an operator create, see [`crate::rights`].
pub const RIGHTS: &str = "rights.pgpools.kubedb.com";
/// Rejects what the author of a `PgpoolOpsRequest` may not make an operator change.
pub const REQUEST_RIGHTS: &str = "rights.pgpoolopsrequests.ops.kubedb.com";
/// Warns about fields without effect.
pub const ADVICE: &str = "advice.pgpools.kubedb.com";
/// Warns about versions that should no longer be used.
pub const DEPRECATION: &str = "deprecation.pgpools.kubedb.com";

/// A policy and its binding. Both have the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The policy.
    pub policy: ValidatingAdmissionPolicy,
    /// Where the policy applies, and its effect.
    pub binding: ValidatingAdmissionPolicyBinding,
}

/// The effect of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Deny,
    Warn,
}

/// Every policy.
#[must_use]
pub fn all() -> Vec<Policy> {
    vec![
        protection(),
        advice(),
        deprecation(),
        pgpool_rights::policy(),
        request_rights::policy(),
    ]
}

/// The policy of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Policy> {
    static ALL: LazyLock<Vec<Policy>> = LazyLock::new(all);
    ALL.iter()
        .find(|known| known.policy.metadata.name.as_deref() == Some(name))
}

/// Annotation of the binding of a policy about rights: the value `tenancy` of the chart, `restricted` or `trusted`.
pub const ANNOTATION_TENANCY: &str = "pgpool.kubedb.com/tenancy";

fn protection() -> Policy {
    let message =
        "spec.deletionPolicy is DoNotTerminate: set it to Halt, Delete or WipeOut, then delete the Pgpool";
    let validation = Validation {
        expression:
            "!has(oldObject.spec.deletionPolicy) || oldObject.spec.deletionPolicy != 'DoNotTerminate'"
                .to_owned(),
        message: Some(message.to_owned()),
        message_expression: Some(format!(
            "'Pgpool ' + oldObject.metadata.namespace + '/' + oldObject.metadata.name + ' is protected, {message}'"
        )),
        reason: Some("Forbidden".to_owned()),
    };
    policy(PROTECTION, &["DELETE"], Action::Deny, None, vec![validation])
}

fn advice() -> Policy {
    let template = "object.spec.?podTemplate.?spec";
    let services = "object.spec.?serviceTemplates.orValue([])";
    let known = "(s.alias == 'primary' && p.name in ['primary', 'pcp']) || (s.alias == 'stats' && p.name == 'metrics')";
    let validations = vec![
        warning(
            "!has(object.spec.tls) || !has(object.spec.sslMode) || object.spec.sslMode != 'disable'",
            "spec.tls has no effect while spec.sslMode is disable: set spec.sslMode to require or stricter, or remove spec.tls",
        ),
        warning(
            &format!("{services}.all(s, s.alias in ['primary', 'stats'])"),
            "spec.serviceTemplates has an alias without effect: a Pgpool has the Services primary and stats",
        ),
        warning(
            &format!(
                "{services}.all(s, !(s.alias in ['primary', 'stats']) || s.?spec.?ports.orValue([]).all(p, !has(p.name) \
                 || {known}))"
            ),
            "spec.serviceTemplates has a port without effect: the Service primary has the ports primary and pcp, stats has \
             metrics",
        ),
        warning(
            &format!(
                "!{template}.?activeDeadlineSeconds.hasValue() && !{template}.?ephemeralContainers.hasValue() && \
                 {template}.?restartPolicy.orValue('Always') == 'Always' && \
                 {template}.?podPlacementPolicy.?name.orValue('default') == 'default'"
            ),
            "spec.podTemplate.spec has fields without effect: activeDeadlineSeconds, ephemeralContainers, \
             podPlacementPolicy and restartPolicy are accepted and ignored",
        ),
    ];
    policy(ADVICE, &["CREATE", "UPDATE"], Action::Warn, None, validations)
}

fn deprecation() -> Policy {
    let catalog = ParamKind {
        api_version: Some("catalog.kubedb.com/v1alpha1".to_owned()),
        kind: Some("PgpoolVersion".to_owned()),
    };
    let other = "object.spec.version != params.metadata.name";
    let unset = |field: &str| format!("{other} || !params.spec.?{field}.orValue(false)");
    let validations = vec![
        warning(
            &unset("deprecated"),
            "spec.version names a PgpoolVersion that is deprecated: choose another, see kubectl get pgpoolversions",
        ),
        warning(
            &unset("endOfLife"),
            "spec.version names a PgpoolVersion that gets no more fixes: choose another, see kubectl get pgpoolversions",
        ),
    ];
    policy(
        DEPRECATION,
        &["CREATE", "UPDATE"],
        Action::Warn,
        Some(catalog),
        validations,
    )
}

fn warning(expression: &str, message: &str) -> Validation {
    Validation {
        expression: expression.to_owned(),
        message: Some(message.to_owned()),
        ..Validation::default()
    }
}

/// Rejects a request that does not satisfy the expression.
fn required(expression: impl Into<String>, message: impl Into<String>) -> Validation {
    Validation {
        expression: expression.into(),
        message: Some(message.into()),
        reason: Some("Forbidden".to_owned()),
        ..Validation::default()
    }
}

/// A policy about the rights of an author. It says in its binding which tenancy it enforces.
fn rights_policy(
    name: &str,
    kind: (&str, &str),
    operations: &[&str],
    variables: Vec<Variable>,
    validations: Vec<Validation>,
) -> Policy {
    let mut made = policy(name, operations, Action::Deny, None, validations);
    if let Some(spec) = &mut made.policy.spec {
        spec.variables = Some(variables);
        spec.match_constraints = Some(matches(kind, operations));
    }
    made.binding.metadata.annotations =
        Some([(ANNOTATION_TENANCY.to_owned(), "restricted".to_owned())].into());
    made
}

fn matches((group, resource): (&str, &str), operations: &[&str]) -> MatchResources {
    let rule = NamedRuleWithOperations {
        api_groups: Some(vec![group.to_owned()]),
        api_versions: Some(vec!["*".to_owned()]),
        operations: Some(operations.iter().map(|&word| word.to_owned()).collect()),
        resources: Some(vec![resource.to_owned()]),
        ..NamedRuleWithOperations::default()
    };
    MatchResources {
        resource_rules: Some(vec![rule]),
        ..MatchResources::default()
    }
}

fn policy(
    name: &str,
    operations: &[&str],
    action: Action,
    parameters: Option<ParamKind>,
    validations: Vec<Validation>,
) -> Policy {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let (failure, action) = match action {
        Action::Deny => ("Fail", "Deny"),
        Action::Warn => ("Ignore", "Warn"),
    };
    let binding = ValidatingAdmissionPolicyBindingSpec {
        policy_name: Some(name.to_owned()),
        // Every object of the kind, one evaluation each.
        param_ref: parameters.as_ref().map(|_| ParamRef {
            parameter_not_found_action: Some("Allow".to_owned()),
            selector: Some(LabelSelector::default()),
            ..ParamRef::default()
        }),
        validation_actions: Some(vec![action.to_owned()]),
        ..ValidatingAdmissionPolicyBindingSpec::default()
    };
    Policy {
        policy: ValidatingAdmissionPolicy {
            metadata: metadata.clone(),
            spec: Some(ValidatingAdmissionPolicySpec {
                failure_policy: Some(failure.to_owned()),
                match_constraints: Some(matches(("kubedb.com", "pgpools"), operations)),
                param_kind: parameters,
                validations: Some(validations),
                ..ValidatingAdmissionPolicySpec::default()
            }),
            status: None,
        },
        binding: ValidatingAdmissionPolicyBinding {
            metadata,
            spec: Some(binding),
        },
    }
}
