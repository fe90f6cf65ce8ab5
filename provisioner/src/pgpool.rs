//! The controller of `Pgpool`.

pub mod desired;
pub mod observe;
pub mod validate;
