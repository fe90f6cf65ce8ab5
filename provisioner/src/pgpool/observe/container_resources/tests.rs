use super::*;
use crate::fixtures::parse;

fn asked(resources: &str) -> Sizes {
    let pod: PodSpec = parse(&format!(
        "containers: [{{name: pgpool, resources: {resources}}}, {{name: log}}]"
    ));
    Sizes::requested(&pod)
}

#[test]
fn the_way_names_what_changes_and_nothing_is_taken_away() {
    let from = asked("{requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 512Mi}}");
    let rows = [
        (
            "more",
            "{requests: {cpu: 60m, memory: 64Mi}, limits: {memory: 1Gi}}",
            Some(json!([{ "name": "pgpool", "resources": {
                "limits": { "memory": "1Gi" }, "requests": { "cpu": "60m", "memory": "64Mi" },
            } }])),
        ),
        (
            "the same in other words",
            "{requests: {cpu: 0.05, memory: 65536Ki}, limits: {memory: 0.5Gi}}",
            Some(json!([])),
        ),
        (
            "another limit",
            "{requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 1, memory: 512Mi}}",
            Some(json!([{ "name": "pgpool", "resources": {
                "limits": { "cpu": "1", "memory": "512Mi" }, "requests": { "cpu": "50m", "memory": "64Mi" },
            } }])),
        ),
        ("no limit any more", "{requests: {cpu: 50m, memory: 64Mi}}", None),
        (
            "no request any more",
            "{limits: {memory: 512Mi}, requests: {memory: 64Mi}}",
            None,
        ),
    ];
    for (what, next, way) in rows {
        assert_eq!(from.way_to(&asked(next)), way, "{what}");
    }
    assert_eq!(Sizes::default().way_to(&from), None, "the container is not there");
}

#[test]
fn what_a_kubelet_has_given_is_compared_by_value() {
    let next = asked("{limits: {cpu: 1, memory: 1Gi}}");
    let given = |resources: &str| {
        let status: PodStatus = parse(&format!(
            "containerStatuses:\n- {{name: pgpool, image: i, imageID: i, ready: true, restartCount: 0, resources: {resources}}}\n- {{name: log, image: i, imageID: i, ready: true, restartCount: 0}}"
        ));
        Sizes::allocated(&status)
    };
    let all = "{limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: 1, memory: 1Gi}}";
    assert!(given(all).cover(&next));
    assert!(!given("{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1, memory: 64Mi}}").cover(&next));
    assert!(!given("{}").cover(&next));
    assert!(!Sizes::default().cover(&next));
}

#[test]
fn what_cannot_be_resized_stays_in_the_mould() {
    let mut resources: ResourceRequirements =
        parse("{limits: {memory: 1Gi}, requests: {cpu: 1, ephemeral-storage: 1Gi}}");
    leave_out(&mut resources);
    let left: ResourceRequirements = parse("{requests: {ephemeral-storage: 1Gi}}");
    assert_eq!(resources, left);
}
