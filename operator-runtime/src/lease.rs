//! Leadership by a Lease.

/// Stub.
#[derive(Debug)]
pub struct Keeper;
