//! The client of ops-manager: receives its verdicts on the certificates of each `Pgpool`.
//!
//! A verdict is a hint that saves time. It is kept in memory only, contains no secret, and nothing is lost when the
//! channel is cut: the status has the same verdict, and without any the provisioner verifies certificates itself.

pub(crate) mod grpc;

mod verdicts;

use std::sync::Arc;

use futures::stream::BoxStream;
use kube::runtime::reflector::ObjectRef;
use proto::verdict::Verdict;
use shared_types::Pgpool;

pub(crate) use verdicts::Board;

/// Where verdicts come from.
pub(crate) trait Verdicts: Send + Sync {
    /// The verdict on a `Pgpool`; `None` while the channel is down, since earlier ones may be outdated.
    fn get(&self, pgpool: &Pgpool) -> Option<Arc<Verdict>>;

    /// Whether the stream of ops-manager is open.
    fn connected(&self) -> bool;

    /// The `Pgpool`s whose verdict changes, from now on.
    fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>>;
}
