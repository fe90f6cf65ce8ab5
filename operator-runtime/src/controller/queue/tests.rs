//! The queue, by simulation.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::reflector::ObjectRef;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Key = ObjectRef<ConfigMap>;

fn key(namespace: u8, number: u8) -> Key {
    ObjectRef::new(&number.to_string()).within(&namespace.to_string())
}

#[test]
fn a_trigger_during_a_reconcile_causes_exactly_one_more() {
    let mut queue = Queue::new();
    let now = Instant::now();
    queue.trigger(key(0, 0));
    queue.trigger(key(0, 0));
    assert_eq!(queue.start(), Some(key(0, 0)));
    queue.trigger(key(0, 0));
    queue.trigger(key(0, 0));
    assert_eq!(queue.start(), None, "never twice at once");
    queue.finished(key(0, 0), Some(now + Duration::from_hours(1)));
    assert_eq!(queue.start(), Some(key(0, 0)));
    queue.finished(key(0, 0), None);
    assert_eq!(queue.start(), None);
    assert!(
        queue.states.is_empty() && queue.later.is_empty(),
        "nothing is kept"
    );
}

#[test]
fn an_object_is_due_at_its_time_or_when_it_is_triggered() {
    let mut queue = Queue::new();
    let now = Instant::now();
    let second = Duration::from_secs(1);
    for (number, due) in [(0, 2), (1, 1), (2, 3)] {
        queue.trigger(key(0, number));
        assert_eq!(queue.start(), Some(key(0, number)));
        queue.finished(key(0, number), Some(now + due * second));
    }
    assert_eq!(queue.next_due(), Some(now + second));
    queue.advance(now);
    assert_eq!(queue.start(), None);
    queue.advance(now + 2 * second);
    assert_eq!(queue.start(), Some(key(0, 1)));
    assert_eq!(queue.start(), Some(key(0, 0)));
    queue.trigger(key(0, 2));
    assert_eq!(queue.start(), Some(key(0, 2)), "earlier than due");
    assert_eq!(queue.next_due(), None);
}

/// A namespace with a thousand objects that always fail delays the objects of another by a few reconciles.
#[test]
fn many_failing_objects_delay_another_namespace_by_a_few_reconciles() {
    let mut queue = Queue::new();
    let now = Instant::now();
    for number in 0..=255 {
        for namespace in 0..4 {
            queue.trigger(key(namespace, number));
        }
    }
    let mut started = 0;
    queue.trigger(key(9, 0));
    loop {
        let next = queue.start().unwrap();
        started += 1;
        if next == key(9, 0) {
            break;
        }
        // Fails, and is due again at once.
        queue.finished(next, Some(now));
        queue.advance(now);
    }
    assert!(started <= 5, "{started}");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Trigger(u8, u8),
    Start,
    Finish { again_in: Option<u8> },
    Pass(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u8, 0..3_u8).prop_map(|(namespace, number)| Step::Trigger(namespace, number)),
        3 => Just(Step::Start),
        2 => proptest::option::of(0..20_u8).prop_map(|again_in| Step::Finish { again_in }),
        1 => (0..20_u8).prop_map(Step::Pass),
    ]
}

proptest! {
    /// No object runs twice at once, none that was triggered is forgotten, and nothing is idle while anything is ready.
    #[test]
    fn every_trigger_leads_to_a_reconcile(steps in vec(step(), 0..300)) {
        let mut queue = Queue::new();
        let mut now = Instant::now();
        let mut running: Vec<Key> = Vec::new();
        // Triggered, and not started since.
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        let name = |key: &Key| (key.tenant().to_owned(), key.name.clone());
        for step in steps {
            match step {
                Step::Trigger(namespace, number) => {
                    queue.trigger(key(namespace, number));
                    wanted.insert(name(&key(namespace, number)));
                }
                Step::Start => {
                    let idle = wanted.iter().all(|wanted| running.iter().any(|running| name(running) == *wanted));
                    match queue.start() {
                        Some(next) => {
                            prop_assert!(!running.contains(&next), "twice at once");
                            wanted.remove(&name(&next));
                            running.push(next);
                        }
                        None => prop_assert!(idle, "{wanted:?} wait"),
                    }
                }
                Step::Finish { again_in } => if let Some(ended) = running.pop() {
                    queue.finished(ended, again_in.map(|seconds| now + Duration::from_secs(seconds.into())));
                }
                Step::Pass(seconds) => {
                    now += Duration::from_secs(seconds.into());
                    queue.advance(now);
                    prop_assert!(queue.next_due().is_none_or(|due| due > now));
                }
            }
        }
        for ended in running {
            queue.finished(ended, None);
        }
        while let Some(next) = queue.start() {
            wanted.remove(&name(&next));
            queue.finished(next, None);
        }
        prop_assert!(wanted.is_empty(), "{wanted:?} were forgotten");
    }
}
