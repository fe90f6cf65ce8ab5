//! The policy about authors of `PgpoolOpsRequest`s. ops-manager carries a request out with its own rights, so that its
//! author needs those of whoever edits the Pgpool. The spec of a request never changes: only its creation is checked.

use k8s_openapi::api::admissionregistration::v1::Validation;

use super::cel::{author_may, foreign_names_differ, is_cluster_issuer, own_names, variable};
use super::{Policy, REQUEST_RIGHTS, required, rights_policy};

pub(super) fn policy() -> Policy {
    let mut variables = vec![
        variable("spec", "dyn(object.spec)"),
        variable("name", "string(object.spec.databaseRef.name)"),
        variable("tls", "variables.spec.?tls.orValue({})"),
        variable("certificates", "variables.tls.?certificates.orValue([])"),
        variable("node", "variables.spec.?verticalScaling.?node.orValue({})"),
        variable(
            "issuers",
            "variables.certificates.filter(c, has(c.issuerRef)).map(c, dyn(c.issuerRef)) + (has(variables.tls.issuerRef) ? \
             [dyn(variables.tls.issuerRef)] : [])",
        ),
        variable(
            "mayCreateCertificates",
            author_may("create", "cert-manager.io", "certificates"),
        ),
        variable(
            "mayPatch",
            "authorizer.group('kubedb.com').resource('pgpools').namespace(request.namespace).name(variables.name)\
             .check('patch').allowed()",
        ),
    ];
    variables.extend(own_names());
    rights_policy(
        REQUEST_RIGHTS,
        ("ops.kubedb.com", "pgpoolopsrequests"),
        &["CREATE"],
        variables,
        validations(),
    )
}

fn validations() -> Vec<Validation> {
    let certificates = "may be requested by those who may create certificates.cert-manager.io in this namespace: ask for that \
                        right, or";
    vec![
        required(
            "variables.spec.type in ['Restart', 'HorizontalScaling'] || (variables.spec.type == 'VerticalScaling' && \
             !has(variables.node.topology) && variables.node.?nodeSelectionPolicy.orValue('') == '' && \
             !has(variables.spec.configuration)) || variables.mayPatch",
            "spec.type is an edit of the Pgpool, which needs the right to patch it: ask for that right. Restart, \
             HorizontalScaling, and VerticalScaling without topology need none",
        ),
        required(
            format!(
                "!variables.issuers.exists(i, {}) || variables.mayCreateCertificates",
                is_cluster_issuer("i")
            ),
            format!("a ClusterIssuer or an external issuer in spec.tls {certificates} use an Issuer"),
        ),
        required(
            format!(
                "!({}) || variables.mayCreateCertificates",
                foreign_names_differ("variables.certificates", "[]")
            ),
            format!(
                "names, addresses and subjects in spec.tls.certificates beyond the names of the Pgpool {certificates} leave \
                 them out"
            ),
        ),
    ]
}
