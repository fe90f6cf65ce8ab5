//! The gRPC channel between the operators, and for clients such as grpcurl: always mTLS.
//!
//! Both sides present a certificate of the same CA, from files that cert-manager writes and renews. Missing files
//! or an unreachable peer only delay the channel; nothing else in a process waits for it. The operators define
//! the services.

pub mod client;
mod connection;
mod contained;
pub mod files;
pub mod server;

pub use client::connect;
pub use files::TlsFiles;
pub use server::serve;

#[cfg(test)]
mod tests;
