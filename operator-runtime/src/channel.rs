//! The gRPC channel between the operators, and for clients such as grpcurl: always mTLS.
//!
//! Both sides present a certificate of the same CA, from files that cert-manager writes and renews. The server accepts only
//! clients of certain names, since the issuer may serve others, too. Missing files
//! or an unreachable peer only delay the channel; nothing else in a process waits for it. The operators define
//! the services.

pub mod client;
mod client_names;
mod connection;
mod contained;
pub mod files;
mod refusals;
pub mod server;

pub use client::connect;
pub use files::TlsFiles;
pub use server::serve;

#[cfg(test)]
mod tests;
