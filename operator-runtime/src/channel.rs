//! The gRPC channel between the operators, and to people: mTLS from the start.

pub mod client;
pub mod files;
pub mod server;

pub use client::connect;
pub use files::TlsFiles;
pub use server::serve;
