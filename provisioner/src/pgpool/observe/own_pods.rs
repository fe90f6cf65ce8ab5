//! The pods of a `Pgpool`: those that its StatefulSet controls. A name and labels do not make a pod one of them.
//!
//! An owner reference can be forged by whoever may create pods in the namespace. That gives them nothing: they can mount every
//! Secret of the namespace anyway, the password that a probe would send among them.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Claim;
use operator_runtime::claim::controller;
use shared_types::{Pgpool, names};

use super::certificate_revision::CertificateRevision;
use super::foreign_pod::ForeignPod;
use super::pods::{self, PodFacts};
use crate::context::Context;

#[cfg(test)]
mod tests;

/// Pgpool has room for so many pods; a pod beyond was made by nobody.
const MOST_REPLICAS: i32 = 9;

/// The pods with the names and labels of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolPods {
    /// In the order of their ordinals.
    pub(crate) own: Vec<PodFacts>,
    pub(crate) foreign: Vec<ForeignPod>,
}

/// Finds the pods by their names: a search through all pods would grow with the cluster.
pub(crate) fn pool_pods(pgpool: &Pgpool, context: &Context) -> PoolPods {
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), pgpool.name_any());
    let key = ObjectRef::from_obj(pgpool);
    let pending = &context.memory.pending;
    let stateful_set = context.caches.stateful_sets.get(Some(&namespace), &name);
    let stateful_set = pending.current(&key, &name, stateful_set);
    let mut pods = PoolPods::default();
    for ordinal in 0..MOST_REPLICAS {
        let pod_name = format!("{name}-{ordinal}");
        let cached = context.caches.pods.get(Some(&namespace), &pod_name);
        let Some(pod) = pending.current(&key, &pod_name, cached) else {
            continue;
        };
        if pod.labels().get(names::LABEL_INSTANCE) != Some(&name) {
            continue;
        }
        match foreign(&pod, pgpool, stateful_set.as_deref()) {
            None => pods.own.push(pods::facts(&pod, ordinal)),
            Some(foreign) => pods.foreign.push(foreign),
        }
    }
    let uids: Vec<_> = pods.own.iter().map(|pod| pod.uid.as_str()).collect();
    let rejected = context.memory.with(&key, |pool| pool.rejected_resizes(&uids));
    for pod in &mut pods.own {
        pod.resize.rejected = rejected.contains(&pod.uid);
    }
    pods
}

/// Why a pod does not belong to the pool; `None` when it does.
fn foreign(pod: &Pod, pgpool: &Pgpool, stateful_set: Option<&StatefulSet>) -> Option<ForeignPod> {
    let owned = stateful_set.filter(|set| Claim::of(pgpool).controls(&set.metadata));
    let controller = controller(&pod.metadata);
    let is_own = owned.zip(controller).is_some_and(|(set, controller)| {
        controller.kind == "StatefulSet" && Some(&controller.uid) == set.metadata.uid.as_ref()
    });
    let described = || match controller {
        None => "nothing".to_owned(),
        Some(it) => format!("{} {} with the UID {}", it.kind, it.name, it.uid),
    };
    (!is_own).then(|| ForeignPod {
        name: pod.name_any(),
        controller: owned.map(|_| described()),
        mounted_certificates: pod.spec.as_ref().and_then(CertificateRevision::of_pod),
    })
}
