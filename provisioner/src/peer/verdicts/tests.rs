use futures::FutureExt;

use super::*;
use crate::fixtures::{certificate_verdict, tls_pgpool, verdict_on};

fn key(name: &str) -> ObjectRef<Pgpool> {
    ObjectRef::new(name).within("demo")
}

fn verdict(ready: bool) -> Arc<Verdict> {
    let server = certificate_verdict(shared_types::Alias::Server, None, ready, "");
    Arc::new(verdict_on(&tls_pgpool(), 1, vec![server]))
}

/// The `Pgpool`s that were woken since the last call.
fn woken(changes: &mut BoxStream<'static, ObjectRef<Pgpool>>) -> Vec<String> {
    std::iter::from_fn(|| changes.next().now_or_never().flatten())
        .map(|key| key.name)
        .collect()
}

#[test]
fn only_a_changed_verdict_wakes_its_pgpool() {
    let board = Board::default();
    let mut changes = board.changes();
    board.connect();
    board.put(&key("pool"), verdict(false));
    board.put(&key("pool"), verdict(false));
    assert_eq!(woken(&mut changes), ["pool"]);
    board.put(&key("pool"), verdict(true));
    board.put(&key("other"), verdict(true));
    assert_eq!(woken(&mut changes), ["pool", "other"]);
    board.remove(&key("other"));
    board.remove(&key("other"));
    assert_eq!(woken(&mut changes), ["other"]);
    assert_eq!(board.get(&tls_pgpool()), Some(verdict(true)));
}

#[test]
fn a_cut_channel_has_no_verdicts_and_a_new_one_repeats_them_silently() {
    let board = Board::default();
    let mut changes = board.changes();
    board.connect();
    board.put(&key("pool"), verdict(true));
    board.put(&key("gone"), verdict(true));
    woken(&mut changes);

    board.disconnect();
    assert!(!board.connected());
    assert_eq!(board.get(&tls_pgpool()), None, "may be outdated");

    board.connect();
    assert_eq!(board.get(&tls_pgpool()), None, "not repeated yet");
    board.put(&key("pool"), verdict(true));
    assert_eq!(board.get(&tls_pgpool()), Some(verdict(true)));
    assert_eq!(woken(&mut changes), [""; 0], "nothing has changed");
    board.synced();
    assert_eq!(woken(&mut changes), ["gone"], "not repeated");
}

#[test]
fn a_verdict_on_an_earlier_pgpool_with_this_name_is_ignored() {
    let board = Board::default();
    board.connect();
    let mut of_an_earlier = Verdict::clone(&verdict(true));
    of_an_earlier.pgpool.uid = "of the one before".to_owned();
    board.put(&key("pool"), Arc::new(of_an_earlier));
    assert_eq!(board.get(&tls_pgpool()), None);
}
