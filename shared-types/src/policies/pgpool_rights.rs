//! The policy about authors of Pgpools. See [`crate::rights`] for what each field needs.
//!
//! ops-manager writes what the author of a `PgpoolOpsRequest` asked for, whom [`super::request_rights`] has checked. It is
//! known by a right that only its chart grants, for the whole cluster: a Role in a namespace cannot grant that, and a name in
//! a list could be taken by others.

use k8s_openapi::api::admissionregistration::v1::Validation;

use super::cel::{
    author_may, differs, foreign_names_differ, is_cluster_issuer, list, own_names, plain_lists,
    prefixed_differ, special_variables, variable,
};
use super::{Policy, RIGHTS, required, restricted, rights_policy};
use crate::rights::{self, Guard};

const POD: &str = "spec.podTemplate.spec";

/// The fields of a container beyond its name, resources and variables.
const CONTAINER_FIELDS: [&str; 21] = [
    "args",
    "command",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "restartPolicy",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

/// The API group of [`OPERATOR_RESOURCE`]. No such kind exists: it is only a name in rules of RBAC.
pub const OPERATOR_GROUP: &str = "operators.pgpool.kubedb.com";
/// What ops-manager may `carryout`.
pub const OPERATOR_RESOURCE: &str = "pgpoolopsrequests";

pub(super) fn policy() -> Policy {
    let mut variables = vec![
        variable("spec", "dyn(object.spec)"),
        variable("old", "oldObject == null ? dyn({}) : dyn(oldObject.spec)"),
        variable("pod", "variables.spec.?podTemplate.?spec.orValue({})"),
        variable("oldPod", "variables.old.?podTemplate.?spec.orValue({})"),
        variable(
            "podAnnotations",
            "variables.spec.?podTemplate.?metadata.?annotations.orValue({})",
        ),
        variable(
            "oldPodAnnotations",
            "variables.old.?podTemplate.?metadata.?annotations.orValue({})",
        ),
        variable("name", "string(object.metadata.name)"),
        variable("mayCreatePods", author_may("create", "", "pods")),
        variable("mayCreateServices", author_may("create", "", "services")),
        variable(
            "mayCreateCertificates",
            author_may("create", "cert-manager.io", "certificates"),
        ),
        variable(
            "carriesOutRequests",
            format!(
                "authorizer.group('{OPERATOR_GROUP}').resource('{OPERATOR_RESOURCE}').check('carryout').allowed()"
            ),
        ),
        variable("tls", "variables.spec.?tls.orValue({})"),
        variable("oldTls", "variables.old.?tls.orValue({})"),
        variable("certificates", "variables.tls.?certificates.orValue([])"),
        variable("oldCertificates", "variables.oldTls.?certificates.orValue([])"),
        variable("containerFields", list(&CONTAINER_FIELDS)),
        variable("account", account("variables.pod")),
        variable("oldAccount", account("variables.oldPod")),
    ];
    variables.extend(plain_lists());
    variables.extend(own_names());
    variables.extend(restricted::variables());
    // First what no right can change, so that nobody asks for a right in vain.
    let mut validations = restricted::validations();
    validations.extend(pods());
    validations.extend(others());
    rights_policy(
        RIGHTS,
        ("kubedb.com", "pgpools"),
        &["CREATE", "UPDATE"],
        variables,
        validations,
    )
}

/// The service account of the pods, empty for the generated one, as [`crate::names::service_account`] chooses it.
fn account(pod: &str) -> String {
    format!("has({pod}.serviceAccountName) ? {pod}.serviceAccountName : {pod}.?serviceAccount.orValue('')")
}

/// Whether more than resources and plain variables of a list of containers differs.
fn containers_differ(field: &str) -> String {
    let set = "variables.containerFields.exists(k, k in";
    let (new, old) = (
        format!("variables.pod.?{field}.orValue([])"),
        format!("variables.oldPod.?{field}.orValue([])"),
    );
    format!(
        // Most edits change no container: then nothing is compared field by field.
        "{new}.exists(c, !(c in {old}) && ({set} c) || size({these}) > 0) && !{old}.exists(o, o.name == c.name && !{differ} \
         && {these} == {those})) || {old}.exists(o, !(o in {new}) && ({set} o) || size({those}) > 0) && !{new}.exists(c, \
         c.name == o.name && !{differ} && {these} == {those}))",
        these = special_variables("c"),
        those = special_variables("o"),
        differ = differs("c", "o", "variables.containerFields"),
    )
}

fn pods() -> Vec<Validation> {
    let guarded = |expression: &str, what: &str| {
        required(
            format!("!({expression}) || variables.mayCreatePods || variables.carriesOutRequests"),
            format!(
                "{what} may be set by those who may create pods in this namespace: ask for that right, or leave it as it was"
            ),
        )
    };
    let plain = rights::below(POD, Guard::CreatePods);
    let exporter = "variables.spec.?monitor.?prometheus.?exporter.orValue({})";
    let old_exporter = "variables.old.?monitor.?prometheus.?exporter.orValue({})";
    let labels = |object: &str| format!("{object}.metadata.?labels.orValue({{}})");
    let old_labels = "(oldObject == null ? {} : oldObject.metadata.?labels.orValue({}))";
    let template =
        |of: &str, part: &str, map: &str| format!("variables.{of}.?podTemplate.?{part}.?{map}.orValue({{}})");
    let metadata: Vec<_> = [
        ("metadata", "labels"),
        ("metadata", "annotations"),
        ("controller", "labels"),
        ("controller", "annotations"),
    ]
    .map(|(part, map)| prefixed_differ(&template("spec", part, map), &template("old", part, map)))
    .into();
    vec![
        guarded(
            &containers_differ("containers"),
            "more than resources and plain variables in spec.podTemplate.spec.containers",
        ),
        guarded(
            &containers_differ("initContainers"),
            "spec.podTemplate.spec.initContainers",
        ),
        guarded(
            &differs("variables.pod", "variables.oldPod", &list(&plain)),
            &format!("fields of spec.podTemplate.spec ({})", plain.join(", ")),
        ),
        guarded(
            "variables.spec.?init.?script != variables.old.?init.?script",
            "spec.init.script",
        ),
        guarded(
            &format!(
                "{exporter} != {old_exporter} && ({} || {} != {})",
                differs(exporter, old_exporter, "['args', 'securityContext']"),
                special_variables(exporter),
                special_variables(old_exporter)
            ),
            "args, securityContext and variables with other than plain values in spec.monitor.prometheus.exporter",
        ),
        guarded(
            &metadata.join(" || "),
            "labels and annotations in spec.podTemplate with a prefix that other programs may act on",
        ),
        guarded(
            &prefixed_differ(&labels("object"), old_labels),
            "labels of a Pgpool, which its pods get, with a prefix that other programs may act on",
        ),
    ]
}

fn others() -> Vec<Validation> {
    let issuer = |certificates: &str, tls: &str| {
        format!(
            "({certificates}.filter(c, c.alias == a && has(c.issuerRef)).map(c, dyn(c.issuerRef)) + (has({tls}.issuerRef) ? \
             [dyn({tls}.issuerRef)] : []))"
        )
    };
    let (new, old) = (
        issuer("variables.certificates", "variables.tls"),
        issuer("variables.oldCertificates", "variables.oldTls"),
    );
    let old_services = "variables.oldServices.filter(o, o.alias == s.alias)";
    let certificates = "may be set by those who may create certificates.cert-manager.io in this namespace: ask for that right, or";
    vec![
        required(
            format!(
                "!['server', 'client', 'metrics-exporter'].exists(a, {new}.size() > 0 && {cluster} && !({old}.size() > 0 && \
                 {old}[0] == {new}[0])) || variables.mayCreateCertificates || variables.carriesOutRequests",
                cluster = is_cluster_issuer(&format!("{new}[0]"))
            ),
            format!("a ClusterIssuer or an external issuer in spec.tls {certificates} use an Issuer"),
        ),
        required(
            format!(
                "!({}) || variables.mayCreateCertificates || variables.carriesOutRequests",
                foreign_names_differ("variables.certificates", "variables.oldCertificates")
            ),
            format!(
                "names, addresses and subjects in spec.tls.certificates beyond the names of this Pgpool {certificates} leave them \
                 out"
            ),
        ),
        required(
            "variables.account == '' || variables.account == variables.oldAccount || variables.carriesOutRequests || \
             authorizer.group('').resource('serviceaccounts').namespace(request.namespace).name(variables.account).check('impersonate').allowed()",
            "the ServiceAccount in spec.podTemplate.spec may be chosen by those who may impersonate it: ask for that right, or \
             leave serviceAccountName out",
        ),
        required(
            format!(
                "!variables.services.exists(s, s.?spec.?clusterIP.orValue('') != '' && !{old_services}.exists(o, \
                 o.?spec.?clusterIP == s.?spec.?clusterIP)) || variables.mayCreateServices || variables.carriesOutRequests"
            ),
            "spec.serviceTemplates[].spec.clusterIP may be set by those who may create Services in this namespace: leave it out",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::CONTAINER_FIELDS;
    use crate::crds;

    #[test]
    fn no_field_of_a_container_is_forgotten() {
        let schema = crds::schema("Pgpool").unwrap();
        let path =
            "/properties/spec/properties/podTemplate/properties/spec/properties/containers/items/properties";
        let fields = schema.pointer(path).unwrap().as_object().unwrap();
        for field in fields.keys() {
            let free = ["env", "name", "resources"].contains(&field.as_str());
            assert_eq!(CONTAINER_FIELDS.contains(&field.as_str()), !free, "{field}");
        }
    }
}
