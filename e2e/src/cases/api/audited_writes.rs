//! What the operators write in a namespace, from the audit log of its API server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use local_cluster::{audit, wait};

use crate::case::shared_fixtures::OperatorPair;
use crate::namespace::rbac::service_account;
use crate::namespace::{SOON, TestNamespace};

const IDLE: Duration = Duration::from_secs(10);

/// How long nothing has been written when all is done. Pods, which others make, may take some seconds.
const CALM: Duration = Duration::from_secs(6);

/// The writes of both operators in one namespace.
pub(crate) struct Writes {
    log: PathBuf,
    namespace: String,
}

impl Writes {
    /// Those of a pair that works beside a control plane.
    pub(crate) fn of(pair: &OperatorPair, ns: &TestNamespace) -> Self {
        Self {
            log: pair.plane().audit_log(),
            namespace: ns.name().to_owned(),
        }
    }

    pub(crate) fn since(&self, since: Timestamp) -> anyhow::Result<Vec<String>> {
        let users = [service_account("provisioner"), service_account("ops-manager")];
        let entries = audit::read(&self.log, since, Timestamp::MAX)?
            .into_iter()
            .filter(|entry| {
                let here = entry
                    .object_ref
                    .as_ref()
                    .is_some_and(|object| object.namespace == self.namespace);
                entry.is_write() && here && users.contains(&entry.user.username)
            });
        Ok(entries
            .map(|entry| format!("{} {} by {}", entry.verb, entry.uri, entry.user.username))
            .collect())
    }

    /// Waits until all is written that had to be.
    pub(crate) async fn over(&self) -> anyhow::Result<()> {
        wait::until("all writes are done", SOON, async || {
            let recent = self.since(now() - jiff::SignedDuration::try_from(CALM)?)?;
            ensure!(recent.is_empty(), "{recent:?}");
            Ok(())
        })
        .await
    }

    /// Fails when anything is written from now on.
    pub(crate) async fn none(&self) -> anyhow::Result<()> {
        let done = now();
        wait::throughout("nothing is written", IDLE, async || {
            let more = self.since(done)?;
            ensure!(more.is_empty(), "{more:?}");
            Ok(())
        })
        .await
    }
}

/// The time, by the clock that also stamps the audit log.
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::MAX)
}
