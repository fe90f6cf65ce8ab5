//! Which namespaces this process serves, and the API handles that follow.
//!
//! Namespaced kinds are limited to the scope of the process; cluster-scoped kinds are always watched whole.

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Api, Client, Resource};

use crate::decode::Received;

/// The part of the cluster this process serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every namespace, by one watch.
    All,
    /// The listed namespaces, by one watch each, so that a Role per namespace is sufficient.
    Namespaces(Vec<String>),
}

impl Scope {
    /// Returns the scope for a list of namespaces; an empty list means all.
    #[must_use]
    pub fn from_namespaces(mut namespaces: Vec<String>) -> Self {
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces.retain(|namespace| !namespace.is_empty());
        if namespaces.is_empty() {
            Self::All
        } else {
            Self::Namespaces(namespaces)
        }
    }

    /// Returns whether objects of this namespace are served.
    #[must_use]
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(namespaces) => namespaces.iter().any(|listed| listed == namespace),
        }
    }
}

/// Converts the scope of a kind, which the compiler knows, into API handles.
///
/// What the handles return is decoded object by object. Implemented for the two scopes of Kubernetes; use it as the bound
/// `K::Scope: Placement<K>`.
pub trait Placement<K> {
    /// Returns one handle per watch that covers the scope, each with its namespace; `None` is everything.
    fn watched(client: &Client, scope: &Scope) -> Vec<(Option<String>, Api<Received<K>>)>;
    /// Returns the handle for one object. `namespace` is ignored for cluster-scoped kinds.
    fn at(client: &Client, namespace: Option<&str>) -> Api<Received<K>>;
}

impl<K> Placement<K> for NamespaceResourceScope
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    fn watched(client: &Client, scope: &Scope) -> Vec<(Option<String>, Api<Received<K>>)> {
        match scope {
            Scope::All => vec![(None, Api::all(client.clone()))],
            Scope::Namespaces(namespaces) => namespaces
                .iter()
                .map(|namespace| {
                    (
                        Some(namespace.clone()),
                        Api::namespaced(client.clone(), namespace),
                    )
                })
                .collect(),
        }
    }

    fn at(client: &Client, namespace: Option<&str>) -> Api<Received<K>> {
        Api::namespaced(client.clone(), namespace.unwrap_or("default"))
    }
}

impl<K> Placement<K> for ClusterResourceScope
where
    K: Resource<Scope = ClusterResourceScope, DynamicType = ()>,
{
    fn watched(client: &Client, _: &Scope) -> Vec<(Option<String>, Api<Received<K>>)> {
        vec![(None, Api::all(client.clone()))]
    }

    fn at(client: &Client, _: Option<&str>) -> Api<Received<K>> {
        Api::all(client.clone())
    }
}
