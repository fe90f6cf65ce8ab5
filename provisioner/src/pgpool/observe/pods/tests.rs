use super::*;
use crate::fixtures::parse;

const RUNNING: &str = "
metadata:
  name: pool-1
  namespace: demo
  uid: u1
  ownerReferences:
    - {apiVersion: apps/v1, kind: StatefulSet, name: pool, uid: s1, controller: true}
    - {apiVersion: v1, kind: ConfigMap, name: other, uid: c1}
  labels:
    app.kubernetes.io/name: pgpools.kubedb.com
    app.kubernetes.io/instance: pool
    controller-revision-hash: pool-5d4c
    team: shop
  annotations: {note: long, pgpool.kubedb.com/mounted-secrets: 3.4.5, pgpool.kubedb.com/template-base-hash: m}
  generation: 2
  creationTimestamp: '2026-11-24T10:00:00Z'
  managedFields:
    - {manager: kube-controller-manager, operation: Update, time: '2026-11-24T10:00:00Z', fieldsV1: {f:spec: {}}}
    - {manager: pgpool-provisioner, operation: Update, time: '2026-11-24T11:00:00Z', fieldsV1: {f:metadata: {}}}
    - {manager: kubelet, operation: Update, subresource: status, time: '2026-11-24T12:00:00Z', fieldsV1: {f:status: {}}}
spec:
  nodeName: n
  containers: [{name: pgpool, image: i, resources: {requests: {cpu: 2}}}]
  volumes:
    - {name: pgpool-config, projected: {sources: []}}
    - {name: certs, secret: {secretName: pool-tls-abc}}
status:
  phase: Running
  podIP: 10.1.2.3
  hostIP: 10.0.0.1
  conditions:
    - {type: PodScheduled, status: 'True'}
    - {type: Ready, status: 'True'}
    - {type: PodResizePending, status: 'True', reason: Deferred, message: no room, observedGeneration: 2}
  containerStatuses: [{name: pgpool, image: i, imageID: i, ready: true, restartCount: 0, resources: {requests: {cpu: 1}}}]
";

fn pod(yaml: &str) -> Pod {
    parse(yaml)
}

fn size(cpu: u8) -> Sizes {
    Sizes::requested(&parse(&format!(
        "containers: [{{name: pgpool, resources: {{requests: {{cpu: {cpu}}}}}}}]"
    )))
}

#[test]
fn what_a_kubelet_says_of_a_resize() {
    let said = |conditions: &str| {
        let text = format!("metadata: {{name: pool-0, generation: 3}}\nstatus: {{conditions: {conditions}}}");
        facts(&pod(&text), 0).resize.in_progress
    };
    let waits = |words: &str| Some(ResizeState::Waiting(words.to_owned()));
    let rows = [
        ("[]", None),
        ("[{type: PodResizeInProgress, status: 'True'}]", waits("")),
        ("[{type: PodResizeInProgress, status: 'False'}]", None),
        (
            "[{type: PodResizeInProgress, status: 'True', reason: Error, message: in use, observedGeneration: 3}]",
            waits("Error: in use"),
        ),
        (
            "[{type: PodResizePending, status: 'True', reason: Deferred}]",
            waits("Deferred"),
        ),
        (
            "[{type: PodResizePending, status: 'True', reason: Infeasible, observedGeneration: 3}]",
            Some(ResizeState::Infeasible),
        ),
        // What was asked for before.
        (
            "[{type: PodResizePending, status: 'True', reason: Infeasible, observedGeneration: 2}]",
            None,
        ),
    ];
    for (conditions, expected) in rows {
        assert_eq!(said(conditions), expected, "{conditions}");
    }
}

#[test]
fn a_running_pod() {
    let expected = PodFacts {
        name: "pool-1".to_owned(),
        ordinal: 1,
        uid: "u1".to_owned(),
        ip: Some([10, 1, 2, 3].into()),
        is_node_ip: false,
        running: true,
        ready: true,
        revision: Some("pool-5d4c".to_owned()),
        mounted_certificates: Some("pool-tls-abc".to_owned().into()),
        created: Some("2026-11-24T10:00:00Z".parse().unwrap()),
        unready_since: None,
        synced_versions: Some("3.4.5".to_owned()),
        synced_at: Some("2026-11-24T11:00:00Z".parse().unwrap()),
        trouble: None,
        resize: ResizeFacts {
            template_base_hash: Some("m".to_owned()),
            requested: size(2),
            allocated: size(1),
            in_progress: Some(ResizeState::Waiting("Deferred: no room".to_owned())),
            rejected: false,
        },
    };
    assert_eq!(facts(&pod(RUNNING), 1), expected);
}

