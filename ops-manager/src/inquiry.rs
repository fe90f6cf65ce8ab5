//! Answers where a Pgpool stands, from the caches and the verdicts. Reads only.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::ObjectRef;
use proto::verdict::Event;
use shared_types::Pgpool;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::certificates::caches::Caches;
use crate::certificates::observe;
use crate::certificates::validate;
use crate::flow::{self, Flow};
use crate::grpc::flow::FlowSource;
use crate::verdicts::VerdictStore;

/// How many Pgpools a listener may fall behind before it looks again without knowing why.
const BACKLOG: usize = 1024;

/// Where questions about the flow are answered.
#[derive(Clone)]
pub(crate) struct Inquiry {
    caches: Caches,
    verdicts: Arc<VerdictStore>,
    cluster_domain: String,
    touched: broadcast::Sender<ObjectRef<Pgpool>>,
}

impl Inquiry {
    /// Answers from these caches and this verdicts.
    pub(crate) fn new(caches: Caches, verdicts: Arc<VerdictStore>, cluster_domain: String) -> Self {
        Self {
            caches,
            verdicts,
            cluster_domain,
            touched: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Tells those who watch this Pgpool that something about it has changed.
    pub(crate) fn touch(&self, pgpool: &ObjectRef<Pgpool>) {
        // Mostly nobody watches.
        let _ = self.touched.send(pgpool.clone());
    }
}

impl FlowSource for Inquiry {
    fn flow(&self, namespace: &str, name: &str) -> Option<Flow> {
        let pgpool = self.caches.pgpools.get(Some(namespace), name)?;
        let observed = observe::observe(&self.caches, &pgpool);
        let plan = validate::validate(&pgpool, &observed, &self.cluster_domain);
        Some(flow::flow(
            &pgpool,
            &observed,
            &plan,
            self.verdicts.get(namespace, name).as_deref(),
        ))
    }

    fn changes(&self, namespace: &str, name: &str) -> Pin<Box<dyn Stream<Item = ()> + Send>> {
        let key = (namespace.to_owned(), name.to_owned());
        let ours = move |namespace: &str, name: &str| (namespace, name) == (key.0.as_str(), key.1.as_str());
        let judged = {
            let ours = ours.clone();
            BroadcastStream::new(self.verdicts.subscribe().changes).map(move |event| match event {
                Ok(Event::Verdict(verdict)) => ours(&verdict.pgpool.namespace, &verdict.pgpool.name),
                Ok(Event::Removed(id)) => ours(&id.namespace, &id.name),
                Ok(Event::Synced | Event::Unknown) => false,
                Err(_) => true,
            })
        };
        let touched = BroadcastStream::new(self.touched.subscribe()).map(move |touched| match touched {
            Ok(touched) => ours(touched.namespace.as_deref().unwrap_or_default(), &touched.name),
            Err(_) => true,
        });
        let changes = stream::select(judged, touched);
        Box::pin(changes.filter_map(|ours| std::future::ready(ours.then_some(()))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::fixtures::world::{World, issuer};
    use crate::fixtures::{DOMAIN, named, pgpool};

    #[tokio::test]
    async fn answers_come_from_the_caches_and_touches_wake_their_watchers() {
        let world = World::of([pgpool()], [issuer("ca", true)]);
        let inquiry = Inquiry::new(world.caches.clone(), Arc::default(), DOMAIN.into());
        assert_eq!(inquiry.flow("demo", "other"), None);
        let flow = inquiry.flow("demo", "pool").unwrap();
        assert!(
            flow.waiting_for()
                .starts_with("the provisioner to see Pgpool demo/pool"),
            "{flow:#?}"
        );

        let mut changes = inquiry.changes("demo", "pool");
        inquiry.touch(&ObjectRef::from_obj(&named(pgpool(), "other")));
        assert_eq!(changes.next().now_or_never(), None);
        inquiry.touch(&ObjectRef::from_obj(&pgpool()));
        assert_eq!(changes.next().now_or_never(), Some(Some(())));
        world.provision(&pgpool());
        assert_ne!(inquiry.flow("demo", "pool"), Some(flow));
    }
}
