//! `CertificateService`: the board, as a stream.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use proto::v1::certificate_service_server::CertificateService;
use proto::v1::{WatchVerdictsRequest, WatchVerdictsResponse};
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{Leader, convert, stopping};
use crate::verdicts::{Board, Subscription};

/// Where verdicts come from.
pub trait VerdictSource: Send + Sync + 'static {
    /// Gives all verdicts, and every change from then on.
    fn subscribe(&self) -> Subscription;
}

impl VerdictSource for Board {
    fn subscribe(&self) -> Subscription {
        Self::subscribe(self)
    }
}

/// Serves the verdicts of a source.
pub struct Certificates<S> {
    source: Arc<S>,
    leader: Leader,
    drain: CancellationToken,
}

impl<S> Certificates<S> {
    /// Serves `source` while this replica leads, until the drain.
    pub fn new(source: Arc<S>, leader: Leader, drain: CancellationToken) -> Self {
        Self {
            source,
            leader,
            drain,
        }
    }
}

#[tonic::async_trait]
impl<S: VerdictSource> CertificateService for Certificates<S> {
    type WatchVerdictsStream = Pin<Box<dyn Stream<Item = Result<WatchVerdictsResponse, Status>> + Send>>;

    async fn watch_verdicts(
        &self,
        _: Request<WatchVerdictsRequest>,
    ) -> Result<Response<Self::WatchVerdictsStream>, Status> {
        self.leader.check("", "")?;
        let Subscription { known, news } = self.source.subscribe();
        let known = stream::iter(
            known
                .into_iter()
                .map(|verdict| Ok(convert::news(&verdict.into()))),
        );
        let news = BroadcastStream::new(news).map(|news| match news {
            Ok(news) => Ok(convert::news(&news)),
            Err(_) => Err(Status::unavailable(
                "this listener fell behind and has to begin anew",
            )),
        });
        let stream = known.chain(stream::iter([Ok(convert::synced())])).chain(news);
        let stream = stream
            .take_until(self.drain.clone().cancelled_owned())
            .chain(stream::iter([Err(stopping())]));
        Ok(Response::new(Box::pin(stream)))
    }
}
