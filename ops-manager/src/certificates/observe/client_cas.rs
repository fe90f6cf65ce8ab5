//! Who else has certificates of the CAs that the clients of a Pgpool come from.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Lookup;
use shared_types::certificates::{LOGINS, logs_in_by_certificate};
use shared_types::{Alias, Pgpool};
use tls_bundle::KeyId;

use super::Child;
use crate::ca_index::CaUse;
use crate::caches::Caches;

/// Empty unless clients log in by certificate. Registers the CAs, so that a change of their use is a trigger.
pub(super) fn client_cas(
    caches: &Caches,
    pgpool: &Pgpool,
    children: &BTreeMap<Alias, Child>,
) -> BTreeMap<Alias, CaUse> {
    let key = ObjectRef::from_obj(pgpool);
    if !logs_in_by_certificate(pgpool) {
        caches.ca_index.trust(&key, &BTreeSet::new());
        return BTreeMap::new();
    }
    let cas = LOGINS.map(|alias| (alias, children.get(&alias).map(ca_keys).unwrap_or_default()));
    let all = cas.iter().flat_map(|(_, keys)| keys).copied().collect();
    // Before the question: a change after it is not missed.
    caches.ca_index.trust(&key, &all);
    let namespace = pgpool.namespace().unwrap_or_default();
    let use_of = |keys| {
        caches
            .ca_index
            .use_of(&namespace, keys, || with_certificates(caches))
    };
    cas.iter().map(|(alias, keys)| (*alias, use_of(keys))).collect()
}

/// Of every CA in `ca.crt`: clients of all of them are let in.
fn ca_keys(child: &Child) -> BTreeSet<KeyId> {
    let Lookup::Present(secret) = &child.secret else {
        return BTreeSet::new();
    };
    let ca = secret.data.as_ref().and_then(|data| data.get("ca.crt"));
    ca.into_iter().flat_map(|ca| tls_bundle::ca_keys(&ca.0)).collect()
}

fn with_certificates(caches: &Caches) -> Vec<ObjectRef<Pgpool>> {
    let all = caches.pgpools.list();
    let with = all.iter().filter(|pgpool| {
        pgpool.spec.tls.is_some()
            && pgpool.spec.ssl_mode().enabled()
            && pgpool.metadata.deletion_timestamp.is_none()
    });
    with.map(|pgpool| ObjectRef::from_obj(pgpool.as_ref())).collect()
}
