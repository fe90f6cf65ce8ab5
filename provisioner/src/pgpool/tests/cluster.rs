//! What Kubernetes does about a workload: its controller and the kubelets, as far as it matters here.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::*;

/// Brings as many pods to the workload as its partition allows, and none but those that serve lets it go further; what
/// runs is ready.
pub(super) fn run_pods(stage: &Stage) {
    let mut workload: Value = stage.api.get(WORKLOAD).unwrap();
    let spec = workload["spec"].clone();
    let (update, replicas) = (revision(&spec["template"]), spec["replicas"].as_i64().unwrap());
    let known = workload["status"]["currentRevision"].as_str().map(str::to_owned);
    let current = known.unwrap_or_else(|| update.clone());
    let partition = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64();
    let mut updated = 0;
    for ordinal in (0..replicas).rev() {
        let path = format!("/api/v1/namespaces/demo/pods/pool-{ordinal}");
        let there: Option<Value> = stage.api.get(&path);
        let is = there
            .as_ref()
            .map(|pod| pod["metadata"]["labels"]["controller-revision-hash"].clone());
        if is.as_ref().is_some_and(|it| *it == update) {
            updated += 1;
        } else if ordinal >= partition.unwrap_or_default() || current == update {
            run(stage, &spec, ordinal, &update);
            updated += 1;
        }
        revive(stage, &path);
    }
    let done = updated == replicas;
    workload["status"] = json!({
        "replicas": replicas, "observedGeneration": workload["metadata"]["generation"],
        "currentRevision": if done { &update } else { &current }, "updateRevision": update,
    });
    stage.api.put(WORKLOAD, workload);
}

/// Whether Kubernetes has not done all that the workload asks.
pub(super) fn is_behind(stage: &Stage) -> bool {
    let Some(workload) = stage.api.get::<Value>(WORKLOAD) else {
        return false;
    };
    let status = &workload["status"];
    status["observedGeneration"] != workload["metadata"]["generation"]
        || status["currentRevision"] != status["updateRevision"]
}

/// Every pod is another one, of the present revision.
pub(super) fn restart(stage: &Stage) {
    let workload: Value = stage.api.get(WORKLOAD).unwrap();
    let update = workload["status"]["updateRevision"].as_str().unwrap();
    for ordinal in 0..workload["spec"]["replicas"].as_i64().unwrap() {
        run(stage, &workload["spec"], ordinal, update);
    }
}

fn revision(template: &Value) -> String {
    let hash = Sha256::digest(template.to_string().as_bytes());
    let hash = hash.iter().take(4).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("pool-{hash}")
}

/// A new pod. The earlier one of that name is deleted first: only then is the new one created at another time.
fn run(stage: &Stage, spec: &Value, ordinal: i64, revision: &str) {
    let template = &spec["template"];
    let volumes = template["spec"]["volumes"].clone();
    let containers = template["spec"]["containers"].clone();
    let mut labels = serde_json::to_value(names::selector_labels("pool")).unwrap();
    labels["controller-revision-hash"] = revision.into();
    let uid = format!("{revision}-{ordinal}");
    let workload: StatefulSet = stage.workload().unwrap();
    let pod = json!({
        "kind": "Pod",
        "metadata": {
            "name": format!("pool-{ordinal}"), "namespace": "demo", "labels": labels, "uid": uid,
            "annotations": template["metadata"]["annotations"].clone(),
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pool", "uid": workload.metadata.uid,
                "controller": true,
            }],
        },
        "spec": { "containers": containers, "volumes": volumes },
        "status": {
            "phase": "Running", "podIP": "10.0.0.1", "hostIP": "192.168.0.1", "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": given(&containers),
        },
    });
    if let Some(leaf) = leaf(stage, &volumes) {
        stage.prober.0.lock().unwrap().serve.insert(uid, leaf);
    }
    let path = format!("/api/v1/namespaces/demo/pods/pool-{ordinal}");
    stage.api.remove(&path);
    stage.api.put(&path, pod);
}

/// What a kubelet has given to containers: all that is asked for.
fn given(containers: &Value) -> Value {
    let given = containers.as_array().unwrap().iter().map(|container| {
        json!({
            "name": container["name"], "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "resources": container["resources"],
        })
    });
    given.collect()
}

/// The kubelet gives a pod what is asked for now.
pub(super) fn give(stage: &Stage, path: &str) {
    let mut pod: Value = stage.api.get(path).unwrap();
    pod["status"]["containerStatuses"] = given(&pod["spec"]["containers"]);
    stage.api.put(path, pod);
}

/// A pod that was not ready becomes it.
fn revive(stage: &Stage, path: &str) {
    let Some(mut pod) = stage.api.get::<Value>(path) else {
        return;
    };
    let condition = json!([{ "type": "Ready", "status": "True" }]);
    if pod["status"]["conditions"] != condition {
        pod["status"]["conditions"] = condition;
        stage.api.put(path, pod);
    }
}

/// What a pod with these volumes serves.
fn leaf(stage: &Stage, volumes: &Value) -> Option<Fingerprint> {
    let certs = volumes
        .as_array()?
        .iter()
        .find(|volume| volume["name"] == "certs")?;
    let name = certs["secret"]["secretName"].as_str()?;
    let copy: Secret = stage
        .api
        .get(&format!("/api/v1/namespaces/demo/secrets/{name}"))?;
    Some(Fingerprint::of_der(&tls_bundle::leaf_der(
        &copy.data?["tls.crt"].0,
    )?))
}
