//! An API server of a few lines: it stores what is applied, feeds the caches, counts what is sent, and can fail at a
//! chosen write. It knows neither schemas nor rights.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::client::Body;
use operator_runtime::Demand;
use operator_runtime::testing::TestCache;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_types::{AppBinding, Pgpool, PgpoolVersion, names};

use crate::pgpool::caches::Caches;
use crate::prometheus::ServiceMonitor;

/// Everything that is stored, by path.
#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    /// Method and path of every request that is no watch.
    log: Vec<String>,
    versions: u64,
    /// Writes that still succeed; every later one fails.
    budget: Option<usize>,
    /// No pod can be resized.
    fixed_sizes: bool,
    /// Objects that the caches have not been told of, while they lag behind.
    held: Option<Vec<(Value, bool)>>,
    /// When pods are annotated, if not as long ago as everything else.
    clock: Option<String>,
}

/// The server, and the caches that follow it.
pub struct FakeApi {
    state: Mutex<State>,
    pub pgpools: TestCache<Pgpool>,
    pub versions: TestCache<PgpoolVersion>,
    pub app_bindings: TestCache<AppBinding>,
    pub secrets: TestCache<Secret>,
    pub services: TestCache<Service>,
    pub service_accounts: TestCache<ServiceAccount>,
    pub stateful_sets: TestCache<StatefulSet>,
    pub budgets: TestCache<PodDisruptionBudget>,
    pub pods: TestCache<Pod>,
    pub service_monitors: TestCache<ServiceMonitor>,
    pub monitored: Demand<Pgpool>,
    pub user_secrets: TestCache<Secret>,
    pub synced: Demand<Pgpool>,
}

