//! The controller of `Pgpool`.

pub mod desired;
pub mod handoff;
pub mod observe;
pub mod validate;
