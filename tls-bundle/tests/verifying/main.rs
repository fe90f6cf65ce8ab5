//! What the crate promises to both operators, on bundles made on the spot.

// The lints know test functions, not the functions that these call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bounds;
mod chains;
mod constraints;
mod damage;
mod failures;
mod keys;
mod names;
mod openssl;
mod origin;
mod support;
