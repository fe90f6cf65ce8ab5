//! Expressions that several policies use. Objects are read as maps, so that one expression can compare many fields.
//!
//! An expression may cost 1,000,000 units, of which one question to the authorizer takes 350,000; a policy may cost ten
//! times as much. See <https://kubernetes.io/docs/reference/using-api/cel/#resource-constraints>.

use k8s_openapi::api::admissionregistration::v1::Variable;

use crate::rights::plain;

/// A value that several expressions use, computed when the first one does.
pub(super) fn variable(name: &str, expression: impl Into<String>) -> Variable {
    Variable {
        name: name.to_owned(),
        expression: expression.into(),
    }
}

/// Whether the author of the request may do something with all objects of a kind in the namespace.
pub(super) fn author_may(verb: &str, group: &str, resource: &str) -> String {
    format!(
        "authorizer.group('{group}').resource('{resource}').namespace(request.namespace).check('{verb}').allowed()"
    )
}

/// The items of a list of texts.
pub(super) fn list(texts: &[&str]) -> String {
    format!("[{}]", crate::rules::quoted(texts))
}

/// Whether one of the fields of a list differs between two maps.
pub(super) fn differs(new: &str, old: &str, fields: &str) -> String {
    format!("{fields}.exists(k, {new}[?k] != {old}[?k])")
}

/// The lists that [`special_variables`] and [`prefixed`] read.
pub(super) fn plain_lists() -> Vec<Variable> {
    vec![
        variable("specialVariables", list(&plain::SPECIAL_VARIABLES)),
        variable("plainPrefixes", list(&plain::PLAIN_PREFIXES)),
    ]
}

/// The variables of a container that need a right.
pub(super) fn special_variables(container: &str) -> String {
    format!(
        "{container}.?env.orValue([]).filter(e, has(e.valueFrom) || !e.name.matches('{}') || \
         variables.specialVariables.exists(s, e.name.startsWith(s)))",
        plain::VARIABLE_NAME
    )
}

/// Whether a key of a label or annotation needs a right.
pub(super) fn prefixed(key: &str) -> String {
    format!("{key}.contains('/') && !variables.plainPrefixes.exists(p, {key}.startsWith(p))")
}

/// Whether labels or annotations that need a right differ between two maps.
pub(super) fn prefixed_differ(new: &str, old: &str) -> String {
    format!(
        "{new}.exists(k, {} && {new}[?k] != {old}[?k]) || {old}.exists(k, {} && !(k in {new}))",
        prefixed("k"),
        prefixed("k")
    )
}

/// Names in the certificates of a list that are not the pool's own, by alias, which differ from those of another list.
///
/// Reads the variables of [`own_names`].
pub(super) fn foreign_names_differ(new: &str, old: &str) -> String {
    let foreign = |one: &str| {
        format!(
            "{one}.?dnsNames.orValue([]).filter(d, d != 'localhost' && !variables.ownNames.exists(n, d == n || \
             (n.startsWith('*.') && d.endsWith(n.substring(1))))) + {one}.?ipAddresses.orValue([]).filter(i, !(i in \
             ['127.0.0.1', '::1'])) + {one}.?uris.orValue([]) + {one}.?emailAddresses.orValue([])"
        )
    };
    let (these, those) = (foreign("c"), foreign("o"));
    format!(
        "{new}.exists(c, (size({these}) > 0 || has(c.subject)) && !{old}.exists(o, o.alias == c.alias && {these} == {those} \
         && c.?subject == o.?subject))"
    )
}

/// Names that every certificate of the pool `variables.name` may have: its Services in each form, and everything below
/// the Service of the pods. The domain of the cluster is not known here: full names with another one are added anyway.
pub(super) fn own_names() -> Vec<Variable> {
    let namespace = "'.' + request.namespace";
    vec![
        variable(
            "serviceNames",
            "[variables.name, variables.name + '-pods', variables.name + '-stats']",
        ),
        variable(
            "ownNames",
            format!(
                "variables.serviceNames + variables.serviceNames.map(s, s + {namespace}) + variables.serviceNames.map(s, s + {namespace} + \
                 '.svc') + variables.serviceNames.map(s, s + {namespace} + '.svc.cluster.local') + ['', '.svc', \
                 '.svc.cluster.local'].map(d, '*.' + variables.name + '-pods' + {namespace} + d)"
            ),
        ),
    ]
}

/// Whether an issuer serves more than the namespace: only an `Issuer` of cert-manager is known not to.
pub(super) fn is_cluster_issuer(issuer: &str) -> String {
    format!("({issuer}.kind != 'Issuer' || !({issuer}.?apiGroup.orValue('') in ['', 'cert-manager.io']))")
}
