use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn open_and_closed() {
    // 2026-11-24 is a Tuesday.
    let rows = [
        ("Tue 02:00-05:00", "2026-11-24T02:00:00Z", true),
        ("Tue 02:00-05:00", "2026-11-24T01:59:59Z", false),
        ("Tue 02:00-05:00", "2026-11-24T05:00:00Z", false),
        ("Wed 02:00-05:00", "2026-11-24T03:00:00Z", false),
        ("Mon-Fri 02:00-05:00", "2026-11-24T03:00:00Z", true),
        ("Sat-Mon 02:00-05:00", "2026-11-24T03:00:00Z", false),
        ("Sat-Tue 02:00-05:00", "2026-11-24T03:00:00Z", true),
        ("sat,tue 02:00-05:00", "2026-11-24T03:00:00Z", true),
        ("daily 02:00-05:00", "2026-11-24T03:00:00Z", true),
        ("Sun 02:00-03:00; Tue 04:00-05:00", "2026-11-24T04:30:00Z", true),
        ("Mon 23:00-04:00", "2026-11-24T03:59:00Z", true),
        ("Mon 23:00-04:00", "2026-11-24T23:30:00Z", false),
        ("Tue 00:00-24:00", "2026-11-24T23:59:59Z", true),
        ("Tue 00:00-24:00", "2026-11-25T00:00:00Z", false),
        ("Tue 03:00-05:00 Europe/Berlin", "2026-11-24T02:30:00Z", true),
        ("Tue 03:00-05:00 Europe/Berlin", "2026-11-24T04:30:00Z", false),
        // In summer the clock is two hours ahead.
        ("Tue 03:00-05:00 Europe/Berlin", "2026-07-21T01:30:00Z", true),
    ];
    for (window, now, open) in rows {
        let window: Window = window.parse().unwrap();
        assert_eq!(window.is_open(at(now)), open, "{window} at {now}");
    }
}

#[test]
fn the_next_time() {
    let rows = [
        ("Tue 02:00-05:00", "2026-11-24T01:00:00Z", "2026-11-24T02:00:00Z"),
        ("Tue 02:00-05:00", "2026-11-24T02:00:00Z", "2026-12-01T02:00:00Z"),
        (
            "Sun 02:00-05:00; Sat 23:00-23:30",
            "2026-11-24T02:00:00Z",
            "2026-11-28T23:00:00Z",
        ),
        (
            "daily 03:00-05:00 Europe/Berlin",
            "2026-11-24T12:00:00Z",
            "2026-11-25T02:00:00Z",
        ),
        // The hour from two to three is left out that night.
        (
            "Sun 02:30-05:00 Europe/Berlin",
            "2027-03-27T12:00:00Z",
            "2027-03-28T01:30:00Z",
        ),
    ];
    for (window, now, expected) in rows {
        let window: Window = window.parse().unwrap();
        assert_eq!(window.opens(at(now)), Some(at(expected)), "{window} at {now}");
    }
}

#[test]
fn what_is_no_window_says_why() {
    let rows = [
        ("", "form"),
        ("02:00-05:00", "form"),
        ("Sat 02:00", "form"),
        ("Sat 02:00-05:00 Europe/Berlin now", "form"),
        ("Caturday 02:00-05:00", "\"Caturday\" is not a day"),
        ("Mon-Freitag 02:00-05:00", "\"Freitag\" is not a day"),
        ("Sat 2-5", "\"2\" is not a time"),
        ("Sat 02:00-25:00", "\"25:00\" is not a time"),
        (
            "Sat 02:00-05:00 Atlantis",
            "\"Atlantis\" is not a known time zone",
        ),
        ("Sat 02:00-05:00; nonsense", "form"),
    ];
    for (text, part) in rows {
        let error = text.parse::<Window>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}
