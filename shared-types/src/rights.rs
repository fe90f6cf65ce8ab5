//! Which right the author of a field needs. One table, [`FIELDS`], from which the admission policies, the reference page
//! and the refusals of the operators follow. A test finds each field of the definition that the table does not have.
//!
//! A Pgpool makes the operators create pods, Services and certificates with their own, wider rights. Its author therefore
//! needs the right to create such an object in the namespace, and no more than that right.

mod fields;
mod needed;
pub mod plain;

pub use fields::FIELDS;
pub use needed::{Guarded, Needed, Part, guarded};

/// What the author of a field needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// The right to write the Pgpool.
    Free,
    /// Accepted for compatibility, without effect.
    NoEffect,
    /// The right to create `certificates.cert-manager.io` in the namespace.
    CreateCertificates,
    /// The right to create pods in the namespace.
    CreatePods,
    /// The right to create Services in the namespace.
    CreateServices,
    /// The right to impersonate the service account.
    Impersonate,
    /// Nobody may set it while the tenancy is restricted.
    Forbidden,
    /// An operator checks the value against other objects.
    CheckedByOperator,
}

impl Guard {
    /// What the author needs, as a part of a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Free => "nothing else",
            Self::NoEffect => "nothing else: the field has no effect",
            Self::CreateCertificates => "`create` on `certificates.cert-manager.io`",
            Self::CreatePods => "`create` on `pods`",
            Self::CreateServices => "`create` on `services`",
            Self::Impersonate => "`impersonate` on the ServiceAccount",
            Self::Forbidden => "tenancy `trusted`",
            Self::CheckedByOperator => "what the operator checks",
        }
    }

    /// Whether an admission policy guards the field.
    #[must_use]
    pub fn is_guarded(self) -> bool {
        !matches!(self, Self::Free | Self::NoEffect | Self::CheckedByOperator)
    }
}

/// Which values of a field are guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Any value that is neither empty nor `false`.
    Set,
    /// A label or annotation whose key is not [`plain::is_plain_key`].
    PrefixedKey,
    /// An annotation of a Service that is not [`plain::is_service_annotation`].
    ServiceAnnotation,
    /// A container with more than a name, resources and [`plain::is_plain_variable`]s.
    Container,
    /// A variable that is not [`plain::is_plain_variable`].
    Variable,
    /// An issuer that is not an `Issuer` of cert-manager in the namespace.
    ClusterIssuer,
    /// A name or address that is not one of the pool's own.
    ForeignName,
    /// A relabeling that could write a label that begins with `__`, such as `__address__`.
    Relabeling,
}

/// A field, or all fields at and below a path, and what their author needs.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Path from the root of the object, such as `spec.tls.certificates[].uris`.
    pub path: &'static str,
    /// What the author needs.
    pub guard: Guard,
    /// For which values.
    pub when: When,
    /// What else is to say about it, as a sentence; empty for nothing.
    pub note: &'static str,
}

/// The row of the table that a path of the schema belongs to: the one with the longest path.
#[must_use]
pub fn field(path: &str) -> Option<&'static Field> {
    let holds = |field: &&Field| {
        path.strip_prefix(field.path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
    };
    FIELDS.iter().filter(holds).max_by_key(|field| field.path.len())
}

/// The names of the fields directly below a path that have this guard.
pub(crate) fn below(path: &str, guard: Guard) -> Vec<&'static str> {
    FIELDS
        .iter()
        .filter(|field| field.guard == guard && field.when == When::Set)
        .filter_map(|field| field.path.strip_prefix(path)?.strip_prefix('.'))
        .filter(|rest| !rest.contains(['.', '[', '{']))
        .collect()
}

#[cfg(test)]
mod tests;
