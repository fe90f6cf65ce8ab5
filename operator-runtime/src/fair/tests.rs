//! Turns, by simulation.

use k8s_openapi::api::core::v1::ConfigMap;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Key = ObjectRef<ConfigMap>;

fn key(namespace: usize, number: usize) -> Key {
    ObjectRef::new(&number.to_string()).within(&namespace.to_string())
}

#[test]
fn an_item_waits_for_at_most_one_of_each_other_namespace() {
    let mut lanes = Lanes::default();
    for number in 0..1000 {
        for namespace in 0..3 {
            lanes.push(key(namespace, number));
        }
    }
    // Some turns pass before the item comes.
    for _ in 0..100 {
        let served: Key = lanes.pop(usize::MAX).unwrap();
        lanes.done(served.tenant());
    }
    lanes.push(key(9, 0));
    let mut before = 0;
    while let Some(served) = lanes.pop(usize::MAX) {
        lanes.done(served.tenant());
        if served == key(9, 0) {
            break;
        }
        before += 1;
    }
    assert!(before <= 3, "{before}");
}

#[test]
fn a_namespace_with_nothing_in_progress_goes_first() {
    let mut lanes = Lanes::default();
    for number in 0..10 {
        lanes.push(key(0, number));
    }
    for _ in 0..4 {
        lanes.pop(usize::MAX).unwrap();
    }
    lanes.push(key(1, 0));
    lanes.push(key(1, 1));
    let next: Vec<_> = std::iter::from_fn(|| lanes.pop(usize::MAX)).take(3).collect();
    assert_eq!(next, [key(1, 0), key(1, 1), key(0, 4)]);
}

#[test]
fn no_namespace_has_more_than_its_share_in_progress() {
    let mut lanes = Lanes::default();
    for number in 0..3 {
        lanes.push(key(0, number));
    }
    assert_eq!(lanes.pop(2), Some(key(0, 0)));
    assert_eq!(lanes.pop(2), Some(key(0, 1)));
    assert_eq!(lanes.pop(2), None);
    lanes.push(key(1, 0));
    assert_eq!(lanes.pop(2), Some(key(1, 0)));
    lanes.done("0");
    assert_eq!(lanes.pop(2), Some(key(0, 2)));
    for namespace in ["0", "0", "1"] {
        lanes.done(namespace);
    }
    assert_eq!(lanes.known_namespaces(), 0, "nothing is kept of what is gone");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    Pop,
    Done,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_usize).prop_map(Step::Push),
        Just(Step::Pop),
        Just(Step::Done)
    ]
}

proptest! {
    /// Nothing is lost or served twice, items of a namespace keep their order, the next is always of a namespace
    /// with the fewest in progress, and something is served as long as anything waits.
    #[test]
    fn turns_are_fair_and_complete(steps in vec(step(), 0..200)) {
        let mut lanes = Lanes::default();
        let mut waiting: [Vec<Key>; 4] = Default::default();
        let mut running: Vec<Key> = Vec::new();
        let mut pushed = 0;
        for step in steps {
            match step {
                Step::Push(namespace) => {
                    pushed += 1;
                    lanes.push(key(namespace, pushed));
                    waiting[namespace].push(key(namespace, pushed));
                }
                Step::Pop => {
                    let busy = |namespace: usize| running.iter().filter(|key| key.tenant() == namespace.to_string()).count();
                    let fewest = (0..4).filter(|namespace| !waiting[*namespace].is_empty()).map(busy).min();
                    let served = lanes.pop(usize::MAX);
                    prop_assert_eq!(served.is_some(), fewest.is_some());
                    if let Some(served) = served {
                        let namespace: usize = served.tenant().parse().unwrap();
                        prop_assert_eq!(Some(busy(namespace)), fewest);
                        prop_assert_eq!(&waiting[namespace].remove(0), &served);
                        running.push(served);
                    }
                }
                Step::Done => if let Some(ended) = running.pop() {
                    lanes.done(ended.tenant());
                }
            }
            prop_assert_eq!(lanes.is_empty(), waiting.iter().all(Vec::is_empty));
        }
        while lanes.pop(usize::MAX).is_some() {}
        prop_assert!(lanes.known_namespaces() <= 4);
    }
}
