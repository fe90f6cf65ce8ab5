//! `FlowService`: how far a Pgpool is in the ten steps.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use proto::v1::flow_service_server::FlowService;
use proto::v1::{GetFlowRequest, GetFlowResponse, WatchFlowRequest, WatchFlowResponse};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{Leader, convert, stopping};
use crate::flow::Flow;

pub(crate) trait FlowSource: Send + Sync + 'static {
    /// `None` if there is no such Pgpool.
    fn flow(&self, namespace: &str, name: &str) -> Option<Flow>;
    /// Yields whenever the flow may have changed; never ends.
    fn changes(&self, namespace: &str, name: &str) -> Pin<Box<dyn Stream<Item = ()> + Send>>;
}

/// Serves flows while this replica leads, until `drain`.
pub(crate) struct Flows<S> {
    source: Arc<S>,
    leader: Leader,
    drain: CancellationToken,
}

impl<S> Flows<S> {
    pub(crate) fn new(source: Arc<S>, leader: Leader, drain: CancellationToken) -> Self {
        Self {
            source,
            leader,
            drain,
        }
    }
}

fn named(namespace: &str, name: &str) -> Result<(), Status> {
    if namespace.is_empty() || name.is_empty() {
        return Err(Status::invalid_argument(
            "namespace and name of the Pgpool are needed",
        ));
    }
    Ok(())
}

fn absent(namespace: &str, name: &str) -> Status {
    Status::not_found(format!("there is no Pgpool {namespace}/{name}"))
}

#[tonic::async_trait]
impl<S: FlowSource> FlowService for Flows<S> {
    type WatchFlowStream = Pin<Box<dyn Stream<Item = Result<WatchFlowResponse, Status>> + Send>>;

    async fn get_flow(&self, request: Request<GetFlowRequest>) -> Result<Response<GetFlowResponse>, Status> {
        let GetFlowRequest { namespace, name } = request.into_inner();
        named(&namespace, &name)?;
        self.leader.check(&namespace, &name)?;
        let flow = self
            .source
            .flow(&namespace, &name)
            .ok_or_else(|| absent(&namespace, &name))?;
        Ok(Response::new(GetFlowResponse {
            flow: Some(convert::flow(&flow)),
        }))
    }

    async fn watch_flow(
        &self,
        request: Request<WatchFlowRequest>,
    ) -> Result<Response<Self::WatchFlowStream>, Status> {
        let WatchFlowRequest { namespace, name } = request.into_inner();
        named(&namespace, &name)?;
        self.leader.check(&namespace, &name)?;
        // Subscribed before the first read, so that no change is missed in between.
        let changes = self.source.changes(&namespace, &name);
        let source = Arc::clone(&self.source);
        let states = stream::iter([()])
            .chain(changes)
            .map(move |()| match source.flow(&namespace, &name) {
                Some(flow) => Ok(flow),
                None => Err(absent(&namespace, &name)),
            });
        let ended = self.drain.clone().cancelled_owned();
        let stream = until_error(
            changed(states)
                .take_until(ended)
                .chain(stream::iter([Err(stopping())])),
        );
        Ok(Response::new(Box::pin(stream.map(|flow| {
            flow.map(|flow| WatchFlowResponse {
                flow: Some(convert::flow(&flow)),
            })
        }))))
    }
}

/// Drops what equals the one before.
fn changed(
    states: impl Stream<Item = Result<Flow, Status>> + Send,
) -> impl Stream<Item = Result<Flow, Status>> + Send {
    states
        .scan(None::<Flow>, |before, state| {
            let same = matches!((&before, &state), (Some(before), Ok(state)) if before == state);
            *before = state.as_ref().ok().cloned();
            std::future::ready(Some((!same).then_some(state)))
        })
        .filter_map(std::future::ready)
}

/// Ends after the first error, as a call does.
fn until_error(
    states: impl Stream<Item = Result<Flow, Status>> + Send,
) -> impl Stream<Item = Result<Flow, Status>> + Send {
    states.scan(false, |failed, state| {
        let ended = std::mem::replace(failed, *failed || state.is_err());
        std::future::ready((!ended).then_some(state))
    })
}
