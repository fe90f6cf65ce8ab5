//! The gRPC channel between the operators, and to people: mTLS from the start.
//!
//! Both sides prove themselves with a certificate of the same authority, read from files that
//! cert-manager fills and renews. Files that are not there yet, or a peer that is away, only delay the
//! channel; nothing else in a process waits for it. What is said over it is the operators' affair.

pub mod client;
mod connection;
pub mod files;
pub mod server;

pub use client::connect;
pub use files::TlsFiles;
pub use server::serve;

#[cfg(test)]
mod tests;
