//! Which pods are synced, by their age, their note and the history of the Secrets.

use serde_json::json;

use super::*;

fn secret(version: &str, changed: Option<&str>) -> Secret {
    let mut secret = json!({ "metadata": {
        "resourceVersion": version, "creationTimestamp": "2026-11-24T10:00:00Z",
        "managedFields": [{ "time": "2026-11-24T10:00:00Z" }],
    }});
    if let Some(changed) = changed {
        secret["metadata"]["managedFields"][0]["time"] = changed.into();
    }
    serde_json::from_value(secret).unwrap()
}

fn delivered(users_changed: Option<&str>) -> MountedSecrets {
    MountedSecrets {
        config: Some(secret("11", None)),
        pcp: Some(secret("12", None)),
        users: Some(secret("13", users_changed)),
    }
}

fn pod(created: &str, synced_versions: Option<&str>) -> PodFacts {
    PodFacts {
        ip: Some([10, 0, 0, 1].into()),
        created: Some(created.parse().unwrap()),
        synced_versions: synced_versions.map(str::to_owned),
        ..PodFacts::default()
    }
}

#[test]
fn a_pod_is_told_once_of_what_changed_since_it_started() {
    let (old, young) = ("2026-11-24T10:00:10Z", "2026-11-24T11:00:10Z");
    let changed = Some("2026-11-24T11:00:00Z");
    let rows = [
        ("nothing ever changed", None, pod(old, None), false),
        ("changed under it", changed, pod(old, None), true),
        ("started with it", changed, pod(young, None), false),
        (
            "started with it, or not",
            changed,
            pod("2026-11-24T11:00:02Z", None),
            true,
        ),
        ("has been synced", changed, pod(old, Some("11.12.13")), false),
        (
            "was synced of an earlier change",
            changed,
            pod(old, Some("11.12.10")),
            true,
        ),
        (
            "was synced, and is young",
            None,
            pod(young, Some("11.12.10")),
            true,
        ),
        (
            "of unknown age",
            changed,
            PodFacts {
                created: None,
                ..pod(old, None)
            },
            true,
        ),
        (
            "not running",
            changed,
            PodFacts {
                ip: None,
                ..pod(old, None)
            },
            false,
        ),
    ];
    for (what, changed, pod, synced) in rows {
        let outdated = delivered(changed).outdated(std::slice::from_ref(&pod)).len();
        assert_eq!(outdated == 1, synced, "{what}");
    }
}

#[test]
fn without_one_of_the_secrets_there_is_nothing_to_tell() {
    let changed = Some("2026-11-24T11:00:00Z");
    let delivered = MountedSecrets {
        pcp: None,
        ..delivered(changed)
    };
    assert_eq!(delivered.versions(), None);
    assert!(
        delivered
            .outdated(&[pod("2026-11-24T10:00:10Z", None)])
            .is_empty()
    );
}

#[test]
fn a_pod_that_was_told_is_given_time_to_read() {
    let now: Timestamp = "2026-11-24T11:00:00Z".parse().unwrap();
    let rows = [
        ("never synced", None, false, None),
        ("synced in this very pass", None, true, Some(5)),
        (
            "synced a moment ago",
            Some("2026-11-24T10:59:58Z"),
            false,
            Some(3),
        ),
        (
            "synced long enough ago",
            Some("2026-11-24T10:59:55Z"),
            false,
            None,
        ),
        (
            "by a clock a little ahead",
            Some("2026-11-24T11:00:02Z"),
            false,
            Some(7),
        ),
        (
            "by a clock that is wrong",
            Some("2026-11-24T11:30:00Z"),
            false,
            None,
        ),
    ];
    for (what, synced_at, synced, left) in rows {
        let pods = [
            pod("2026-11-24T10:00:10Z", None),
            PodFacts {
                synced_at: synced_at.map(|time| time.parse().unwrap()),
                ..pod("2026-11-24T10:00:10Z", Some("11.12.13"))
            },
        ];
        assert_eq!(
            reading_time_left(&pods, synced, now),
            left.map(Duration::from_secs),
            "{what}"
        );
    }
}

#[test]
fn times_at_both_ends_of_the_calendar_are_only_times() {
    for time in [Timestamp::MIN, Timestamp::MAX] {
        for now in [
            Timestamp::MIN,
            Timestamp::MAX,
            "2026-11-24T11:00:00Z".parse().unwrap(),
        ] {
            let pod = PodFacts {
                created: Some(now),
                synced_at: Some(time),
                ..pod("2026-11-24T10:00:10Z", None)
            };
            let left = reading_time_left(std::slice::from_ref(&pod), false, now);
            assert_eq!(left.is_some(), time == now, "{time} {now}");
            let written = delivered(Some("9999-12-30T22:00:00Z"));
            assert_eq!(written.outdated(&[pod]).len(), 1, "{now}");
        }
    }
}
