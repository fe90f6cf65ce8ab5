//! Metrics of certificates: their validity, their planned renewal, and open circuits.
//!
//! They are read from the caches at each scrape. So they are correct while no reconcile succeeds, and on a standby; alerts
//! do not depend on a working leader.
//!
//! These are the only metrics with names of objects: four for each certificate, three certificates for each Pgpool with
//! TLS.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::Lookup;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use shared_types::{Alias, Pgpool, names};
use tls_bundle::Leaf;

use crate::caches::Caches;

pub(crate) struct Metrics {
    caches: Caches,
    leaves: Mutex<Leaves>,
}

/// The leaf certificates as of the last scrape, by namespace and name of their Secret, with its UID and resource version: they
/// are parsed once for each version.
type Leaves = HashMap<(String, String), (Version, Option<Leaf>)>;

type Version = (Option<String>, Option<String>);

struct Certificate {
    namespace: String,
    pgpool: String,
    alias: Alias,
    leaf: Option<Leaf>,
    renewal: Option<Timestamp>,
    stopped: bool,
}

struct Metric {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: fn(&Certificate) -> Option<i64>,
}

const METRICS: [Metric; 4] = [
    Metric {
        name: "pgpool_certificate_not_after_timestamp",
        help: "Expiration time of the certificate in the Secret",
        unit: Some(Unit::Seconds),
        value: |certificate| Some(certificate.leaf.as_ref()?.not_after.as_second()),
    },
    Metric {
        name: "pgpool_certificate_not_before_timestamp",
        help: "Start of the validity of the certificate in the Secret",
        unit: Some(Unit::Seconds),
        value: |certificate| Some(certificate.leaf.as_ref()?.not_before.as_second()),
    },
    Metric {
        name: "pgpool_certificate_renewal_timestamp",
        help: "When cert-manager plans to renew the certificate",
        unit: Some(Unit::Seconds),
        value: |certificate| Some(certificate.renewal?.as_second()),
    },
    Metric {
        name: "pgpool_certificate_circuit_open",
        help: "1 while the certificate is not requested because it changed too often",
        unit: None,
        value: |certificate| certificate.stopped.then_some(1),
    },
];

impl Metrics {
    pub(crate) fn new(caches: Caches) -> Self {
        Self {
            caches,
            leaves: Mutex::default(),
        }
    }

    fn read(&self) -> Vec<Certificate> {
        let mut known = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        let pgpools = self.caches.pgpools.list();
        let secured = pgpools
            .iter()
            .filter(|pgpool| pgpool.spec.tls.is_some() && pgpool.spec.ssl_mode().enabled());
        secured
            .flat_map(|pgpool| Alias::ALL.map(|alias| (pgpool, alias)))
            .map(|(pgpool, alias)| self.certificate(pgpool, alias, &before, &mut known))
            .collect()
    }

    fn certificate(&self, pgpool: &Pgpool, alias: Alias, before: &Leaves, known: &mut Leaves) -> Certificate {
        let namespace = pgpool.namespace().unwrap_or_default();
        let secret = self
            .caches
            .secret(pgpool, &names::certificate_secret(pgpool, alias));
        let leaf = match &secret {
            Lookup::Present(secret) => leaf(secret, before, known),
            _ => None,
        };
        let certificate = names::certificate(pgpool, alias);
        let certificate = self.caches.certificates.get(Some(&namespace), &certificate);
        let status = certificate
            .as_ref()
            .and_then(|certificate| certificate.status.as_ref());
        let entries = pgpool.status.iter().flat_map(|status| &status.certificates);
        let changes = entries
            .filter(|entry| entry.alias == alias)
            .find_map(|entry| entry.changes.as_ref());
        Certificate {
            alias,
            leaf,
            renewal: status.and_then(|status| Some(status.renewal_time.as_ref()?.0)),
            stopped: changes.is_some_and(|changes| changes.stopped.is_some()),
            pgpool: pgpool.name_any(),
            namespace,
        }
    }
}

