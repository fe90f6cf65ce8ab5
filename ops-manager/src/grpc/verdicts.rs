//! `VerdictService`: the verdict on the certificates of every Pgpool.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use proto::v1::verdict_service_server::VerdictService;
use proto::v1::{WatchVerdictsRequest, WatchVerdictsResponse};
use proto::verdict::Event;
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{Leader, stopping};
use crate::verdicts::{Subscription, VerdictStore};

/// Serves verdicts while this replica leads, until `drain`.
pub(crate) struct Verdicts {
    store: Arc<VerdictStore>,
    leader: Leader,
    drain: CancellationToken,
}

impl Verdicts {
    pub(crate) fn new(verdicts: Arc<VerdictStore>, leader: Leader, drain: CancellationToken) -> Self {
        Self {
            store: verdicts,
            leader,
            drain,
        }
    }
}

#[tonic::async_trait]
impl VerdictService for Verdicts {
    type WatchVerdictsStream = Pin<Box<dyn Stream<Item = Result<WatchVerdictsResponse, Status>> + Send>>;

    async fn watch_verdicts(
        &self,
        _: Request<WatchVerdictsRequest>,
    ) -> Result<Response<Self::WatchVerdictsStream>, Status> {
        self.leader.check("", "")?;
        let Subscription { current, changes } = self.store.subscribe();
        let current = current.into_iter().map(Event::Verdict).chain([Event::Synced]);
        let changes = BroadcastStream::new(changes).map(|event| {
            event.map_err(|_| Status::unavailable("the client fell behind and must call again"))
        });
        let events = stream::iter(current.map(Ok)).chain(changes);
        let responses = events
            .map(|event| event.map(|event| WatchVerdictsResponse::from(&event)))
            .take_until(self.drain.clone().cancelled_owned())
            .chain(stream::iter([Err(stopping())]));
        Ok(Response::new(Box::pin(responses)))
    }
}
