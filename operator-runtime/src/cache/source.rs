//! The one place through which every watched object comes in, by a list or by a watch event, and is reduced
//! to what decisions need before it is kept.

use futures::{Stream, TryStreamExt};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::Serialize;
use shared_types::json_size;

use crate::decode::{LeftOut, Received, Undecodable};
use crate::kind::Kind;
use crate::panics;

/// kubectl keeps a copy of what it applied in this annotation, as large as the object itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Drops from an object of one kind what no decision needs. There is one such function per kind.
pub type Reduce<K> = fn(&mut K);

/// An object, reduced, or what is known of one that could not be decoded.
pub(crate) type Incoming<K> = Result<Weighed<K>, LeftOut>;

/// A reduced object with its size as JSON.
pub(crate) struct Weighed<K> {
    pub(crate) object: K,
    pub(crate) bytes: usize,
}

/// Lists and watches a kind. Every object is decoded by itself, and reduced before it is returned.
#[expect(
    clippy::result_large_err,
    reason = "the error holds metadata, so it is about as large as the object"
)]
pub(crate) fn events<K>(
    api: Api<Received<K>>,
    config: watcher::Config,
    reduce: Reduce<K>,
) -> impl Stream<Item = watcher::Result<Event<Incoming<K>>>> + use<K>
where
    K: Kind,
{
    let incoming = move |object: Received<K>| contained(object.into_result()?, reduce);
    watcher(api, config).map_ok(move |event| match event {
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(incoming(object)),
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(incoming(object)),
        Event::Delete(object) => Event::Delete(incoming(object)),
    })
}

/// Reduces an object; one with which that ends in a panic is left out, as one that cannot be decoded.
#[expect(
    clippy::result_large_err,
    reason = "the error holds metadata, so it is about as large as the object"
)]
fn contained<K: Resource + Serialize>(object: K, reduce: Reduce<K>) -> Incoming<K> {
    let left_out = LeftOut::new(object.meta(), Undecodable::unknown());
    let weighed = || {
        let object = reduced(object, reduce);
        let bytes = json_size(&object);
        Weighed { object, bytes }
    };
    panics::contained(weighed).ok_or(left_out)
}

/// Applies what is dropped from every kind, and what is dropped from this one.
pub(super) fn reduced<K: Resource>(mut object: K, reduce: Reduce<K>) -> K {
    reduce(&mut object);
    let meta = object.meta_mut();
    // An entry without a manager was put there by `reduce`: see `keep_last_change`.
    meta.managed_fields = meta.managed_fields.take().and_then(|mut fields| {
        fields.retain(|entry| entry.manager.is_none());
        (!fields.is_empty()).then_some(fields)
    });
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
    object
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    #[test]
    fn an_object_that_makes_its_reduction_panic_is_left_out() {
        let object = ConfigMap {
            metadata: ObjectMeta {
                name: Some("bad".to_owned()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        let panics = |object: &mut ConfigMap| assert!(object.data.is_some(), "on purpose");
        let left_out = contained(object.clone(), panics).err().unwrap();
        assert_eq!(left_out.identity.name.as_deref(), Some("bad"));
        assert_eq!(contained(object.clone(), |_| {}).ok().unwrap().object, object);
    }
}
