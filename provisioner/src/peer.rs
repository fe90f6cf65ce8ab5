//! What this operator asks of ops-manager: its verdicts on the certificates of each `Pgpool`.
//!
//! A verdict is a hint that saves time. It is kept in memory only, it holds no secret, and nothing is lost when the
//! channel is cut: the same verdict stands in the status, and without any this operator judges for itself.

pub(crate) mod grpc;

mod board;

use std::sync::Arc;

use futures::stream::BoxStream;
use kube::runtime::reflector::ObjectRef;
use proto::verdict::Verdict;
use shared_types::Pgpool;

pub(crate) use board::Board;

/// Where verdicts come from.
pub(crate) trait Verdicts: Send + Sync {
    /// The verdict on a `Pgpool`; `None` while the channel is down, since what was heard before may be outdated.
    fn get(&self, pgpool: &Pgpool) -> Option<Arc<Verdict>>;

    /// Whether the other side is heard now.
    fn connected(&self) -> bool;

    /// The `Pgpool`s whose verdict has changed, as it happens.
    fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>>;
}