#[test]
fn trimming_loses_nothing_that_is_read() {
    let whole = pod(RUNNING);
    let mut trimmed = whole.clone();
    trim(&mut trimmed);
    assert_eq!(facts(&trimmed, 1), facts(&whole, 1));
    let size = |pod: &Pod| serde_json::to_string(pod).unwrap().len();
    assert!(size(&trimmed) < size(&whole));
    assert!(!trimmed.labels().contains_key("team") && !trimmed.annotations().contains_key("note"));
    let owners: Vec<_> = trimmed
        .owner_references()
        .iter()
        .map(|it| it.kind.as_str())
        .collect();
    assert_eq!(owners, ["StatefulSet"]);
}

#[test]
fn addresses_of_the_node_and_of_pods_that_ended_are_recognized() {
    let of = |spec: &str, status: &str| {
        let text =
            format!("metadata: {{name: pool-0}}\nspec: {{containers: [], {spec}}}\nstatus: {{{status}}}");
        let mut pod = pod(&text);
        trim(&mut pod);
        let facts = facts(&pod, 0);
        (facts.is_node_ip, facts.running)
    };
    assert_eq!(
        of("", "phase: Running, podIP: 10.1.2.3, hostIP: 10.0.0.1"),
        (false, true)
    );
    assert_eq!(
        of("", "phase: Succeeded, podIP: 10.1.2.3, hostIP: 10.0.0.1"),
        (false, false)
    );
    assert_eq!(
        of("", "phase: Running, podIP: 10.0.0.1, hostIP: 10.0.0.1"),
        (true, true)
    );
    assert_eq!(
        of("hostNetwork: true", "phase: Running, podIP: 10.0.0.1"),
        (true, true)
    );
}

#[test]
fn a_pod_on_its_way_out_is_neither_ready_nor_asked() {
    let mut going = pod(RUNNING);
    going.metadata.deletion_timestamp = parse("'2027-01-01T00:00:00Z'");
    let facts = facts(&going, 1);
    assert!(!facts.ready && facts.ip.is_none());
    assert_eq!(
        facts.certificate_revision().map(CertificateRevision::secret_name),
        Some("pool-tls-abc"),
        "still mounts it"
    );
}

#[test]
fn trouble_is_told_in_words_that_do_not_change_by_themselves() {
    let state =
        |status: &str| facts(&pod(&format!("metadata: {{name: pool-0}}\nstatus: {status}")), 0).trouble;
    let container = |fields: &str| {
        state(&format!(
            "{{containerStatuses: [{{name: pgpool, image: 'pgpool2:9', imageID: '', {fields}}}]}}"
        ))
    };
    let waiting = |reason: &str| {
        container(&format!(
            "ready: false, restartCount: 0, state: {{waiting: {{reason: {reason}, message: back-off 40s}}}}"
        ))
    };
    assert_eq!(state("{}"), None);
    assert_eq!(waiting("ContainerCreating"), None);
    let expected = "container pgpool (pgpool2:9) is in CreateContainerConfigError";
    assert_eq!(waiting("CreateContainerConfigError").as_deref(), Some(expected));
    let expected = "container pgpool (pgpool2:9): its image cannot be pulled (ImagePullBackOff)";
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        assert_eq!(waiting(reason).as_deref(), Some(expected), "{reason}");
    }
    // Up and down again.
    let last = "lastState: {terminated: {reason: OOMKilled, exitCode: 137}}";
    let expected =
        "container pgpool (pgpool2:9) keeps restarting; it last ended with OOMKilled (exit code 137)";
    for now in [
        "restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}",
        "restartCount: 4, state: {running: {}}",
        "restartCount: 4, state: {terminated: {reason: OOMKilled, exitCode: 137}}",
    ] {
        let synced = container(&format!("ready: false, {now}, {last}"));
        assert_eq!(synced.as_deref(), Some(expected), "{now}");
    }
    let recovered = container(&format!(
        "ready: true, restartCount: 4, state: {{running: {{}}}}, {last}"
    ));
    assert_eq!(recovered, None);
    let scheduled = "{conditions: [{type: PodScheduled, status: 'False', message: 0/3 nodes fit}]}";
    assert_eq!(state(scheduled).as_deref(), Some("0/3 nodes fit"));
}
