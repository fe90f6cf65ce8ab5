//! `AppBinding`: how to connect to an application, here the PostgreSQL of a pool. Other applications use the kind too:
//! only what no application could use is rejected.

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::{TypedReference, Unread};
use crate::{names, rules::rule, schema};

/// How to connect to an application, and the Secrets with its credentials.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "appcatalog.appscode.com",
    version = "v1alpha1",
    kind = "AppBinding",
    plural = "appbindings",
    namespaced,
    derive = "PartialEq",
    category = "catalog",
    category = "appscode",
    category = "all",
    doc = "How to connect to an application, and the Secrets with its credentials",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AppBindingSpec {
    /// Type of the application, such as `kubedb.com/postgres`; may be empty.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Version of the application, such as `16.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The object that runs the application, if KubeDB manages it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_ref: Option<AppReference>,
    /// Address of the application, and how to verify its certificate.
    pub client_config: ClientConfig,
    /// Secret with `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<TypedReference>,
    /// Secret with a client certificate (`tls.crt`, `tls.key`) for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<TypedReference>,
    /// Changes to the keys of the Secret for clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub secret_transforms: Vec<SecretTransform>,
    /// Free-form parameters of the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub parameters: Option<Unread>,
}

/// A longer [`ANNOTATION_ALLOWED_NAMESPACES`] allows nothing: room for 256 names of 63 characters.
///
/// [`ANNOTATION_ALLOWED_NAMESPACES`]: names::ANNOTATION_ALLOWED_NAMESPACES
pub const MAX_ALLOWED_NAMESPACES: usize = 16 * 1024;

impl AppBinding {
    /// Whether its owner allows Pgpools of another namespace to use it: the annotation
    /// [`ANNOTATION_ALLOWED_NAMESPACES`](names::ANNOTATION_ALLOWED_NAMESPACES) lists that namespace or `*`, separated by
    /// commas.
    ///
    /// An entry that is no name of a namespace allows nothing, and the others still count.
    #[must_use]
    pub fn allows(&self, namespace: &str) -> bool {
        let annotation = self.annotations().get(names::ANNOTATION_ALLOWED_NAMESPACES);
        annotation
            .filter(|list| list.len() <= MAX_ALLOWED_NAMESPACES)
            .is_some_and(|list| {
                let mut entries = list.split(',').map(str::trim);
                entries.any(|entry| !entry.is_empty() && (entry == "*" || entry == namespace))
            })
    }
}

/// The object that runs an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppReference {
    /// API group of the object, such as `kubedb.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// Kind of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
}

/// Address of an application: a Service of the cluster, or a URL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "!has(self.url) || !has(self.service)",
    "spec.clientConfig has two addresses: keep either url or service",
))]
pub struct ClientConfig {
    /// URL of an application outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Service of an application in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceReference>,
    /// Whether to accept any server certificate. Only for tests.
    #[serde(
        default,
        rename = "insecureSkipTLSVerify",
        skip_serializing_if = "Option::is_none"
    )]
    pub insecure_skip_tls_verify: Option<bool>,
    /// CA certificates that verify the server certificate, as PEM in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub ca_bundle: Option<k8s_openapi::ByteString>,
    /// Name in the server certificate, if it is not the host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReference {
    /// Scheme of the address, such as `postgresql`.
    pub scheme: String,
    /// Namespace of the Service; that of the `AppBinding` when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the Service of the application.
    pub name: String,
    /// Port of the Service, such as 5432.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Path of the address. Not used for PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Query of the address, such as `sslmode=verify-full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// A change to the keys of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "[has(self.renameKey), has(self.addKey), has(self.addKeysFrom), has(self.removeKey)].exists_one(given, given)",
    "must have exactly one of renameKey, addKey, addKeysFrom and removeKey",
))]
pub struct SecretTransform {
    /// Renames a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename_key: Option<RenameKey>,
    /// Adds a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_key: Option<AddKey>,
    /// Adds every key of another Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_keys_from: Option<AddKeysFrom>,
    /// Removes a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_key: Option<RemoveKey>,
}

/// Renames a key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenameKey {
    /// Current name of the key.
    pub from: String,
    /// New name of the key.
    pub to: String,
}

/// Adds a key to a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddKey {
    /// The key in the Secret.
    pub key: String,
    /// Value of the key, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub value: Option<k8s_openapi::ByteString>,
    /// Value of the key, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// Value of the key, as a template over the data of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_path_expression: Option<String>,
}

/// Adds the keys of another Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddKeysFrom {
    /// The Secret whose keys are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<crate::object::ObjectReference>,
}

/// Removes a key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoveKey {
    /// The key in the Secret.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_annotation_of_its_owner_lets_another_namespace_in() {
        let long = format!("shop,{}", "a,".repeat(MAX_ALLOWED_NAMESPACES / 2));
        let rows: [(Option<&str>, bool); 16] = [
            (None, false),
            (Some(""), false),
            (Some(","), false),
            (Some("shop"), true),
            (Some("*"), true),
            (Some("a, shop ,b"), true),
            (Some("a,*"), true),
            (Some("\n shop\t"), true),
            (Some("UPPER, no name!, shop"), true),
            (Some("Shop"), false),
            (Some("shop2"), false),
            (Some("my-shop"), false),
            (Some("sh*"), false),
            (Some("**"), false),
            (Some("a shop"), false),
            (Some(&long), false),
        ];
        for (annotation, allowed) in rows {
            let mut binding = AppBinding::new("pg", AppBindingSpec::default());
            if let Some(value) = annotation {
                let key = names::ANNOTATION_ALLOWED_NAMESPACES.to_owned();
                binding.annotations_mut().insert(key, value.to_owned());
            }
            assert_eq!(binding.allows("shop"), allowed, "{annotation:.40?}");
            assert!(!binding.allows("") || annotation.is_some_and(|it| it.contains('*')));
        }
    }
}
