use futures::FutureExt;

use super::*;
use crate::peer::CertificateVerdict;
use crate::testing::tls_pgpool;

fn key(name: &str) -> ObjectRef<Pgpool> {
    ObjectRef::new(name).within("demo")
}

fn verdict(ready: bool) -> Verdict {
    Verdict {
        uid: tls_pgpool().metadata.uid.unwrap(),
        generation: 1,
        certificates: vec![CertificateVerdict {
            alias: shared_types::Alias::Server,
            fingerprint: None,
            ready,
            message: String::new(),
        }],
    }
}

/// What has been told since the last call.
fn told(changes: &mut BoxStream<'static, ObjectRef<Pgpool>>) -> Vec<String> {
    std::iter::from_fn(|| changes.next().now_or_never().flatten())
        .map(|key| key.name)
        .collect()
}

#[test]
fn tells_what_is_new_and_nothing_else() {
    let board = Board::default();
    let mut changes = board.changes();
    board.connect();
    board.put(&key("pool"), verdict(false));
    board.put(&key("pool"), verdict(false));
    assert_eq!(told(&mut changes), ["pool"]);
    board.put(&key("pool"), verdict(true));
    board.put(&key("other"), verdict(true));
    assert_eq!(told(&mut changes), ["pool", "other"]);
    board.remove(&key("other"));
    board.remove(&key("other"));
    assert_eq!(told(&mut changes), ["other"]);
    assert_eq!(board.get(&tls_pgpool()), Some(verdict(true)));
}

#[test]
fn a_cut_channel_says_nothing_and_a_new_one_repeats_silently() {
    let board = Board::default();
    let mut changes = board.changes();
    board.connect();
    board.put(&key("pool"), verdict(true));
    board.put(&key("gone"), verdict(true));
    told(&mut changes);

    board.disconnect();
    assert!(!board.connected());
    assert_eq!(board.get(&tls_pgpool()), None, "may be outdated");

    board.connect();
    assert_eq!(board.get(&tls_pgpool()), None, "not said again yet");
    board.put(&key("pool"), verdict(true));
    assert_eq!(board.get(&tls_pgpool()), Some(verdict(true)));
    assert_eq!(told(&mut changes), [""; 0], "nothing has changed");
    board.synced();
    assert_eq!(told(&mut changes), ["gone"], "left out of what is known now");
}

#[test]
fn a_verdict_on_an_earlier_pgpool_of_this_name_is_not_about_this_one() {
    let board = Board::default();
    board.connect();
    board.put(
        &key("pool"),
        Verdict {
            uid: "of the one before".to_owned(),
            ..verdict(true)
        },
    );
    assert_eq!(board.get(&tls_pgpool()), None);
}