impl FakeApi {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            pgpools: TestCache::of([]),
            versions: TestCache::of([]),
            app_bindings: TestCache::of([]),
            secrets: TestCache::of([]),
            services: TestCache::of([]),
            service_accounts: TestCache::of([]),
            stateful_sets: TestCache::of([]),
            budgets: TestCache::of([]),
            pods: TestCache::of([]),
            service_monitors: TestCache::of([]),
            monitored: Demand::default(),
            user_secrets: TestCache::of([]),
            synced: Demand::default(),
        })
    }

    pub fn caches(&self) -> Caches {
        Caches {
            pgpools: self.pgpools.cache.clone(),
            versions: self.versions.cache.clone(),
            app_bindings: self.app_bindings.cache.clone(),
            secrets: self.secrets.cache.clone(),
            services: self.services.cache.clone(),
            service_accounts: self.service_accounts.cache.clone(),
            stateful_sets: self.stateful_sets.cache.clone(),
            budgets: self.budgets.cache.clone(),
            pods: self.pods.cache.clone(),
            service_monitors: self.service_monitors.cache.clone(),
            monitored: self.monitored.clone(),
            user_secrets: self.user_secrets.cache.clone(),
            synced: self.synced.clone(),
        }
    }

    pub fn client(self: &Arc<Self>) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let query = parts.uri.query().unwrap_or_default().to_owned();
                if query.contains("watch=true") {
                    return std::future::pending().await;
                }
                let bytes = body
                    .collect()
                    .await
                    .map(http_body_util::Collected::to_bytes)
                    .unwrap_or_default();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let partial = parts
                    .headers
                    .get("content-type")
                    .is_some_and(|it| it != "application/apply-patch+yaml");
                if partial && parts.method == Method::PATCH {
                    let (code, answer) = api.change(parts.uri.path(), &body);
                    let answer = Body::from(answer.to_string().into_bytes());
                    return Response::builder().status(code).body(answer);
                }
                let (code, answer) = api.answer(&parts.method, parts.uri.path(), &query, body);
                let answer = Body::from(answer.to_string().into_bytes());
                Response::builder().status(code).body(answer)
            }
        });
        Client::new(service, "default")
    }

    /// Stores an object as somebody else would.
    pub fn put(&self, path: &str, mut object: Value) {
        let mut state = self.lock();
        state.versions += 1;
        object["metadata"]["resourceVersion"] = state.versions.to_string().into();
        if object["metadata"]["creationTimestamp"].is_null() {
            object["metadata"]["creationTimestamp"] = time(state.versions).into();
        }
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = format!("uid-{}", state.versions).into();
        }
        state.objects.insert(path.to_owned(), object.clone());
        drop(state);
        self.feed(object, false);
    }

    pub fn get<K: DeserializeOwned>(&self, path: &str) -> Option<K> {
        let object = self.lock().objects.get(path).cloned()?;
        Some(serde_json::from_value(object).unwrap())
    }

    /// Every stored object without what the server itself adds.
    pub fn contents(&self) -> BTreeMap<String, Value> {
        let mut objects = self.lock().objects.clone();
        for object in objects.values_mut() {
            for field in [
                "resourceVersion",
                "uid",
                "generation",
                "creationTimestamp",
                "managedFields",
            ] {
                object["metadata"].as_object_mut().unwrap().remove(field);
            }
        }
        objects
    }

    /// What was asked since the last call.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    /// Lets so many writes succeed, and none after them; `None` for all.
    pub fn budget(&self, writes: Option<usize>) {
        self.lock().budget = writes;
    }

    /// Refuses to resize pods.
    pub fn fix_sizes(&self) {
        self.lock().fixed_sizes = true;
    }

    /// Makes it so late for what is annotated from now on.
    pub fn set_clock(&self, now: jiff::Timestamp) {
        self.lock().clock = Some(now.to_string());
    }

    /// Lets the caches fall behind.
    pub fn hold(&self) {
        self.lock().held = Some(Vec::new());
    }

    /// Lets them catch up.
    pub fn release(&self) {
        let held = self.lock().held.take();
        for (object, gone) in held.into_iter().flatten() {
            self.feed(object, gone);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: Value) -> (u16, Value) {
        let mut state = self.lock();
        if let Some((_, name)) = query.split_once("fieldSelector=metadata.name%3D") {
            let name = name.split('&').next().unwrap_or_default();
            let items: Vec<_> = state
                .objects
                .get(&format!("{path}/{name}"))
                .cloned()
                .into_iter()
                .collect();
            return (
                200,
                json!({ "apiVersion": "v1", "kind": "SecretList", "metadata": {"resourceVersion": "1"}, "items": items }),
            );
        }
        state.log.push(format!("{method} {path}"));
        if *method != Method::GET && !path.contains("/events") {
            match &mut state.budget {
                Some(0) => return (500, refusal(500, "InternalError")),
                Some(left) => *left -= 1,
                None => {}
            }
        }
        let (code, changed, gone) = match *method {
            Method::PATCH => return_of(apply(&mut state, path, body)),
            Method::DELETE => match state.objects.remove(path) {
                Some(object) => (200, object, true),
                None => (404, refusal(404, "NotFound"), false),
            },
            Method::POST if path.ends_with("/events") => (201, body, false),
            Method::POST => return_of(create(&mut state, path, body)),
            _ => match state.objects.get(path) {
                Some(object) => (200, object.clone(), false),
                None => (404, refusal(404, "NotFound"), false),
            },
        };
        drop(state);
        if code == 200 && *method != Method::GET {
            self.feed(changed.clone(), gone);
        }
        (code, changed)
    }

    /// A patch of some of an object: of annotations and labels, or of the resources of containers.
    fn change(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut state = self.lock();
        state.log.push(format!("PATCH {path}"));
        match &mut state.budget {
            Some(0) => return (500, refusal(500, "InternalError")),
            Some(left) => *left -= 1,
            None => {}
        }
        state.versions += 1;
        let version = state.versions.to_string();
        let now = state.clock.clone().unwrap_or_else(|| time(state.versions));
        if path.ends_with("/resize") && state.fixed_sizes {
            return (422, refusal(422, "Invalid"));
        }
        let Some(object) = state.objects.get_mut(path.trim_end_matches("/resize")) else {
            return (404, refusal(404, "NotFound"));
        };
        let uid = &body["metadata"]["uid"];
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            return (409, refusal(409, "Conflict"));
        }
        object["metadata"]["resourceVersion"] = version.into();
        if let Some(annotations) = body["metadata"]["annotations"].as_object() {
            object["metadata"]["managedFields"] = json!([{ "manager": names::PROVISIONER, "time": now }]);
            for (key, value) in annotations {
                object["metadata"]["annotations"][key] = value.clone();
            }
        }
        for (key, value) in body["metadata"]["labels"].as_object().into_iter().flatten() {
            object["metadata"]["labels"][key] = value.clone();
        }
        for container in body["spec"]["containers"].as_array().into_iter().flatten() {
            let containers = object["spec"]["containers"].as_array_mut().unwrap();
            let known = containers.iter_mut().find(|it| it["name"] == container["name"]);
            known.unwrap()["resources"] = container["resources"].clone();
        }
        let object = object.clone();
        drop(state);
        self.feed(object.clone(), false);
        (200, object)
    }

    fn feed(&self, object: Value, gone: bool) {
        fn one<K>(cache: &TestCache<K>, object: Value, gone: bool)
        where
            K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + 'static,
        {
            let object: K = serde_json::from_value(object).unwrap();
            if gone {
                cache.delete(object);
            } else {
                cache.apply(object);
            }
        }
        if let Some(held) = &mut self.lock().held {
            held.push((object, gone));
            return;
        }
        let ours = object["metadata"]["labels"][names::LABEL_NAME] == names::APPLICATION;
        match object["kind"].as_str().unwrap_or_default() {
            "Pgpool" => one(&self.pgpools, object, gone),
            "PgpoolVersion" => one(&self.versions, object, gone),
            "AppBinding" => one(&self.app_bindings, object, gone),
            "Secret" if object["metadata"]["labels"][names::LABEL_NAME] == names::POSTGRES => {
                one(&self.user_secrets, object, gone);
            }
            "Secret" if ours => one(&self.secrets, object, gone),
            "Service" if ours => one(&self.services, object, gone),
            "ServiceAccount" if ours => one(&self.service_accounts, object, gone),
            "StatefulSet" if ours => one(&self.stateful_sets, object, gone),
            "PodDisruptionBudget" if ours => one(&self.budgets, object, gone),
            "Pod" if ours => one(&self.pods, object, gone),
            "ServiceMonitor" if ours => one(&self.service_monitors, object, gone),
            _ => {}
        }
    }
}

