use futures::FutureExt;

use super::*;

/// Takes places until none is left for the group.
fn take_all(share: &FairShare<&'static str>, group: &'static str) -> Vec<Permit<&'static str>> {
    std::iter::from_fn(|| share.try_acquire(group)).collect()
}

#[test]
fn greedy_groups_leave_a_place_for_the_next_group() {
    let share = FairShare::new(64);
    let mut held = Vec::new();
    let mut counts = Vec::new();
    for group in ["a", "b", "c"] {
        let places = take_all(&share, group);
        counts.push(places.len());
        held.extend(places);
    }
    assert_eq!(counts, [32, 16, 8]);
    let mut more = ["d", "e", "f", "g"].map(|group| share.try_acquire(group));
    assert!(more.iter_mut().all(|place| place.take().is_some()));
}

#[test]
fn as_many_groups_as_places_get_one_each() {
    let share = FairShare::new(3);
    let held = ["a", "b", "c"].map(|group| share.try_acquire(group).unwrap());
    assert!(share.try_acquire("d").is_none());
    drop(held);
    assert!(share.try_acquire("d").is_some());
}

#[tokio::test]
async fn groups_that_wait_take_turns() {
    let share = FairShare::new(1);
    let first = share.acquire("a").await;
    let mut waits: Vec<_> = ["a", "a", "a", "b", "c"]
        .map(|group| (group, Box::pin(share.acquire(group))))
        .into();
    for (_, wait) in &mut waits {
        assert!(wait.now_or_never().is_none());
    }
    let mut order = Vec::new();
    let mut current = first;
    while !waits.is_empty() {
        drop(current);
        let served = waits
            .iter_mut()
            .enumerate()
            .find_map(|(at, (group, wait))| Some((at, *group, wait.now_or_never()?)));
        let (at, group, permit) = served.unwrap();
        order.push(group);
        current = permit;
        drop(waits.remove(at));
    }
    assert_eq!(order, ["a", "b", "c", "a", "a"]);
}

#[tokio::test]
async fn whoever_stops_waiting_loses_no_place() {
    let share = FairShare::new(1);
    let first = share.acquire("a").await;
    let mut abandoned: Vec<_> = (0..1000).map(|_| Box::pin(share.acquire("b"))).collect();
    for wait in &mut abandoned {
        assert!(wait.now_or_never().is_none());
    }
    let mut last = Box::pin(share.acquire("c"));
    assert!((&mut last).now_or_never().is_none());
    abandoned.truncate(1);
    drop(first);
    // Granted, and dropped before it was received.
    drop(abandoned);
    assert!((&mut last).now_or_never().is_some());
}

#[tokio::test]
async fn nothing_is_kept_of_groups_that_are_done() {
    let share = FairShare::new(2);
    for round in 0..100 {
        let permit = share.acquire(round).await;
        let mut wait = Box::pin(share.acquire(round));
        let _ = (&mut wait).now_or_never();
        drop(wait);
        drop(permit);
    }
    let state = share.lock();
    assert_eq!(
        (
            state.free,
            state.held.len(),
            state.waiting.len(),
            state.turns.len()
        ),
        (2, 0, 0, 0)
    );
}
