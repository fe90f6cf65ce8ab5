//! The API of the Pgpool operators, and the vocabulary that both share.
//!
//! Contains the four kinds (`Pgpool`, `PgpoolOpsRequest`, `PgpoolVersion`, `AppBinding`) with their schemas and
//! validation rules, the types and reasons of conditions, and the names of generated objects. It has no client, does no
//! I/O and reads no clock: time is an argument.
//!
//! Field names and meanings are those of KubeDB, so that its manifests are accepted unmodified. Defaults are methods of
//! the specs, and are never written back into an object.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "every printer column has a type of its own"
)]

pub mod app_binding;
pub mod certificates;
pub mod conditions;
pub mod crds;
pub mod explanation;
pub mod limits;
pub mod names;
pub mod object;
pub mod ops_request;
pub mod owned_names;
pub mod pgpool;
pub mod pgpool_version;
pub mod policies;
pub mod ports;
pub mod reserved;
pub mod rights;
pub mod rules;
pub mod text;

mod json_size;
mod schema;

pub use app_binding::{AppBinding, AppBindingSpec};
pub use json_size::json_size;
pub use ops_request::{PgpoolOpsRequest, PgpoolOpsRequestSpec, PgpoolOpsRequestStatus};
pub use pgpool::{Alias, ClientAuthMode, DeletionPolicy, Pgpool, PgpoolSpec, PgpoolStatus, Phase, SslMode};
pub use pgpool_version::{PgpoolVersion, PgpoolVersionSpec};