fn return_of(answer: (u16, Value)) -> (u16, Value, bool) {
    (answer.0, answer.1, false)
}

/// Creates what is not there.
fn create(state: &mut State, folder: &str, mut body: Value) -> (u16, Value) {
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("{folder}/{name}");
    if state.objects.contains_key(&path) {
        return (409, refusal(409, "AlreadyExists"));
    }
    state.versions += 1;
    body["metadata"]["uid"] = format!("uid-{}", state.versions).into();
    body["metadata"]["resourceVersion"] = state.versions.to_string().into();
    state.objects.insert(path, body.clone());
    (201, body)
}

/// Server-side apply of one manager who owns everything: what is sent replaces what was sent before.
fn apply(state: &mut State, path: &str, mut body: Value) -> (u16, Value) {
    state.versions += 1;
    let version = state.versions.to_string();
    if let Some(path) = path.strip_suffix("/status") {
        let Some(object) = state.objects.get_mut(path) else {
            return (404, refusal(404, "NotFound"));
        };
        let certificates = object["status"]["certificates"].take();
        object["status"] = body["status"].take();
        if !certificates.is_null() {
            object["status"]["certificates"] = certificates;
        }
        object["metadata"]["resourceVersion"] = version.into();
        return (200, object.clone());
    }
    let before = state.objects.get(path);
    let asked = &body["metadata"]["resourceVersion"];
    if before.is_some_and(|before| !asked.is_null() && before["metadata"]["resourceVersion"] != *asked) {
        return (409, refusal(409, "Conflict"));
    }
    let blank = json!({ "metadata": { "uid": format!("uid-{version}"), "generation": 0 }, "status": null });
    let before = before.unwrap_or(&blank);
    let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
    let changed = i64::from(before["spec"] != body["spec"] || generation == 0);
    body["metadata"]["uid"] = before["metadata"]["uid"].clone();
    body["metadata"]["generation"] = (generation + changed).into();
    let is_new = before["metadata"]["creationTimestamp"].is_null();
    let now = time(state.versions);
    body["metadata"]["creationTimestamp"] = if is_new {
        now.clone().into()
    } else {
        before["metadata"]["creationTimestamp"].clone()
    };
    body["metadata"]["managedFields"] = json!([{ "manager": names::PROVISIONER, "time": now }]);
    body["metadata"]["resourceVersion"] = version.into();
    if !before["status"].is_null() {
        body["status"] = before["status"].clone();
    }
    state.objects.insert(path.to_owned(), body.clone());
    (200, body)
}

/// A minute passes with every write.
fn time(version: u64) -> String {
    format!("2026-11-24T{:02}:{:02}:00Z", version / 60, version % 60)
}

fn refusal(code: u16, reason: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason })
}
