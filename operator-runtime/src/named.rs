//! Objects watched one by one, by name, while someone refers to them.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use serde::de::DeserializeOwned;

use crate::runtime::Runtime;

/// What is known about an object that someone refers to.
#[derive(Clone, Debug)]
pub enum Lookup<K> {
    /// Not looked at yet; the referrer is triggered when it is.
    Pending,
    /// There is none.
    Absent,
    /// We may not see it.
    Forbidden,
    /// There it is.
    Present(Arc<K>),
}

/// Objects of kind `K` that objects of kind `R` refer to.
#[derive(Debug)]
pub struct Named<K, R>(std::marker::PhantomData<(K, R)>);

impl<K, R> Clone for Named<K, R> {
    fn clone(&self) -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<K, R> Named<K, R>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    /// Starts the supervisor of the watches.
    pub fn new(runtime: &mut Runtime, trim: fn(&mut K)) -> Self {
        let _ = (runtime, trim);
        Self(std::marker::PhantomData)
    }

    /// Replaces what `who` refers to: `(namespace, name)`. An empty slice forgets the referrer.
    pub fn follow(&self, who: &ObjectRef<R>, what: &[(String, String)]) {
        let _ = (who, what);
    }

    /// Returns what is known about an object.
    #[must_use]
    pub fn lookup(&self, namespace: &str, name: &str) -> Lookup<K> {
        let _ = (namespace, name);
        Lookup::Pending
    }

    /// Returns the referrers whose objects change. One stream per controller.
    #[must_use]
    pub fn changes(&self) -> Referrers<R> {
        Referrers(std::marker::PhantomData)
    }
}

/// Referrers of objects that changed.
#[derive(Debug)]
pub struct Referrers<R>(std::marker::PhantomData<R>);

impl<R: Resource<DynamicType = ()>> Stream for Referrers<R> {
    type Item = ObjectRef<R>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<ObjectRef<R>>> {
        Poll::Pending
    }
}
