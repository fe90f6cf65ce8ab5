//! An API server in memory: objects with versions, lists, watches, patches and server-side apply.
//!
//! It knows neither schemas nor rights. It can reject requests, fail at a chosen write and be unreachable.

mod world;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use self::world::{Asked, Change, Changed, Key, Place, World, parameter, refusal};

type Sent = UnsyncBoxBody<Bytes, Infallible>;

/// The server. Clones are the same server.
#[derive(Clone, Default)]
pub struct FakeApi(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    observers: Mutex<Vec<Observer>>,
}

type Observer = Box<dyn Fn(&Value, bool) + Send>;

#[derive(Default)]
struct State {
    world: World,
    refusals: HashMap<String, u16>,
    log: Vec<String>,
    unreachable: bool,
    /// How many writes still succeed; `None` is all.
    writes_left: Option<usize>,
}

impl std::fmt::Debug for FakeApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeApi")
    }
}

impl FakeApi {
    /// Returns a client of the server.
    #[must_use]
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.respond(request).await }
        });
        Client::new(service, "default")
    }

    async fn respond(&self, request: Request<Body>) -> Result<Response<Sent>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let place = Place::of(path, query);
        let watched = parameter(query, "watch") == Some("true");
        let listed = parts.method == Method::GET && place.is_collection;
        let mut state = self.lock();
        let verb = match (watched, listed) {
            (true, _) => "WATCH",
            (false, true) => "LIST",
            (false, false) => parts.method.as_str(),
        };
        state.log.push(format!("{verb} {path}"));
        if state.unreachable {
            return Err(std::io::Error::other("connection refused"));
        }
        if let Some(code) = state.refused(&place) {
            let reason = match code {
                403 => "Forbidden",
                422 => "Invalid",
                _ => "NotFound",
            };
            let (code, body) = refusal(code, reason);
            return whole(code, &body);
        }
        if watched {
            let since = parameter(query, "resourceVersion").and_then(|version| version.parse().ok());
            return Ok(streamed(state.world.watch(place, since.unwrap_or_default())));
        }
        if listed {
            return whole(200, &state.world.list(&place));
        }
        if parts.method != Method::GET && place.plural != "events" && !state.may_write() {
            let (code, body) = refusal(500, "InternalError");
            return whole(code, &body);
        }
        let change = change_of(&parts);
        let manager = parameter(query, "fieldManager").unwrap_or_default().to_owned();
        let (code, body) = state.world.answer(Asked {
            method: parts.method,
            place,
            change,
            manager,
            body,
        });
        self.publish(state);
        whole(code, &body)
    }

    /// Passes what changed to the observers, without the lock, so that they may use the server.
    fn publish(&self, mut state: MutexGuard<'_, State>) {
        let changed: Vec<Changed> = std::mem::take(&mut state.world.changed);
        drop(state);
        let observers = self.0.observers.lock().unwrap_or_else(PoisonError::into_inner);
        for (object, deleted) in &changed {
            for observer in observers.iter() {
                observer(object, *deleted);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `observer` with every object that changes from now on, and whether it was deleted.
    pub fn observe(&self, observer: impl Fn(&Value, bool) + Send + 'static) {
        let mut observers = self.0.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.push(Box::new(observer));
    }

    /// Stores an object of a kind, as another client would.
    pub fn put(&self, plural: &str, object: &Value) {
        let mut state = self.lock();
        state.world.store(Key::of(plural, object), object.clone());
        self.publish(state);
    }

    /// Deletes an object, as another client would.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) {
        let mut state = self.lock();
        state.world.remove(&key(plural, namespace, name));
        self.publish(state);
    }

    /// Returns an object.
    #[must_use]
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.lock()
            .world
            .objects
            .get(&key(plural, namespace, name))
            .cloned()
    }

    /// Returns every object by its path without group and version, as `/namespaces/a/pods/b`.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Value> {
        let state = self.lock();
        let objects = state.world.objects.iter();
        objects
            .map(|(key, object)| (key.path(), object.clone()))
            .collect()
    }

    /// Removes an object without an event, and fails every watch because its resource version is too old.
    pub fn lose(&self, plural: &str, object: &Value) {
        self.lock().world.lose(&Key::of(plural, object));
    }

    /// Ends every watch, as an API server does every few minutes.
    pub fn end_watches(&self) {
        self.lock().world.end_watches();
    }

    /// Sends nothing more to the open watches, and does not end them, as when a connection dies silently.
    pub fn silence_watches(&self) {
        self.lock().world.silence_watches();
    }

    /// Returns how many watches are open.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.lock().world.open_watches()
    }

    /// Rejects every request for a kind (`plural`, `namespace/plural` or `plural/subresource`) with this code;
    /// `None` accepts them again.
    pub fn refuse(&self, kind: &str, code: Option<u16>) {
        let mut state = self.lock();
        state.world.end_watches();
        match code {
            Some(code) => state.refusals.insert(kind.to_owned(), code),
            None => state.refusals.remove(kind),
        };
    }

    /// Accepts no connection while `down`.
    pub fn down(&self, down: bool) {
        let mut state = self.lock();
        state.unreachable = down;
        if down {
            state.world.end_watches();
        }
    }

    /// Lets so many writes succeed, and fails every later one; `None` lets all succeed.
    pub fn fail_after(&self, writes: Option<usize>) {
        self.lock().writes_left = writes;
    }

    /// Sets the time of later writes. Without it, every write happens a minute after the one before.
    pub fn set_time(&self, now: jiff::Timestamp) {
        self.lock().world.clock = Some(now.to_string());
    }

    /// Returns the requests since the last call, as `VERB path`; the verb of lists is `LIST`, of watches `WATCH`.
    #[must_use]
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }
}

