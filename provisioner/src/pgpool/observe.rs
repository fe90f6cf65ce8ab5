//! Reads everything a `Pgpool` refers to. The only step that looks anything up; it decides nothing.
//!
//! Each referred object is a [`Lookup`], so that "not there", "not readable" and "not known yet" stay three
//! different things until `validate` turns them into three different sentences for the user.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use shared_types::{AppBinding, PgpoolVersion};

/// What is known of an object somebody refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The watch on it has not answered yet.
    #[default]
    Pending,
    /// The API server says that there is no such object, or does not serve its kind.
    Absent,
    /// The operator may not read it.
    Forbidden,
    /// It is there.
    Present(T),
}

impl<T> Lookup<T> {
    /// The object, when it is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(found) => Some(found),
            Self::Pending | Self::Absent | Self::Forbidden => None,
        }
    }

    /// The same knowledge about a part of the object.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Pending => Lookup::Pending,
            Self::Absent => Lookup::Absent,
            Self::Forbidden => Lookup::Forbidden,
            Self::Present(found) => Lookup::Present(part(found)),
        }
    }
}

/// Everything outside the `Pgpool` that decides what it becomes, except its certificates.
///
/// An `Option` is `None` when nothing refers to such an object; the names are in the `Pgpool` and the `AppBinding`.
#[derive(Clone, Default)]
pub struct Inputs {
    /// `spec.version`.
    pub version: Lookup<Arc<PgpoolVersion>>,
    /// `spec.postgresRef`.
    pub app_binding: Lookup<Arc<AppBinding>>,
    /// `spec.secret` of the `AppBinding`, in its namespace.
    pub backend_secret: Option<Lookup<Arc<Secret>>>,
    /// `spec.tlsSecret` of the `AppBinding`, in its namespace.
    pub backend_tls_secret: Option<Lookup<Arc<Secret>>>,
    /// The Secret of the PCP user: `spec.authSecret.name`, or the one that is generated.
    pub auth_secret: Lookup<Arc<Secret>>,
    /// `spec.configuration.secretName`.
    pub configuration_secret: Option<Lookup<Arc<Secret>>>,
    /// A fresh PCP password (16 characters): `Some` only while the generated auth Secret is known to be absent, so
    /// that a password which is in use is never replaced.
    pub new_pcp_password: Option<String>,
    /// The DNS domain of the cluster, `cluster.local` almost everywhere.
    pub cluster_domain: String,
}

impl fmt::Debug for Inputs {
    /// Leaves the contents of Secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").field("cluster_domain", &self.cluster_domain).finish_non_exhaustive()
    }
}
