//! Reads the flow of a Pgpool from the caches and its verdict.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::ObjectRef;
use proto::verdict::Event;
use shared_types::Pgpool;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::certificates::{observe, validate};
use crate::context::Context;
use crate::flow::{self, Flow};
use crate::grpc::flow::FlowSource;

/// How many notifications a watcher may fall behind; then it reads once for all of them.
const BACKLOG: usize = 1024;

#[derive(Clone)]
pub(crate) struct FlowReader {
    context: Arc<Context>,
    changed: broadcast::Sender<ObjectRef<Pgpool>>,
}

impl FlowReader {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            changed: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Notifies the watchers of this Pgpool that one of its objects has changed.
    pub(crate) fn notify(&self, pgpool: &ObjectRef<Pgpool>) {
        // An error means that there is no watcher.
        let _ = self.changed.send(pgpool.clone());
    }
}

impl FlowSource for FlowReader {
    fn flow(&self, namespace: &str, name: &str) -> Option<Flow> {
        let caches = &self.context.caches;
        let pgpool = caches.pgpools.get(Some(namespace), name)?;
        let observed = observe::observe(caches, &pgpool);
        let validated = validate::validate(&pgpool, &observed, &self.context.cluster_domain);
        let verdict = self.context.verdicts.get(namespace, name);
        Some(flow::flow(
            &pgpool,
            &observed,
            validated.as_ref(),
            verdict.as_deref(),
        ))
    }

    fn changes(&self, namespace: &str, name: &str) -> Pin<Box<dyn Stream<Item = ()> + Send>> {
        let key = ObjectRef::<Pgpool>::new(name).within(namespace);
        let changed_verdict = {
            let key = key.clone();
            let is_ours = move |namespace: &str, name: &str| {
                key.name == name && key.namespace.as_deref() == Some(namespace)
            };
            let changes = self.context.verdicts.subscribe().changes;
            BroadcastStream::new(changes).map(move |event| match event {
                Ok(Event::Verdict(verdict)) => is_ours(&verdict.pgpool.namespace, &verdict.pgpool.name),
                Ok(Event::Removed(id)) => is_ours(&id.namespace, &id.name),
                Ok(Event::Synced | Event::Unknown) => false,
                Err(_) => true,
            })
        };
        let changed_object =
            BroadcastStream::new(self.changed.subscribe()).map(move |changed| match changed {
                Ok(changed) => changed.name == key.name && changed.namespace == key.namespace,
                Err(_) => true,
            });
        let changes = stream::select(changed_verdict, changed_object);
        Box::pin(changes.filter_map(|is_ours| std::future::ready(is_ours.then_some(()))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::fixtures::world::{World, issuer};
    use crate::fixtures::{named, pgpool};

    #[tokio::test]
    async fn flows_are_read_from_the_caches_and_watchers_are_notified() {
        let world = World::of([pgpool()], [issuer("ca", true)]);
        let flows = FlowReader::new(Arc::new(world.context_without_api()));
        assert_eq!(flows.flow("demo", "other"), None);
        let flow = flows.flow("demo", "pool").unwrap();
        assert!(
            flow.waiting_for()
                .starts_with("the provisioner to start on Pgpool demo/pool"),
            "{flow:#?}"
        );

        let mut changes = flows.changes("demo", "pool");
        flows.notify(&ObjectRef::from_obj(&named(pgpool(), "other")));
        assert_eq!(changes.next().now_or_never(), None);
        flows.notify(&ObjectRef::from_obj(&pgpool()));
        assert_eq!(changes.next().now_or_never(), Some(Some(())));
        world.provision(&pgpool());
        assert_ne!(flows.flow("demo", "pool"), Some(flow));
    }
}
