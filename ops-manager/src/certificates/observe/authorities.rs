//! The CAs behind issuers: watched by name, while a Pgpool that serves already refers to them. Nothing of their Secrets is
//! kept but the certificate.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Lookup;
use shared_types::conditions::{ConditionType, is_true};
use shared_types::{Alias, Pgpool};

use super::issuer_reference;
use crate::cert_manager::{self, IssuerReference};
use crate::certificates::caches::Caches;

/// What is known of the CA behind an issuer. One that is not listed is none, or not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// There is one, and its Secret may not be read.
    Hidden,
    /// The certificates in its Secret, that which signs first, in PEM.
    Known(Vec<u8>),
}

/// The CAs behind the issuers of a Pgpool.
pub(super) fn authorities(caches: &Caches, pgpool: &Pgpool) -> BTreeMap<IssuerReference, Authority> {
    let known = secrets(caches, pgpool)
        .into_iter()
        .filter_map(|(issuer, (namespace, name))| {
            let authority = match caches.authorities.lookup(&namespace, &name) {
                Lookup::Present(secret) => Authority::Known(secret.data.as_ref()?.get("tls.crt")?.0.clone()),
                Lookup::Forbidden => Authority::Hidden,
                Lookup::Pending | Lookup::Absent => return None,
            };
            Some((issuer, authority))
        });
    known.collect()
}

/// Watches their Secrets. Before a Pgpool has served for the first time its certificates are as new as can be.
pub(super) fn follow(caches: &Caches, pgpool: &Pgpool) {
    let mut followed: Vec<_> = secrets(caches, pgpool).into_values().collect();
    followed.sort();
    followed.dedup();
    caches.authorities.follow(&ObjectRef::from_obj(pgpool), &followed);
}

/// Keeps the certificate, and by no means the key.
pub(crate) fn trim(secret: &mut Secret) {
    secret.metadata.annotations = None;
    secret.metadata.labels = None;
    secret.metadata.owner_references = None;
    if let Some(data) = &mut secret.data {
        data.retain(|key, _| key == "tls.crt");
    }
}

/// Where the CAs behind the issuers of a Pgpool stand: namespace and name.
fn secrets(caches: &Caches, pgpool: &Pgpool) -> BTreeMap<IssuerReference, (String, String)> {
    let conditions = pgpool.status.as_ref().map(|status| status.conditions.as_slice());
    let serves = conditions.is_some_and(|conditions| is_true(conditions, ConditionType::Provisioned));
    let wanted = serves && pgpool.spec.tls.is_some() && pgpool.spec.ssl_mode().enabled();
    let aliases = Alias::ALL.iter().filter(|_| wanted);
    let issuers = aliases.filter_map(|alias| issuer_reference(pgpool, *alias));
    let issuers = issuers.filter(|issuer| issuer.group == cert_manager::GROUP);
    issuers
        .filter_map(|issuer| Some((issuer.clone(), caches.secret_of(pgpool, &issuer)?)))
        .collect()
}

impl Caches {
    fn secret_of(&self, pgpool: &Pgpool, issuer: &IssuerReference) -> Option<(String, String)> {
        let (namespace, ca) = match issuer.kind.as_str() {
            "Issuer" => {
                let namespace = pgpool.namespace()?;
                let issuer = self.issuers.get(Some(&namespace), &issuer.name)?;
                (namespace, issuer.spec.ca.clone())
            }
            "ClusterIssuer" => {
                let issuer = self.cluster_issuers.get(None, &issuer.name)?;
                (self.cluster_resource_namespace.clone(), issuer.spec.ca.clone())
            }
            _ => return None,
        };
        Some((namespace, ca?.secret_name)).filter(|(_, name)| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;
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

    #[test]
    fn the_key_of_a_ca_is_never_kept() {
        let entries = ["tls.crt", "tls.key", "ca.crt", "anything"];
        let data = entries.map(|key| (key.to_owned(), ByteString::default()));
        let mut secret = Secret {
            data: Some(BTreeMap::from(data)),
            ..Secret::default()
        };
        trim(&mut secret);
        assert_eq!(secret.data.unwrap().into_keys().collect::<Vec<_>>(), ["tls.crt"]);
    }
}
