use operator_runtime::metrics::SharedRegistry;

use super::*;

#[test]
fn a_rotation_is_measured_once_and_from_its_beginning() {
    let registry = SharedRegistry::default();
    let memory = Memory::new(Metrics::register(&registry));
    let key = |name: &str| ObjectRef::new(name).within("demo");
    let note = |name: &str, rotation, mismatches, second| {
        let now = Timestamp::from_second(second).unwrap();
        memory.record_rotation(&key(name), rotation, mismatches, now);
    };
    let underway = |copy: &str| Rotation::InProgress(copy.to_owned());
    note("a", Rotation::Done, 0, 5);
    note("a", underway("x"), 1, 10);
    note("b", Rotation::Proving, 2, 11);
    note("a", underway("x"), 1, 12);
    let shows = |line: &str| {
        let text = registry.encode().unwrap();
        assert!(text.contains(line), "{line} is not in\n{text}");
    };
    shows("pgpool_served_fingerprint_mismatches 3");
    shows("pgpool_rotation_duration_seconds_count 0");
    note("a", Rotation::Proving, 0, 20);
    for _ in 0..2 {
        note("a", Rotation::Done, 0, 22);
    }
    shows("pgpool_rotation_duration_seconds_sum 12.0");
    shows("pgpool_rotation_duration_seconds_count 1");
    // Overtaken by the next: measured from there.
    note("a", underway("y"), 0, 30);
    note("a", underway("z"), 0, 40);
    note("a", Rotation::Done, 0, 45);
    shows("pgpool_rotation_duration_seconds_sum 17.0");
    memory.remove(&key("b"));
    shows("pgpool_served_fingerprint_mismatches 0");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn set(bytes: &[u8]) -> Vec<Option<Fingerprint>> {
    bytes
        .iter()
        .map(|byte| Some(Fingerprint::from_bytes([*byte; 32])))
        .collect()
}

#[test]
fn counts_from_the_moment_this_very_set_is_complete() {
    let mut memory = PoolMemory::default();
    let mut seconds = |leaves, now| memory.complete_for(Some(1), leaves, at(now)).as_secs();
    assert_eq!(seconds(None, 0), 0, "a Secret is missing");
    assert_eq!(seconds(Some(set(&[1, 2])), 5), 0, "complete just now");
    assert_eq!(seconds(Some(set(&[1, 2])), 7), 2, "still the same");
    assert_eq!(seconds(Some(set(&[1, 3])), 8), 0, "one was renewed");
    assert_eq!(seconds(None, 9), 0, "one is gone");
    assert_eq!(seconds(Some(set(&[1, 3])), 10), 0, "and back");
    assert_eq!(seconds(Some(set(&[1, 3])), 4), 0, "the clock was set back");
    assert_eq!(seconds(Some(set(&[1, 3])), 14), 4, "and forth");
    let edited = memory.complete_for(Some(2), Some(set(&[1, 3])), at(15));
    assert_eq!(edited.as_secs(), 0, "the same certificates for another spec");
}
