//! A cache that is filled by hand, for tests.

use std::fmt::Debug;

use kube::Resource;
use kube::runtime::watcher;
use prometheus_client::metrics::gauge::Gauge;

use super::left_out::LeftOutObjects;
use super::{Availability, Cache, Shared};
use crate::decode::LeftOut;
use crate::readiness::Gates;

/// A cache without a watch behind it.
pub(crate) struct Detached<K>(Shared<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static;

impl<K> Detached<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    pub(crate) fn new() -> (Self, Cache<K>) {
        let gate = Gates::default().gate("none");
        let (shared, cache) = Shared::new([None], Some(gate), true, LeftOutObjects::new(Gauge::default()));
        (Self(shared), cache)
    }

    pub(crate) fn take(&self, event: watcher::Event<K>) {
        match event {
            watcher::Event::Delete(object) => self.0.deleted(object),
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => self.0.applied(object),
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    pub(crate) fn left_out(&self, left_out: LeftOut) {
        self.0.left_out(left_out);
    }

    pub(crate) fn found(&self, availability: Availability) {
        self.0.set_availability(0, None, availability, None);
    }
}
