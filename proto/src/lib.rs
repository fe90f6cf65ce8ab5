//! The channel between the operators: its protocol definitions, the code generated from them, and the types that both
//! operators use for what it carries.
//!
//! Servers and clients live in the operator that uses them. Within `v1` fields are only added.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

#[allow(missing_docs)]
pub mod verdict;

/// Package `pgpool.operators.v1`.
#[allow(missing_docs, unused_qualifications, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("pgpool.operators.v1");

    /// The encoded descriptors of this package, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
