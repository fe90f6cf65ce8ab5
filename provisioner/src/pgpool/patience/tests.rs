use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn set(bytes: &[u8]) -> Set {
    bytes
        .iter()
        .map(|byte| Some(Fingerprint::from_bytes([*byte; 32])))
        .collect()
}

#[test]
fn counts_from_the_moment_this_very_set_is_complete() {
    let patience = Patience::default();
    let key = ObjectRef::new("pool").within("demo");
    let seconds = |leaves, now| patience.complete_for(&key, Some(1), leaves, at(now)).as_secs();
    assert_eq!(seconds(None, 0), 0, "a Secret is missing");
    assert_eq!(seconds(Some(set(&[1, 2])), 5), 0, "complete just now");
    assert_eq!(seconds(Some(set(&[1, 2])), 7), 2, "still the same");
    assert_eq!(seconds(Some(set(&[1, 3])), 8), 0, "one was renewed");
    assert_eq!(seconds(None, 9), 0, "one is gone");
    assert_eq!(seconds(Some(set(&[1, 3])), 10), 0, "and back");
    assert_eq!(seconds(Some(set(&[1, 3])), 4), 0, "the clock was set back");
    assert_eq!(seconds(Some(set(&[1, 3])), 14), 4, "and forth");
    let edited = patience.complete_for(&key, Some(2), Some(set(&[1, 3])), at(15));
    assert_eq!(edited.as_secs(), 0, "the same certificates for another spec");
}