impl State {
    fn refused(&self, place: &Place) -> Option<u16> {
        let within = |prefix: &String| format!("{prefix}/{}", place.plural);
        let part = |part: &String| format!("{}/{part}", place.plural);
        let kinds = [
            place.namespace.as_ref().map(within),
            place.subresource.as_ref().map(part),
            Some(place.plural.clone()),
        ];
        kinds
            .iter()
            .flatten()
            .find_map(|kind| self.refusals.get(kind).copied())
    }

    /// Counts a write. Returns whether it succeeds.
    fn may_write(&mut self) -> bool {
        match &mut self.writes_left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}

fn key(plural: &str, namespace: &str, name: &str) -> Key {
    Key {
        plural: plural.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn change_of(request: &http::request::Parts) -> Change {
    let content = request.headers.get("content-type");
    match (&request.method, content.map(http::HeaderValue::as_bytes)) {
        (&Method::PATCH, Some(b"application/apply-patch+yaml")) => Change::Apply,
        (&Method::PATCH, _) => Change::Merge,
        _ => Change::Replace,
    }
}

fn streamed(events: mpsc::UnboundedReceiver<String>) -> Response<Sent> {
    let lines = UnboundedReceiverStream::new(events);
    let frames = lines.map(|line| Ok(http_body::Frame::data(Bytes::from(line))));
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn whole(code: u16, body: &Value) -> Result<Response<Sent>, std::io::Error> {
    let body = Full::from(body.to_string()).boxed_unsync();
    let response = Response::builder().status(code).body(body);
    response.map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};
    use kube::api::{DeleteParams, Patch, PatchParams};
    use kube::{Api, ResourceExt};
    use serde_json::json;

    use super::*;

    fn applied(data: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "one" }, "data": { "a": data } })
    }

    #[tokio::test]
    async fn an_apply_creates_replaces_and_conflicts() {
        let server = FakeApi::default();
        let api: Api<ConfigMap> = Api::default_namespaced(server.client());
        let params = PatchParams::apply("test");
        let created = api
            .patch("one", &params, &Patch::Apply(applied("1")))
            .await
            .unwrap();
        let changed = api
            .patch("one", &params, &Patch::Apply(applied("2")))
            .await
            .unwrap();
        assert_eq!(created.uid(), changed.uid());
        assert_eq!(created.creation_timestamp(), changed.creation_timestamp());
        assert_ne!(created.resource_version(), changed.resource_version());
        let mut stale = applied("3");
        stale["metadata"]["resourceVersion"] = json!(created.resource_version());
        let error = api.patch("one", &params, &Patch::Apply(stale)).await.unwrap_err();
        assert!(matches!(error, kube::Error::Api(status) if status.code == 409));
    }

    #[tokio::test]
    async fn a_manager_replaces_only_its_own_fields_of_a_status() {
        let server = FakeApi::default();
        let api: Api<Pod> = Api::default_namespaced(server.client());
        server.put("pods", &json!({
            "metadata": { "namespace": "default", "name": "p" }, "status": { "phase": "Running", "reason": "r" },
        }));
        let status =
            |status: Value| Patch::Apply(json!({ "apiVersion": "v1", "kind": "Pod", "status": status }));
        let params = PatchParams::apply("test");
        api.patch_status("p", &params, &status(json!({ "message": "m", "reason": "s" })))
            .await
            .unwrap();
        api.patch_status("p", &params, &status(json!({ "message": "n" })))
            .await
            .unwrap();
        let pod = server.get("pods", "default", "p").unwrap();
        assert_eq!(pod["status"], json!({ "phase": "Running", "message": "n" }));
    }

    #[tokio::test]
    async fn writes_fail_after_a_number_and_observers_see_the_others() {
        let server = FakeApi::default();
        let (sender, mut seen) = mpsc::unbounded_channel();
        server.observe(move |object, deleted| {
            let _ = sender.send((object["metadata"]["name"].clone(), deleted));
        });
        let api: Api<ConfigMap> = Api::default_namespaced(server.client());
        server.fail_after(Some(2));
        let params = PatchParams::apply("test");
        api.patch("one", &params, &Patch::Apply(applied("1")))
            .await
            .unwrap();
        api.delete("one", &DeleteParams::default()).await.unwrap();
        assert!(
            api.patch("one", &params, &Patch::Apply(applied("1")))
                .await
                .is_err()
        );
        assert_eq!(seen.try_recv().unwrap(), (json!("one"), false));
        assert_eq!(seen.try_recv().unwrap(), (json!("one"), true));
        assert!(seen.try_recv().is_err());
    }
}
