use super::*;

#[test]
fn go_durations_are_read_as_go_reads_them() {
    let cases = [
        ("0", Some(Duration::ZERO)),
        ("2160h", Some(Duration::from_hours(2160))),
        ("360h0m0s", Some(Duration::from_hours(360))),
        ("1h30m", Some(Duration::from_mins(90))),
        ("+1.5s", Some(Duration::from_millis(1500))),
        (".5m", Some(Duration::from_secs(30))),
        ("1.h", Some(Duration::from_hours(1))),
        ("5ms7\u{b5}s2ns", Some(Duration::from_nanos(5_007_002))),
        ("7\u{3bc}s", Some(Duration::from_micros(7))),
        ("", None),
        ("15", None),
        ("h", None),
        (".h", None),
        ("90d", None),
        ("-1h", None),
        ("1h 30m", None),
        ("1e3s", None),
    ];
    for (text, expected) in cases {
        assert_eq!(GoDuration(text.to_owned()).length(), expected, "{text:?}");
    }
}
