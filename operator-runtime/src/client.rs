//! The client of the API server that every part of a process uses: it counts requests and is fenced.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::ClientBuilder;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::{Layer, Service};

use crate::args::KubeArgs;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::retry_after;

/// How long the API server may take for one request. Shorter than the renew deadline of the lease, so that
/// no write is in flight when the lease is lost.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `--kubeconfig` cannot be used.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] KubeconfigError),
    /// Neither a service account nor a kubeconfig was found.
    #[error("no configuration of a cluster was found")]
    Infer(#[from] InferConfigError),
    /// The configuration does not make a client.
    #[error("the configuration of the cluster is invalid")]
    Build(#[from] kube::Error),
}

/// How to reach the API server.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    fence: Fence,
    metrics: Metrics,
}

/// Never shows the configuration: it holds credentials.
impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// Reads the configuration of the cluster.
    pub(crate) async fn load(args: &KubeArgs, fence: &Fence, metrics: &Metrics) -> Result<Self, ClientError> {
        let config = match &args.kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path)?;
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
            }
            None => Config::infer().await?,
        };
        Ok(Self::new(config, fence, metrics))
    }

    fn new(mut config: Config, fence: &Fence, metrics: &Metrics) -> Self {
        // It would repeat requests below the fence, where they are not counted, up to 15 times.
        config.default_retry = false;
        Self {
            config,
            fence: fence.clone(),
            metrics: metrics.clone(),
        }
    }

    /// Returns the namespace of this process.
    pub(crate) fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// Builds a client with connections of its own, which belong to the async runtime that this is called on.
    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        let builder = ClientBuilder::try_from(self.config.clone())?
            .with_layer(&Counting(self.metrics.clone()))
            .with_layer(&self.fence);
        Ok(builder.build())
    }
}

/// Counts requests by method and status code, and reads when to ask again.
#[derive(Clone, Debug)]
struct Counting(Metrics);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            metrics: self.0.clone(),
        }
    }
}

#[derive(Clone, Debug)]
struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B, A> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    A: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = label(request.method());
        let metrics = self.metrics.clone();
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await;
            if let Ok(response) = &response {
                retry_after::read(response);
            }
            // 0: there was no response.
            metrics.requested(
                method,
                response.as_ref().map_or(0, |response| response.status().as_u16()),
            );
            response
        })
    }
}

fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests;
