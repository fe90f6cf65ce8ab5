//! The operators' service accounts may do what they do, and no more.

use crate::case::{Case, Context};
use crate::scene::rights::{Deed, check, service_account};

pub fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "rights::the_operators_have_no_more_than_they_use",
        rights,
    )]
}

const fn deed<'a>(verb: &'a str, group: &'a str, resource: &'a str, subresource: &'a str) -> Deed<'a> {
    Deed {
        verb,
        group,
        resource,
        subresource,
        namespace: "default",
    }
}

/// What neither may do.
const DENIED: &[Deed<'_>] = &[
    deed("*", "*", "*", ""),
    deed("create", "", "pods", "exec"),
    deed("create", "rbac.authorization.k8s.io", "rolebindings", ""),
    deed("create", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    deed("create", "", "serviceaccounts", "token"),
    deed("impersonate", "", "users", ""),
    deed("patch", "apiextensions.k8s.io", "customresourcedefinitions", ""),
    deed(
        "create",
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "",
    ),
    deed("list", "", "nodes", ""),
    deed("update", "kubedb.com", "pgpools", ""),
    deed("delete", "kubedb.com", "pgpools", ""),
    deed("patch", "cert-manager.io", "issuers", ""),
    deed("create", "cert-manager.io", "certificaterequests", ""),
    deed("patch", "cert-manager.io", "clusterissuers", ""),
    deed("list", "", "configmaps", ""),
];

/// What the provisioner may do, and may not.
const PROVISIONER: &[(Deed<'_>, bool)] = &[
    (deed("patch", "kubedb.com", "pgpools", ""), false),
    (deed("patch", "kubedb.com", "pgpools", "status"), true),
    (deed("list", "ops.kubedb.com", "pgpoolopsrequests", ""), false),
    (deed("create", "", "pods", ""), true),
    (deed("delete", "", "pods", ""), true),
    (deed("deletecollection", "", "pods", ""), false),
    (deed("patch", "apps", "statefulsets", ""), true),
    (deed("patch", "", "pods", ""), true),
    (deed("patch", "", "pods", "resize"), true),
    (deed("update", "", "pods", "resize"), false),
    (deed("delete", "apps", "statefulsets", ""), false),
    // The Service of metrics goes when nobody scrapes any more.
    (deed("delete", "", "services", ""), true),
    (
        deed("delete", "monitoring.coreos.com", "servicemonitors", ""),
        true,
    ),
    (deed("create", "monitoring.coreos.com", "prometheuses", ""), false),
    (deed("create", "cert-manager.io", "certificates", ""), false),
    (deed("patch", "cert-manager.io", "certificates", ""), false),
    (deed("patch", "cert-manager.io", "certificates", "status"), false),
    (deed("list", "cert-manager.io", "issuers", ""), false),
    (deed("create", "apps", "deployments", ""), false),
    (deed("create", "batch", "jobs", ""), true),
    (deed("patch", "batch", "jobs", ""), false),
    (deed("delete", "batch", "jobs", ""), false),
    (deed("get", "", "configmaps", ""), true),
    (deed("watch", "", "configmaps", ""), false),
];

/// What ops-manager may do, and may not.
const OPS_MANAGER: &[(Deed<'_>, bool)] = &[
    // To carry out requests.
    (deed("patch", "kubedb.com", "pgpools", ""), true),
    (deed("get", "kubedb.com", "pgpools", ""), true),
    (
        deed("patch", "ops.kubedb.com", "pgpoolopsrequests", "status"),
        true,
    ),
    (deed("patch", "ops.kubedb.com", "pgpoolopsrequests", ""), false),
    (deed("create", "ops.kubedb.com", "pgpoolopsrequests", ""), false),
    (deed("delete", "ops.kubedb.com", "pgpoolopsrequests", ""), false),
    (deed("get", "catalog.kubedb.com", "pgpoolversions", ""), true),
    (deed("list", "catalog.kubedb.com", "pgpoolversions", ""), false),
    (deed("list", "", "pods", ""), false),
    (deed("patch", "", "pods", "resize"), false),
    (deed("patch", "kubedb.com", "pgpools", "status"), true),
    (deed("create", "", "pods", ""), false),
    (deed("delete", "", "pods", ""), false),
    (deed("patch", "cert-manager.io", "certificates", ""), true),
    (deed("patch", "cert-manager.io", "certificates", "status"), true),
    (deed("update", "cert-manager.io", "certificates", "status"), false),
    (deed("patch", "apps", "statefulsets", ""), false),
    (deed("patch", "", "pods", ""), false),
    (deed("create", "apps", "statefulsets", ""), false),
    (deed("create", "batch", "jobs", ""), false),
    (deed("list", "batch", "jobs", ""), false),
    (deed("get", "", "configmaps", ""), false),
    (deed("create", "", "secrets", ""), false),
    (deed("delete", "", "secrets", ""), false),
    (deed("patch", "", "services", ""), false),
    (deed("delete", "", "services", ""), false),
    (
        deed("list", "monitoring.coreos.com", "servicemonitors", ""),
        false,
    ),
    (deed("create", "", "services", ""), false),
    (deed("create", "", "serviceaccounts", ""), false),
    (deed("patch", "appcatalog.appscode.com", "appbindings", ""), false),
];

async fn rights(context: Context) -> anyhow::Result<()> {
    let denied = DENIED.iter().map(|deed| (*deed, false));
    let [provisioner, ops_manager] =
        [PROVISIONER, OPS_MANAGER].map(|own| denied.clone().chain(own.iter().copied()).collect::<Vec<_>>());
    check(&context.client, &service_account("provisioner"), &provisioner).await?;
    check(&context.client, &service_account("ops-manager"), &ops_manager).await
}
