//! The requests that leadership needs, each with a deadline.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client};
use serde_json::json;

use super::LeaseConfig;
use crate::clock;
use crate::decode::Received;

/// The requests about one Lease.
#[derive(Clone, Debug)]
pub(super) struct LeaseApi {
    api: Api<Received<Lease>>,
    config: LeaseConfig,
}

/// Why a request on the Lease failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaseError {
    /// Another process wrote the Lease meanwhile.
    #[error("the lease changed meanwhile")]
    Conflict,
    /// There is no Lease.
    #[error("there is no lease")]
    Missing,
    /// No response in time.
    #[error("no response in time")]
    Timeout,
    /// Anything else.
    #[error("{}", crate::error_chain(.0.as_ref()))]
    Api(#[source] Box<kube::Error>),
}

impl LeaseApi {
    pub(super) fn new(client: Client, config: LeaseConfig) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            config,
        }
    }

    pub(super) fn config(&self) -> &LeaseConfig {
        &self.config
    }

    pub(super) fn watched(&self) -> Api<Received<Lease>> {
        self.api.clone()
    }

    /// Sends a request with a whole Lease.
    async fn send(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Received<Lease>, kube::Error> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.api.clone().into_client().request(request).await
    }

    /// How long one request may take, so that several fit before the deadline.
    fn timeout(&self) -> Duration {
        self.config.renew.checked_div(4).unwrap_or_default()
    }

    async fn answered(
        &self,
        request: impl Future<Output = Result<Received<Lease>, kube::Error>>,
    ) -> Result<Lease, LeaseError> {
        let request = async { request.await?.decoded() };
        match tokio::time::timeout(self.timeout(), request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(LeaseError::Conflict),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(LeaseError::Missing),
            Ok(Err(error)) => Err(LeaseError::Api(Box::new(error))),
            Err(_) => Err(LeaseError::Timeout),
        }
    }

    fn post(&self) -> PostParams {
        PostParams {
            field_manager: Some(self.config.field_manager.clone()),
            ..PostParams::default()
        }
    }

    /// Writes this process into the Lease, or into a new one.
    pub(super) async fn take(&self, known: Option<&Lease>) -> Result<Lease, LeaseError> {
        let spec = self.claimed(known.and_then(|lease| lease.spec.as_ref()));
        if let Some(known) = known {
            // The metadata carries the resource version this is based on.
            let mut lease = known.clone();
            lease.metadata.managed_fields = None;
            lease.spec = Some(spec);
            return self
                .answered(self.send(Request::new(self.api.resource_url()).replace(
                    &self.config.name,
                    &self.post(),
                    json(&lease),
                )))
                .await;
        }
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.config.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        };
        self.answered(self.send(Request::new(self.api.resource_url()).create(&self.post(), json(&lease))))
            .await
    }

    fn claimed(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(clock::now());
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: Some(whole_seconds(self.config.duration)),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions.saturating_add(1)),
            ..LeaseSpec::default()
        }
    }

    /// Renews the Lease.
    pub(super) async fn renew(&self, held: &Lease) -> Result<Lease, LeaseError> {
        self.patch(held, json!({ "renewTime": MicroTime(clock::now()) }))
            .await
    }

    /// Removes the holder from the Lease.
    pub(super) async fn release(&self, held: &Lease) -> Result<Lease, LeaseError> {
        self.patch(
            held,
            json!({ "holderIdentity": null, "renewTime": MicroTime(clock::now()) }),
        )
        .await
    }

    async fn patch(&self, held: &Lease, spec: serde_json::Value) -> Result<Lease, LeaseError> {
        let patch = Patch::Merge(json!({
            "metadata": { "resourceVersion": held.metadata.resource_version },
            "spec": spec,
        }));
        let params = PatchParams {
            field_manager: Some(self.config.field_manager.clone()),
            ..PatchParams::default()
        };
        self.answered(self.api.patch(&self.config.name, &params, &patch))
            .await
    }

    /// Reads the Lease; `None` when there is none.
    pub(super) async fn read(&self) -> Result<Option<Lease>, LeaseError> {
        match self.answered(self.api.get(&self.config.name)).await {
            Ok(lease) => Ok(Some(lease)),
            Err(LeaseError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Returns who holds a Lease, if anyone.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// A Lease holds only strings, numbers and timestamps, so serializing it cannot fail.
fn json(lease: &Lease) -> Vec<u8> {
    serde_json::to_vec(lease).unwrap_or_default()
}

/// Rounds up: a standby must not wait for less than the leader relies on.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}
