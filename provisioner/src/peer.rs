//! What this operator asks of ops-manager: its verdicts on the certificates of each `Pgpool`.
//!
//! A verdict is a hint that saves time. It is kept in memory only, it holds no secret, and nothing is lost when the
//! channel is cut: the same verdict stands in the status, and without any this operator judges for itself.

pub mod convert;
pub mod grpc;

mod board;

use futures::stream::BoxStream;
use kube::runtime::reflector::ObjectRef;
use shared_types::{Alias, Pgpool};
use tls_bundle::Fingerprint;

pub use board::Board;

/// What ops-manager says of one `Pgpool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// UID of the `Pgpool` it is about.
    pub uid: String,
    /// The generation of the spec that it is about: another spec may need other names in the same certificates.
    pub generation: i64,
    /// One for each certificate.
    pub certificates: Vec<CertificateVerdict>,
}

/// What ops-manager says of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateVerdict {
    /// Which of the certificates.
    pub alias: Alias,
    /// The leaf that was judged; `None` when there was no readable one.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it may be used.
    pub ready: bool,
    /// Why, or why not, in one sentence.
    pub message: String,
}

/// Where verdicts come from.
pub trait Verdicts: Send + Sync {
    /// The verdict on a `Pgpool`; `None` while the channel is down, since what was heard before may be outdated.
    fn get(&self, pgpool: &Pgpool) -> Option<Verdict>;

    /// Whether the other side is heard now.
    fn connected(&self) -> bool;

    /// The `Pgpool`s whose verdict has changed, as it happens.
    fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>>;
}
