//! What each manifest of `KubeDB`'s documentation must lead to, by its place there, and each sample of our own with the
//! same fields: the tables in `fixtures/manifests.yaml`. Pure.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

const TABLES: &str = include_str!("../../../fixtures/manifests.yaml");

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Expectation {
    /// A Pgpool that becomes ready, and of which these facts hold.
    Ready(Vec<Fact>),
    /// A Pgpool that waits, with all these words in the message of one condition, and of which these facts hold.
    Waiting(Vec<String>, Vec<Fact>),
    /// A Pgpool that becomes ready on a node whose taint it tolerates.
    ReadyOnTainted,
    /// A Pgpool that waits as above while every node has a taint.
    WaitingOnTainted(Vec<String>),
    /// Something that other manifests refer to: it is accepted, and the others show whether it works.
    Referred,
    /// A request for the Pgpool of another manifest. It succeeds once that is ready, at this place among the requests for
    /// it, and these facts hold then.
    Successful(String, u8, Vec<Fact>),
    /// A kind that these operators do not serve: it is not applied.
    NotServed,
}

impl Expectation {
    /// It is about a Pgpool, whose state is followed.
    pub(crate) fn is_pool(&self) -> bool {
        self.needs_taint() || matches!(self, Self::Ready(_) | Self::Waiting(..))
    }

    pub(crate) fn needs_taint(&self) -> bool {
        matches!(self, Self::ReadyOnTainted | Self::WaitingOnTainted(_))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fact {
    /// Its `pgpool.conf` has the setting once, with this value.
    Setting(String, String),
    Pods(usize),
    Containers(Vec<String>),
    AllReady,
    /// Container `pgpool` has this value at a path.
    Pgpool(String, String),
    /// The spec of its pods has this value at a path.
    Pod(String, String),
    Users(Vec<String>),
    /// The service account of the user is as the user made it.
    ServiceAccount(String),
    /// Its metrics Service has the annotations that make Prometheus scrape port 9719.
    ScrapeAnnotations,
    /// It has the Service for metrics, and the `ServiceMonitor` where the cluster serves that kind.
    ServiceMonitor,
    /// Its server certificate has these names, and others.
    CertificateNames(Vec<String>),
    /// psql gets a row with the client certificate of the pool and without a password.
    CertificateLogin,
    SecretKey(String, String),
    /// A Job runs the script of a repository, fetched with these arguments among others.
    GitSync(Vec<String>),
}

/// Expectations by the path of a manifest below `docs/examples/pgpool`, without ending, or by the name of a sample.
pub(crate) type Table = BTreeMap<String, Expectation>;

#[derive(Deserialize)]
struct Tables {
    examples: Table,
    samples: Table,
}

fn tables() -> anyhow::Result<Tables> {
    // YAML writes enums as tags, which people find hard to read; JSON writes them as maps.
    let value: serde_json::Value = serde_yaml::from_str(TABLES)?;
    serde_json::from_value(value).context("reading fixtures/manifests.yaml")
}

pub(crate) fn examples() -> anyhow::Result<Table> {
    Ok(tables()?.examples)
}

/// Our own samples of the same fields, by the names of the Pgpools.
pub(crate) fn samples() -> anyhow::Result<Table> {
    Ok(tables()?.samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_for_a_pool_that_becomes_ready() {
        let examples = examples().unwrap();
        assert_eq!(examples.len(), 45);
        assert!(!samples().unwrap().is_empty());
        for (name, expectation) in &examples {
            if let Expectation::Successful(pool, ..) = expectation {
                assert!(matches!(examples[pool], Expectation::Ready(_)), "{name}");
            }
        }
    }
}