/// The leaf certificate of a Secret, parsed only if this version of the Secret was not before.
fn leaf(secret: &Secret, before: &Leaves, known: &mut Leaves) -> Option<Leaf> {
    let key = (secret.namespace().unwrap_or_default(), secret.name_any());
    let version = (secret.uid(), secret.resource_version());
    let leaf = match before.get(&key) {
        Some((parsed, leaf)) if *parsed == version && version.1.is_some() => leaf.clone(),
        _ => {
            let pem = secret.data.as_ref().and_then(|data| data.get("tls.crt"));
            pem.and_then(|pem| tls_bundle::leaf(&pem.0))
        }
    };
    known.insert(key, (version, leaf.clone()));
    leaf
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let certificates = self.read();
        for metric in METRICS {
            let mut family = encoder.encode_descriptor(
                metric.name,
                metric.help,
                metric.unit.as_ref(),
                MetricType::Gauge,
            )?;
            for certificate in &certificates {
                let Some(value) = (metric.value)(certificate) else {
                    continue;
                };
                let labels = [
                    ("namespace", certificate.namespace.as_str()),
                    ("pgpool", certificate.pgpool.as_str()),
                    ("alias", certificate.alias.as_str()),
                ];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// Does not show the caches: some hold Secrets.
impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use operator_runtime::metrics::SharedRegistry;
    use serde_json::json;

    use super::*;
    use crate::cert_manager::CertificateStatus;
    use crate::fixtures::world::{World, issuer};
    use crate::fixtures::{at, change_certificate, issued, pgpool};

    fn scraped(world: &World) -> Vec<String> {
        let registry = SharedRegistry::default();
        registry.with(|to| to.register_collector(Box::new(Metrics::new(world.caches.clone()))));
        let text = registry.encode().unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn alerts_use_metrics_that_exist() {
        let rules = include_str!("../../charts/ops-manager/templates/_alerts.tpl");
        let words = rules.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        let used: Vec<_> = words
            .filter(|word| word.starts_with("pgpool_certificate_"))
            .collect();
        for word in &used {
            let known = METRICS.iter().any(|metric| {
                let unit = metric.unit.as_ref().map_or("", |_| "_seconds");
                *word == format!("{}{unit}", metric.name)
            });
            assert!(known, "{word}");
        }
        let all = METRICS
            .iter()
            .filter(|metric| used.iter().any(|word| word.starts_with(metric.name)));
        assert_eq!(all.count(), METRICS.len(), "and every metric is used");
    }

    #[tokio::test]
    async fn a_scrape_reads_the_caches_without_a_reconcile() {
        let mut pool = pgpool();
        let mut observed = issued(&pool);
        change_certificate(&mut observed, Alias::Server, |certificate| {
            certificate.status = Some(CertificateStatus {
                renewal_time: Some(Time(at("2026-09-01T08:00:00Z"))),
                ..CertificateStatus::default()
            });
        });
        let world = World::of([pool.clone()], [issuer("ca", true)]);
        assert_eq!(
            scraped(&world),
            Vec::<String>::new(),
            "what does not exist has no value"
        );
        for child in observed.children.values() {
            world
                .certificates
                .apply(child.certificate.as_deref().unwrap().clone());
        }
        let Lookup::Present(secret) = &observed.children[&Alias::Server].secret else {
            panic!("it is issued")
        };
        world.secrets.apply(secret.as_ref().clone());
        let labels = r#"{namespace="demo",pgpool="pool",alias="server"}"#;
        let times = [
            format!("pgpool_certificate_not_after_timestamp_seconds{labels} 1798761600"),
            format!("pgpool_certificate_not_before_timestamp_seconds{labels} 1767225600"),
            format!("pgpool_certificate_renewal_timestamp_seconds{labels} 1788249600"),
        ];
        assert_eq!(scraped(&world), times);

        pool.status = Some(
            serde_json::from_value(json!({"certificates": [{
                "alias": "server", "ready": false,
                "changes": {"since": "2026-06-01T12:00:00Z", "issued": 31, "stopped": "2026-06-01T12:10:00Z"},
            }]}))
            .unwrap(),
        );
        world.pgpools.apply(pool.clone());
        let stopped = format!("pgpool_certificate_circuit_open{labels} 1");
        assert_eq!(scraped(&world).last(), Some(&stopped));

        pool.spec.tls = None;
        pool.spec.ssl_mode = None;
        world.pgpools.apply(pool);
        assert_eq!(
            scraped(&world),
            Vec::<String>::new(),
            "without TLS there are no metrics"
        );
    }
}
