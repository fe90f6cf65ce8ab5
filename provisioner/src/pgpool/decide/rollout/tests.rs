use super::*;
use crate::fixtures::parse;

fn workload(generation: i64, observed: i64, current: &str, update: &str) -> StatefulSet {
    parse(&format!(
        "
metadata: {{name: pool, generation: {generation}}}
spec:
  selector: {{}}
  serviceName: pool-pods
  template:
    spec:
      containers: []
      volumes: [{{name: certs, secret: {{secretName: pool-tls-b}}}}]
status: {{replicas: 2, observedGeneration: {observed}, currentRevision: {current}, updateRevision: {update}}}
"
    ))
}

fn pods(revisions: &[&str]) -> Vec<PodFacts> {
    let pod = |(ordinal, revision): (usize, &&str)| PodFacts {
        ordinal: i32::try_from(ordinal).unwrap(),
        revision: Some((*revision).to_owned()),
        ..PodFacts::default()
    };
    revisions.iter().enumerate().map(pod).collect()
}

#[test]
fn how_far_the_pods_are() {
    let rows = vec![
        (
            "change not observed_status",
            workload(2, 1, "a", "a"),
            pods(&["a", "a"]),
            Rollout::Unobserved,
        ),
        (
            "nothing made yet",
            workload(1, 1, "a", "a"),
            pods(&[]),
            Rollout::Settled,
        ),
        (
            "all of one revision",
            workload(1, 1, "a", "a"),
            pods(&["a", "a"]),
            Rollout::Settled,
        ),
        (
            "none replaced",
            workload(2, 2, "a", "b"),
            pods(&["a", "a"]),
            Rollout::Replacing { updated: 0 },
        ),
        (
            "one replaced",
            workload(2, 2, "a", "b"),
            pods(&["a", "b"]),
            Rollout::Replacing { updated: 1 },
        ),
        (
            "all replaced",
            workload(2, 2, "a", "b"),
            pods(&["b", "b"]),
            Rollout::Settled,
        ),
        (
            "one too many",
            workload(2, 2, "a", "a"),
            pods(&["a", "a", "a"]),
            Rollout::Replacing { updated: 3 },
        ),
    ];
    for (what, workload, pods, expected) in rows {
        assert_eq!(rollout(Some(&workload), &pods, 2), expected, "{what}");
    }
    assert_eq!(rollout(None, &pods(&["a"]), 2), Rollout::Absent);
    let fresh = StatefulSet {
        status: None,
        ..workload(1, 0, "a", "a")
    };
    assert_eq!(rollout(Some(&fresh), &[], 2), Rollout::Unobserved);
}

#[test]
fn an_earlier_revision_may_return_until_the_update_is_declared_complete() {
    assert!(!earlier_revision_may_return(&workload(2, 2, "b", "b")));
    assert!(
        earlier_revision_may_return(&workload(2, 2, "a", "b")),
        "one pod may still come from a"
    );
    assert!(
        earlier_revision_may_return(&workload(3, 2, "b", "b")),
        "a change is on its way"
    );
    assert!(earlier_revision_may_return(&StatefulSet {
        status: None,
        ..workload(1, 1, "a", "a")
    }));
}

#[test]
fn the_certificates_are_those_of_the_template() {
    assert_eq!(
        CertificateRevision::of_workload(&workload(1, 1, "a", "a")),
        Some("pool-tls-b".to_owned().into())
    );
    assert_eq!(CertificateRevision::of_workload(&StatefulSet::default()), None);
}
