//! The CAs behind issuers: watched by name while a Pgpool that has served refers to them. Only their certificates are
//! cached, never their keys.

use std::collections::BTreeMap;

use kube::ResourceExt;
use operator_runtime::Lookup;
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, is_true};

use crate::caches::Caches;
use crate::cert_manager::{self, IssuerReference};

/// The CA behind an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IssuerCa {
    /// Its Secret may not be read.
    Hidden,
    /// The certificates in its Secret in PEM, the signing one first.
    Known(Vec<u8>),
}

/// An issuer without an entry has no CA Secret, or it is not known yet.
pub(super) fn issuer_cas(caches: &Caches, pgpool: &Pgpool) -> BTreeMap<IssuerReference, IssuerCa> {
    let secrets = secrets(caches, pgpool).into_iter();
    let known = secrets.filter_map(|(issuer, (namespace, name))| {
        let ca = match caches.issuer_cas.lookup(&namespace, &name) {
            Lookup::Present(secret) => IssuerCa::Known(secret.data.as_ref()?.get("tls.crt")?.0.clone()),
            Lookup::Forbidden => IssuerCa::Hidden,
            Lookup::Pending | Lookup::Absent | Lookup::Undecodable(_) => return None,
        };
        Some((issuer, ca))
    });
    known.collect()
}

pub(super) fn secrets_to_watch(caches: &Caches, pgpool: &Pgpool) -> Vec<(String, String)> {
    let mut secrets: Vec<_> = secrets(caches, pgpool).into_values().collect();
    secrets.sort();
    secrets.dedup();
    secrets
}

/// Namespace and name of the CA Secrets. None before the Pgpool has served for the first time: its certificates were just
/// issued.
fn secrets(caches: &Caches, pgpool: &Pgpool) -> BTreeMap<IssuerReference, (String, String)> {
    let conditions = pgpool.status.as_ref().map(|status| status.conditions.as_slice());
    let has_served = conditions.is_some_and(|conditions| is_true(conditions, ConditionType::Provisioned));
    if !has_served || pgpool.spec.tls.is_none() || !pgpool.spec.ssl_mode().enabled() {
        return BTreeMap::new();
    }
    IssuerReference::all_of(pgpool)
        .filter(|issuer| issuer.group == cert_manager::GROUP)
        .filter_map(|issuer| Some((issuer.clone(), secret_of(caches, pgpool, &issuer)?)))
        .collect()
}

fn secret_of(caches: &Caches, pgpool: &Pgpool, issuer: &IssuerReference) -> Option<(String, String)> {
    let (namespace, ca) = match issuer.kind.as_str() {
        "Issuer" => {
            let namespace = pgpool.namespace()?;
            let issuer = caches.issuers.get(Some(&namespace), &issuer.name)?;
            (namespace, issuer.spec.ca.clone())
        }
        "ClusterIssuer" => {
            let issuer = caches.cluster_issuers.get(None, &issuer.name)?;
            (caches.cluster_resource_namespace.clone(), issuer.spec.ca.clone())
        }
        _ => return None,
    };
    let name = ca?.secret_name;
    (!name.is_empty()).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use shared_types::conditions::{Reason, condition};

    use super::*;
    use crate::cert_manager::{CaIssuer, ClusterIssuer};
    use crate::fixtures::world::{World, issuer};
    use crate::fixtures::{now, pgpool, pgpool_with};

    fn serving(mut pgpool: Pgpool) -> Pgpool {
        let type_ = ConditionType::Provisioned;
        let reason = Reason::DatabaseSuccessfullyProvisioned;
        let provisioned = condition(type_, true, reason, String::new(), None, now(), &[]);
        pgpool.status.get_or_insert_default().conditions = vec![provisioned];
        pgpool
    }

    #[tokio::test]
    async fn the_secret_of_a_ca_is_found_where_cert_manager_looks_for_it() {
        let ca = |name: &str| {
            Some(CaIssuer {
                secret_name: name.into(),
            })
        };
        let mut own = issuer("ca", true);
        own.spec.ca = ca("root");
        let world = World::of([], [own, issuer("vault", true)]);
        let mut of_cluster = ClusterIssuer {
            metadata: ObjectMeta {
                name: Some("ca".into()),
                ..ObjectMeta::default()
            },
            ..ClusterIssuer::default()
        };
        of_cluster.spec.ca = ca("cluster-root");
        world.cluster_issuers.apply(of_cluster);
        let rows: Vec<(Pgpool, &[(&str, &str)])> = vec![
            // Before it serves it costs nothing.
            (pgpool(), &[]),
            (serving(pgpool()), &[("demo", "root")]),
            (
                serving(pgpool_with("issuerRef: {kind: Issuer, name: vault}")),
                &[],
            ),
            (
                serving(pgpool_with(
                    "issuerRef: {apiGroup: example.org, kind: Issuer, name: ca}",
                )),
                &[],
            ),
            (
                serving(pgpool_with(
                    "certificates: [{alias: client, issuerRef: {kind: ClusterIssuer, name: ca}}]",
                )),
                &[("cert-manager", "cluster-root"), ("demo", "root")],
            ),
        ];
        for (pgpool, expected) in rows {
            let mut found: Vec<_> = secrets(&world.caches, &pgpool).into_values().collect();
            found.sort();
            let found: Vec<_> = found
                .iter()
                .map(|(namespace, name)| (namespace.as_str(), name.as_str()))
                .collect();
            assert_eq!(found, expected);
        }
    }
}
